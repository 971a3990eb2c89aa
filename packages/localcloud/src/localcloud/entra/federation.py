"""Workload identity federation: a token of another issuer in place of a secret, where a federated credential allows it.

The outer token's signature is checked against the keys that its issuer publishes, as Entra does.
Source: learn.microsoft.com "Workload identity federation", and the AADSTS7002xx error codes.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import jwt

from localcloud.arm.identity import USER_ASSIGNED
from localcloud.core.context import Principal
from localcloud.core.resource import ResourceStore

_CREDENTIALS = f"{USER_ASSIGNED}/federatedIdentityCredentials"


class FederationError(Exception):
    """An assertion that Entra would refuse; `number` is the AADSTS number."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class Federation:
    """Checks client assertions against the federated credentials of user-assigned identities."""

    def __init__(self, resources: ResourceStore, roots: Path | None = None) -> None:
        """`roots`: PEM file of the authorities that issuers' certificates may come from; default: the machine's."""
        self._resources = resources
        self._roots = roots

    def check(self, principal: Principal, assertion: str) -> None:
        """Check that `assertion` replaces the principal's secret. Raises FederationError."""
        try:
            claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.InvalidTokenError as error:
            raise FederationError(
                50027, f"JWT token is invalid or malformed: the client assertion is not a JWT ({error})."
            ) from error
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        credentials = [
            credential.properties
            for identity in self._resources.list(USER_ASSIGNED)
            if identity.properties.get("principalId") == principal.object_id
            for credential in self._resources.children(identity.id, _CREDENTIALS)
        ]
        if not credentials:
            raise FederationError(
                70025,
                f"The client '{principal.app_id}'({principal.display_name}) has no configured federated identity "
                "credentials.",
            )
        same = [
            credential
            for credential in credentials
            if credential["issuer"] == issuer and credential["subject"] == subject
        ]
        if not same:
            raise FederationError(
                700213,
                f"No matching federated identity record found for presented assertion subject '{subject}' and issuer "
                f"'{issuer}'. Check your federated identity credential Subject, Audience and Issuer against the "
                "presented assertion.",
            )
        self._verify(assertion, issuer, list(same[0]["audiences"]))

    def _verify(self, assertion: str, issuer: str, audiences: list[str]) -> None:
        try:
            key = _signing_key(assertion, issuer, self._roots)
            jwt.decode(assertion, key, algorithms=["RS256"], audience=audiences, issuer=issuer, leeway=60)
        except jwt.InvalidAudienceError as error:
            raise FederationError(
                700212, "No matching federated identity record found for the presented assertion audience."
            ) from error
        except jwt.ExpiredSignatureError as error:
            raise FederationError(700024, "Client assertion is not within its valid time range.") from error
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise FederationError(
                50166, f"Request to External OIDC endpoint failed: keys of '{issuer}' cannot be read ({error!r})."
            ) from error
        except jwt.InvalidTokenError as error:
            raise FederationError(
                700211, f"The presented assertion of issuer '{issuer}' does not verify: {error}."
            ) from error


def _signing_key(assertion: str, issuer: str, roots: Path | None) -> Any:
    """Return the public key that the issuer publishes (OpenID Connect Discovery) under the assertion's key id."""
    verify = True if roots is None else ssl.create_default_context(cafile=str(roots))
    with httpx.Client(timeout=10, verify=verify) as client:
        configuration = client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration").raise_for_status().json()
        keys = client.get(configuration["jwks_uri"]).raise_for_status().json()["keys"]
    id_ = jwt.get_unverified_header(assertion).get("kid")
    matching = [key for key in keys if key.get("kid") == id_]
    if not matching:
        raise jwt.InvalidTokenError(f"it is signed with the key {id_!r}, which the issuer does not publish")
    return jwt.PyJWK(matching[0]).key
