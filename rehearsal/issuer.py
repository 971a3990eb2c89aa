"""Stands in for Azure DevOps as the issuer of service connections' tokens: OpenID Connect discovery, keys, tokens.

Entra trusts it as far as a federated credential names it; localcloud's Entra checks the signature as Azure's does.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "api://AzureADTokenExchange"
_KEY_ID = "rehearsal"
_SECONDS = 3600


class Issuer:
    """Serves on a free loopback port until `close`. `certificate`: PEM of a key and certificate for localhost."""

    def __init__(self, certificate: Path) -> None:
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
        return f"https://localhost:{self._server.server_address[1]}"

    def token(self, subject: str) -> str:
        """Valid for an hour; those of Azure DevOps last ten minutes."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + _SECONDS}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KEY_ID})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(url: Any, keys: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {
                "/.well-known/openid-configuration": {
                    "issuer": url(), "jwks_uri": f"{url()}/keys", "id_token_signing_alg_values_supported": ["RS256"],
                },
                "/keys": keys,
            }  # fmt: skip
            page = pages.get(self.path)
            content = json.dumps(page or {}).encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the terminal for the rehearsal."""

    return Handler
