"""The token endpoints: client credentials by secret or federated assertion, in the v1 and v2 forms.

Errors are Entra's: HTTP status, `error` and an AADSTS number, as MSAL and azidentity print them.
Source: learn.microsoft.com "Microsoft identity platform and the OAuth 2.0 client credentials flow" and
"Microsoft Entra authentication and authorization error codes".
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote_plus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.core.context import Principal
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.settings import TENANT_ID
from localcloud.core.streams import whole_body
from localcloud.entra import resources
from localcloud.entra.directory import Directory
from localcloud.entra.federation import Federation, FederationError

LIFETIME_SECONDS = 3600
_LARGEST = 1024 * 1024
"""Bytes of a form. Entra documents no limit; an assertion has some kilobytes."""
_TENANTS = frozenset({TENANT_ID, "organizations", "common"})


class TokenError(Exception):
    """A refusal: status, OAuth error, AADSTS number, text."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.number, self.text = status, error, number, text

    def response(self) -> Response:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        described = f"AADSTS{self.number}: {self.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
        body = {
            "error": self.error, "error_description": described, "error_codes": [self.number], "timestamp": now,
            "trace_id": trace, "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }  # fmt: skip
        return JSONResponse(body, self.status, {"Cache-Control": "no-store"})


class TokenEndpoint:
    """POST /{tenant}/oauth2/v2.0/token and /{tenant}/oauth2/token."""

    def __init__(self, directory: Directory, federation: Federation) -> None:
        self._directory = directory
        self._federation = federation

    async def answer(self, request: Request) -> Response:
        v2 = "/v2.0/" in request.scope["path"]
        try:
            body = (await whole_body(request, _LARGEST, _too_large())).decode(errors="replace")
            form = {key: values[-1] for key, values in parse_qs(body).items()} | _basic(request)
            check_tenant(request.path_params["tenant"])
            principal = await run_in_threadpool(self._principal, form)  # an issuer may be asked for its keys
            audience = _audience_v2(form) if v2 else _audience_v1(form)
            self._check_resource(audience)
        except TokenError as error:
            return error.response()
        token = self._directory.issue_token(principal, audience, lifetime_seconds=LIFETIME_SECONDS)
        if v2:
            answer: Json = {
                "token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "ext_expires_in": LIFETIME_SECONDS,
                "access_token": token,
            }  # fmt: skip
        else:
            now = int(time.time())
            answer = {
                "token_type": "Bearer", "expires_in": str(LIFETIME_SECONDS), "ext_expires_in": str(LIFETIME_SECONDS),
                "expires_on": str(now + LIFETIME_SECONDS), "not_before": str(now), "resource": audience,
                "access_token": token,
            }  # fmt: skip
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _check_resource(self, audience: str) -> None:
        if not resources.exists(audience, lambda id_: self._directory.by_app_id(id_) is not None):
            raise TokenError(
                400,
                "invalid_resource",
                500011,
                f"The resource principal named {audience} was not found in the tenant named {TENANT_ID}. This can "
                "happen if the application has not been installed by the administrator of the tenant or consented to "
                "by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
            )

    def _principal(self, form: Mapping[str, str]) -> Principal:
        grant = _needed(form, "grant_type")
        if grant != "client_credentials":
            raise TokenError(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{grant}'. localcloud signs in with client_credentials.",
            )
        client = _needed(form, "client_id")
        principal = self._directory.by_app_id(client)
        if principal is None:
            raise TokenError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client}' was not found in the directory '{TENANT_ID}'. This can happen "
                "if the application has not been installed by the administrator of the tenant or consented to by any "
                "user in the tenant. You may have sent your authentication request to the wrong tenant.",
            )
        if "client_assertion" in form:
            try:
                self._federation.check(principal, form["client_assertion"])
            except FederationError as error:
                raise TokenError(401, "invalid_client", error.number, str(error)) from error
            return principal
        if "client_secret" not in form:
            raise TokenError(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        if not self._directory.has_secret(client, form["client_secret"]):
            raise TokenError(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{client}'.",
            )
        return principal


async def unknown_operation(request: Request) -> Response:
    """Refuse the flows in which a person signs in: 501 in OAuth's form, of which clients read `error` as a text."""
    error = not_emulated(f"{request.method} https://login.microsoftonline.com{request.url.path}")
    described = f"{error.message} Sign in as a service principal: by its secret, or by a federated token."
    return JSONResponse(
        {"error": "not_implemented", "error_description": described, "error_codes": []},
        error.status,
        {"Cache-Control": "no-store"},
    )


def _basic(request: Request) -> dict[str, str]:
    """Return the credentials of a Basic header (client_secret_basic, RFC 6749 §2.3.1), {} without one."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return {}  # missing values are reported as missing
    return {"client_id": unquote_plus(client), "client_secret": unquote_plus(secret)}


def _too_large() -> TokenError:
    return TokenError(413, "invalid_request", 90013, f"Invalid input received from the user: over {_LARGEST} bytes.")


def check_tenant(tenant: str) -> None:
    """Check the tenant. Raises TokenError AADSTS90002 for another one."""
    if tenant.lower() not in _TENANTS:
        raise TokenError(
            400,
            "invalid_request",
            90002,
            f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
            "correct cloud. Check with your subscription administrator, this may happen if there are no active "
            "subscriptions for the tenant.",
        )


def _needed(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise TokenError(
            400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
        )
    return form[name]


def _audience_v2(form: Mapping[str, str]) -> str:
    """`https://vault.azure.net/.default` is for `https://vault.azure.net`; two slashes keep one, as in Entra."""
    scopes = [scope for scope in _needed(form, "scope").split() if scope not in {"openid", "profile", "offline_access"}]
    if len(scopes) != 1 or not scopes[0].endswith("/.default"):
        raise TokenError(
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {form['scope']} is not valid. Client credential flows must have a scope "
            "value with /.default suffixed to the resource identifier (application ID URI).",
        )
    return scopes[0].removesuffix("/.default")


def _audience_v1(form: Mapping[str, str]) -> str:
    if form.get("resource"):
        return form["resource"]
    return _audience_v2(form) if form.get("scope") else _needed(form, "resource")
