"""Azure DevOps as the issuer of service connections' tokens: OpenID Connect discovery, keys, tokens.

A directory trusts it as far as a federated credential names it. Tokens have the form of new service connections: the
issuer ends in the tenant and `v2.0`, the subject names the organisation and the connection's id, which does not exist
before the connection does (learn.microsoft.com/azure/devops/pipelines/release/convert-service-connections). In Azure
DevOps the issuer's host is Entra's own.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "api://AzureADTokenExchange"
_KEY_ID = "pipeline-runner"
_SECONDS = 600
_ORGANISATION = uuid.UUID("7d9a3a0e-5f0b-4c39-9f3b-0c1d2e3f4a5b")
_AZURE_DEVOPS = uuid.UUID("499b84ac-1321-427f-aa17-267ca6975798")
"""The application id of Azure DevOps in every tenant (learn.microsoft.com/rest/api/azure/devops, "Get started")."""


class Issuer:
    """An issuer on a free loopback port. `certificate`: PEM file with a key and a certificate for localhost."""

    def __init__(self, certificate: Path, tenant: str) -> None:
        self._tenant = uuid.UUID(tenant)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        keys = {"keys": [{**public, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: self.url, keys))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The issuer, as tokens and federated credentials name it."""
        return f"https://localhost:{self._server.server_address[1]}/{self._tenant}/v2.0"

    def subject(self, connection: str) -> str:
        """Return the subject of a service connection's tokens, by its id."""
        tenant, application = _encoded(self._tenant), _encoded(_AZURE_DEVOPS)
        return f"/eid1/c/pub/t/{tenant}/a/{application}/sc/{_ORGANISATION}/{connection}"

    def token(self, subject: str, seconds: int = _SECONDS) -> str:
        """Return a token that is valid for ten minutes, as in Azure DevOps."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + seconds}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KEY_ID})

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _encoded(id_: uuid.UUID) -> str:
    """Return the Base64 of a GUID's bytes in the order of Windows, for URLs."""
    return base64.urlsafe_b64encode(id_.bytes_le).rstrip(b"=").decode()


def _handler(url: Any, keys: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            root = urlsplit(url()).path
            pages = {
                f"{root}/.well-known/openid-configuration": {
                    "issuer": url(), "jwks_uri": f"{url()}/keys", "id_token_signing_alg_values_supported": ["RS256"],
                },
                f"{root}/keys": keys,
            }  # fmt: skip
            page = pages.get(self.path)
            content = json.dumps(page or {}).encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the terminal for the build."""

    return Handler
