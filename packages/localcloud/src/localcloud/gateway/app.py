"""The gateway's ASGI application: Host header to service, request log, faults, and the answer when all else fails."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from localcloud.gateway import page_headers
from localcloud.gateway.faults import Faults
from localcloud.gateway.hosts import Service, service_of

_requests = logging.getLogger("localcloud.requests")
_log = logging.getLogger("localcloud.gateway")
_CLIENT_GONE = 499
"""Status in the log for a request that its client did not finish. The number is nginx's."""


class Gateway:
    """All services behind one port, selected by the Host header in place of DNS."""

    def __init__(self, routers: Mapping[Service, Router], faults: Faults) -> None:
        self._routers = routers
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        host = Headers(scope=scope).get("host", "")
        service = service_of(host)
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                headers.setdefault("x-ms-request-id", str(uuid.uuid4()))
                page_headers.protect(headers, service, scope["path"])
            await send(message)

        try:
            await self._serve(scope, host, service, receive, counted)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except Exception as error:
            _log.exception("%s https://%s%s failed", scope["method"], host, scope["path"])
            if status:
                raise
            message = f"localcloud failed: {error!r}. Its log has the details (localcloud logs)."
            body = {"error": {"code": "InternalServerError", "message": message}, "message": message}
            await JSONResponse(body, 500)(scope, receive, counted)
        finally:
            # Queries may hold signatures: only the path is logged.
            took = (time.perf_counter() - started) * 1000
            _requests.info("%s https://%s%s %s %.1f ms", scope["method"], host, scope["path"], status, took)

    async def _serve(self, scope: Scope, host: str, service: Service | None, receive: Receive, send: Send) -> None:
        if service is None:
            message = f"localcloud has no service at host {host!r}."
            await JSONResponse({"error": {"code": "UnknownHost", "message": message}}, 404)(scope, receive, send)
            return
        await self._faults.serve(self._routers[service], scope, host.rsplit(":", 1)[0], receive, send)
