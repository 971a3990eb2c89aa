"""The key with which MLflow's own port knows the gateway, so that it refuses everyone else on the machine.

MLflow has no sign-in of its own here: every request that reaches it reads, writes and deletes in all workspaces.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.core.private_files import write_private

HEADER = "x-localcloud-gateway-key"


def gateway_key(home: Path) -> str:
    """Return the key of a home, which is made at its first use and which only the user can read."""
    file = home / "mlflow" / "gateway-key"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, secrets.token_urlsafe(32))
    return file.read_text()


class GatewayOnly:
    """ASGI middleware that answers 401 to requests without the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request of the gateway on, and refuse any other."""
        if scope["type"] != "lifespan":
            sent = Headers(scope=scope).get(HEADER, "").encode("latin-1")
            if scope["type"] != "http" or not secrets.compare_digest(sent, self._key):
                message = (
                    "This port takes requests of localcloud's gateway alone; `localcloud env` has MLflow's address."
                )
                body = {"error_code": "UNAUTHENTICATED", "message": message}
                await JSONResponse(body, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)
