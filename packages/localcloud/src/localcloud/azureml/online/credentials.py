"""Keys and tokens of an online endpoint, and the right to score.

Source: the ARM specification (EndpointAuthKeys, EndpointAuthToken, RegenerateEndpointKeysRequest), learn.microsoft.com
"Authentication for managed online endpoints" (which mode needs which role), "Troubleshoot online endpoints" (401 for a
caller without permission too). Texts of refused keys, key_auth_access_denied and key_auth_bad_header_forbidden, are
quoted from users of the service.
"""

from __future__ import annotations

import hmac
import secrets
import string
import time

import jwt

from localcloud.arm.resource_types import Call
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

SCORE = f"{WORKSPACE}/onlineEndpoints/score/action"
AUDIENCES = frozenset({"https://ml.azure.com", "https://ml.azure.com/"})
_KEY_LENGTH = 32
_LETTERS = string.ascii_letters + string.digits
_TOKEN_SECONDS = 3600
_NAMES = {"primary": "primaryKey", "secondary": "secondaryKey"}


def complete(resource: Resource) -> None:
    """Store an endpoint's keys: its body's, which never shows them again, or new ones."""
    supplied = resource.properties.pop("keys", None) or {}
    kept = resource.private.setdefault("keys", {})
    for name in _NAMES.values():
        kept[name] = str(supplied.get(name) or kept.get(name) or _new_key())
    resource.private.setdefault("tokenSecret", secrets.token_hex(32))


async def list_keys(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    """Return both keys. Raises ServiceError 400 for an endpoint without keys."""
    _check_mode(resource, "Key", "keys")
    return dict(resource.private["keys"])


async def regenerate_keys(ctx: Context, resource: Resource, body: Json, call: Call) -> None:
    """Make a new key, or set the body's.

    azure-ai-ml sends the key that is to be replaced as the new value, and its tests expect another one afterwards.
    """
    _check_mode(resource, "Key", "keys")
    name = _NAMES.get(str(body.get("keyType")).lower())
    if name is None:
        raise user_error(f"keyType '{body.get('keyType')}' is not valid: use Primary or Secondary.")
    keys = resource.private["keys"]
    value = body.get("keyValue")
    keys[name] = _new_key() if not value or value == keys[name] else str(value)
    ctx.resources.put(resource)


async def token(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    """Return an Azure ML token for the endpoint.

    Raises ServiceError 400 for an endpoint without token authentication.
    """
    _check_mode(resource, "AMLToken", "tokens of Azure Machine Learning")
    now = int(time.time())
    claims = {"sub": resource.id.lower(), "iat": now, "exp": now + _TOKEN_SECONDS}
    return {
        "accessToken": jwt.encode(claims, resource.private["tokenSecret"], algorithm="HS256"),
        "expiryTimeUtc": now + _TOKEN_SECONDS,
        "refreshAfterTimeUtc": now + _TOKEN_SECONDS // 2,
        "tokenType": "Bearer",
    }


def admit(ctx: Context, endpoint: Resource, authorization: str | None) -> None:
    """Check the caller of the scoring URI by the endpoint's authMode. Raises ServiceError 401."""
    mode = endpoint.properties["authMode"]
    if mode == "AADToken":
        _admit_principal(ctx, endpoint, authorization)
        return
    scheme, _, credential = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise _refused("key_auth_bad_header_forbidden")
    if mode == "Key":
        sent = credential.strip().encode()
        if not any([hmac.compare_digest(sent, key.encode()) for key in endpoint.private["keys"].values()]):
            raise _refused("key_auth_access_denied")
        return
    try:
        claims = jwt.decode(credential.strip(), endpoint.private["tokenSecret"], algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise _refused("token_auth_access_denied") from error
    if claims.get("sub") != endpoint.id.lower():
        raise _refused("token_auth_access_denied")


def _admit_principal(ctx: Context, endpoint: Resource, authorization: str | None) -> None:
    principal = ctx.identities.authenticate(authorization, AUDIENCES)
    if not ctx.authorizer.allows(principal, SCORE, endpoint.id):
        raise ServiceError(
            401,
            "Unauthorized",
            f"The client '{principal.app_id}' with object id '{principal.object_id}' does not have authorization to "
            f"perform action '{SCORE}' over scope '{endpoint.id}'.",
        )


def _refused(reason: str) -> ServiceError:
    return ServiceError(401, "Unauthorized", reason)


def _check_mode(resource: Resource, mode: str, credential: str) -> None:
    own = resource.properties["authMode"]
    if own != mode:
        raise user_error(f"The endpoint '{resource.name}' has authMode {own}: it has no {credential}.")


def _new_key() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_KEY_LENGTH))
