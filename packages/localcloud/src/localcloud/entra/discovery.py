"""OpenID configuration, signing keys and instance discovery: requests of sign-in libraries before the sign-in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.core.json import Json
from localcloud.core.settings import TENANT_ID
from localcloud.entra.directory import ISSUER, Directory
from localcloud.entra.tokens import TokenError, check_tenant

_HOST = "login.microsoftonline.com"


def base_of(request: Request) -> str:
    """Return the address of the request: answers name addresses there."""
    return f"{request.url.scheme}://{request.headers.get('host', _HOST)}"


async def configuration(request: Request) -> Response:
    """GET /{tenant}[/v2.0]/.well-known/openid-configuration."""
    try:
        check_tenant(request.path_params["tenant"])
    except TokenError as error:
        return error.response()
    v2 = "/v2.0/" in request.url.path
    base = f"{base_of(request)}/{request.path_params['tenant']}"
    oauth = f"{base}/oauth2/v2.0" if v2 else f"{base}/oauth2"
    document: Json = {
        "token_endpoint": f"{oauth}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery/v2.0/keys" if v2 else f"{base}/discovery/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"https://{_HOST}/{TENANT_ID}/v2.0" if v2 else ISSUER,
        "authorization_endpoint": f"{oauth}/authorize",
        "device_authorization_endpoint": f"{oauth}/devicecode",
        "end_session_endpoint": f"{oauth}/logout",
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "oid", "tid", "ver", "appid"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
    }
    return JSONResponse(document)


async def instances(request: Request) -> Response:
    """GET /common/discovery/instance: the login hosts of one cloud (MSAL requests it before it trusts an authority)."""
    aliases = sorted({_HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"})
    own = request.headers.get("host", _HOST)
    metadata = [{"preferred_network": _HOST, "preferred_cache": "login.windows.net", "aliases": aliases}]
    if own not in aliases:
        metadata.append({"preferred_network": own, "preferred_cache": own, "aliases": [own]})
    endpoint = f"{base_of(request)}/{TENANT_ID}/v2.0/.well-known/openid-configuration"
    return JSONResponse(
        {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": metadata},
    )


class Keys:
    """GET /{tenant}/discovery[/v2.0]/keys."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def answer(self, request: Request) -> Response:
        return JSONResponse(self._directory.jwks())
