"""Entra's directory: service principals, their secrets, the tokens they get, and workloads that act as them.

Secrets are stored as salted hashes. The signing key is made once per localcloud and never leaves its database, which
only the user can read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.core.context import Principal
from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.settings import TENANT_ID

_LEEWAY_SECONDS = 30
_MOST_VERIFIED = 1000
ISSUER = f"https://sts.windows.net/{TENANT_ID}/"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entra_principals (
    object_id TEXT PRIMARY KEY, app_id TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, kind TEXT NOT NULL,
    salt TEXT, secret_hash TEXT, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS entra_keys (kid TEXT PRIMARY KEY, pem TEXT NOT NULL, created REAL NOT NULL);
"""


class Directory:
    """Implements core.context.Identities."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)
        self._kid, self._key = self._signing_key()
        self._public = self._key.public_key()
        # Workloads last as long as the gateway that started them: their secrets are not stored.
        self._workloads: dict[str, tuple[str, frozenset[str]]] = {}
        self._verified = lru_cache(maxsize=_MOST_VERIFIED)(self._verify)

    def create_principal(
        self, display_name: str, *, secret: str | None = None, kind: str = "ServicePrincipal"
    ) -> Principal:
        """Return a new service principal with random ids."""
        principal = Principal(str(uuid.uuid4()), str(uuid.uuid4()), TENANT_ID, display_name, kind)
        salt = secrets.token_hex(16) if secret is not None else None
        self._database.execute(
            "INSERT INTO entra_principals VALUES (?, ?, ?, ?, ?, ?, ?)",
            (principal.object_id, principal.app_id, display_name, kind, salt, _hashed(salt, secret), time.time()),
        )
        return principal

    def delete_principal(self, object_id: str) -> None:
        """Tokens that it holds stop working at once. Does nothing when it is gone already."""
        self._database.execute("DELETE FROM entra_principals WHERE object_id = ?", (object_id,))

    def set_secret(self, object_id: str, secret: str) -> None:
        """Replace the client secret."""
        salt = secrets.token_hex(16)
        self._database.execute(
            "UPDATE entra_principals SET salt = ?, secret_hash = ? WHERE object_id = ?",
            (salt, _hashed(salt, secret), object_id),
        )

    def by_object_id(self, object_id: str) -> Principal | None:
        return self._principal_by("object_id", object_id)

    def by_app_id(self, app_id: str) -> Principal | None:
        return self._principal_by("app_id", app_id)

    def all(self) -> list[Principal]:
        """Return every principal, oldest first."""
        rows = self._database.query("SELECT * FROM entra_principals ORDER BY created")
        return [_principal(row) for row in rows]

    def has_secret(self, app_id: str, secret: str) -> bool:
        """Whether `secret` is the client secret of `app_id`."""
        row = self._database.row("SELECT salt, secret_hash FROM entra_principals WHERE app_id = ?", (app_id.lower(),))
        if row is None or row["secret_hash"] is None:
            return False
        return hmac.compare_digest(row["secret_hash"], _hashed(row["salt"], secret) or "")

    def issue_token(self, principal: Principal, audience: str, *, lifetime_seconds: int = 3600) -> str:
        """Return a signed JWT with the claims of an app-only v1 token; `aud` is `audience` unchanged."""
        now = int(time.time())
        claims = {
            "aud": audience, "iss": ISSUER, "iat": now, "nbf": now - 5, "exp": now + lifetime_seconds,
            "appid": principal.app_id, "appidacr": "1", "idp": ISSUER, "idtyp": "app", "oid": principal.object_id,
            "sub": principal.object_id, "tid": principal.tenant_id, "uti": secrets.token_urlsafe(16), "ver": "1.0",
        }  # fmt: skip
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._kid})

    def authenticate(self, authorization: str | None, audiences: frozenset[str]) -> Principal:
        """Return the principal of a `Bearer …` header.

        Raises ServiceError 401 with ARM's codes: AuthenticationFailed without a token, ExpiredAuthenticationToken,
        InvalidAuthenticationTokenAudience, InvalidAuthenticationToken.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if not authorization:
            raise ServiceError(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        if scheme.lower() != "bearer" or not token:
            raise ServiceError(
                401,
                "AuthenticationFailedInvalidHeader",
                "Authentication failed. The 'Authorization' header is provided in an invalid format.",
            )
        claims = self._claims(token.strip(), audiences)
        principal = self.by_object_id(str(claims.get("oid", "")))
        if principal is None:
            raise ServiceError(401, "InvalidAuthenticationToken", "The access token's principal does not exist.")
        return principal

    def grant_workload(self, app_ids: Mapping[str, str] | None, default_app_id: str) -> str:
        """See core.context.Identities."""
        secret = secrets.token_urlsafe(32)
        self._workloads[secret] = (default_app_id, frozenset((app_ids or {}).values()) | {default_app_id})
        return secret

    def revoke_workload(self, secret: str) -> None:
        self._workloads.pop(secret, None)

    def workload(self, secret: str) -> tuple[str, frozenset[str]] | None:
        """(default app id, all app ids) that the holder of `secret` may act as; None for an unknown secret."""
        return self._workloads.get(secret)

    def jwks(self) -> Json:
        """Return the public signing key as a JSON Web Key Set."""
        key: Json = jwt.algorithms.RSAAlgorithm.to_jwk(self._public, as_dict=True)
        return {"keys": [key | {"use": "sig", "kid": self._kid, "x5t": self._kid, "issuer": ISSUER}]}

    def _claims(self, token: str, audiences: frozenset[str]) -> Json:
        """Return the claims of a token, whose signature is verified once. Raises ServiceError 401."""
        claims = self._verified(token, audiences)
        if time.time() >= claims["exp"] + _LEEWAY_SECONDS:
            claims = self._verify(token, audiences)
        return claims

    def _verify(self, token: str, audiences: frozenset[str]) -> Json:
        try:
            claims: Json = jwt.decode(
                token, self._public, algorithms=["RS256"], audience=audiences, issuer=ISSUER, leeway=_LEEWAY_SECONDS,
                options={"require": ["exp"]},
            )  # fmt: skip
        except jwt.ExpiredSignatureError as error:
            expired = jwt.decode(token, options={"verify_signature": False})["exp"]
            raise ServiceError(
                401,
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{_utc(expired)}' is earlier than current UTC time "
                f"'{_utc(time.time())}'.",
            ) from error
        except jwt.InvalidAudienceError as error:
            audience = jwt.decode(token, options={"verify_signature": False}).get("aud")
            raise ServiceError(
                401,
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{audience}'. It should exactly "
                f"match with one of the allowed audiences {', '.join(repr(item) for item in sorted(audiences))}.",
            ) from error
        except jwt.InvalidTokenError as error:
            raise ServiceError(401, "InvalidAuthenticationToken", "The access token is invalid.") from error
        return claims

    def _principal_by(self, column: str, value: str) -> Principal | None:
        row = self._database.row(f"SELECT * FROM entra_principals WHERE {column} = ?", (value.lower(),))  # noqa: S608
        return None if row is None else _principal(row)

    def _signing_key(self) -> tuple[str, rsa.RSAPrivateKey]:
        row = self._database.row("SELECT kid, pem FROM entra_keys ORDER BY created DESC LIMIT 1")
        if row is not None:
            key = serialization.load_pem_private_key(row["pem"].encode(), None)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise TypeError("the signing key in the database is not RSA")
            return row["kid"], key
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        kid = secrets.token_urlsafe(20)
        self._database.execute("INSERT INTO entra_keys VALUES (?, ?, ?)", (kid, pem.decode(), time.time()))
        return kid, private_key


def _principal(row: Any) -> Principal:
    return Principal(row["object_id"], row["app_id"], TENANT_ID, row["display_name"], row["kind"])


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _hashed(salt: str | None, secret: str | None) -> str | None:
    """Client secrets are long and random, so a plain salted hash is enough; sign-in stays quick."""
    if salt is None or secret is None:
        return None
    return hashlib.sha256(f"{salt}:{secret}".encode()).hexdigest()
