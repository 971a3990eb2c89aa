"""The scoring host of online endpoints: https://ENDPOINT.REGION.inference.ml.azure.com/score and /swagger.json.

Source: learn.microsoft.com "Troubleshoot online endpoints" (status codes, x-request-id, x-ms-client-request-id), the
Lua filter of the service's Envoy (ms-azureml-model-error-reason model_error, model_not_ready and
too_many_pending_request, ms-azureml-model-error-statuscode, ms-azureml-model-time; 429 with an empty text/plain body),
azure-ai-ml `_online_endpoint_operations.py` (azureml-model-deployment).
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute

from localcloud.arm import private_link
from localcloud.azureml.common import workspace_of
from localcloud.azureml.online import credentials
from localcloud.azureml.online.routing import Limits, Route, Routes
from localcloud.azureml.online.server import Server
from localcloud.azureml.online.servers import Servers
from localcloud.azureml.online.upstream import UpstreamError
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.core.streams import whole_body

LARGEST = 10 * 1024 * 1024
"""Bytes of a request. Azure's number is not public: this bound suits this machine's memory."""
DEPLOYMENT_HEADER = "azureml-model-deployment"
_REASON, _STATUS = "ms-azureml-model-error-reason", "ms-azureml-model-error-statuscode"
_PASSED = ("content-type", "x-ms-run-function-failed", "x-ms-run-fn-exec-ms", "x-ms-server-version")
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_CLIENT_ID = 40


class Scoring:
    """Host of all online endpoints."""

    def __init__(self, ctx: Context, servers: Servers) -> None:
        self._ctx = ctx
        self._servers = servers
        self._routes = Routes(ctx)
        self._in_flight: Counter[str] = Counter()

    def routes(self) -> list[BaseRoute]:
        return [
            HttpRoute("/score", self.answer, methods=["GET", "POST", "OPTIONS"]),
            HttpRoute("/swagger.json", self.answer, methods=["GET"]),
        ]

    async def answer(self, request: Request) -> Response:
        """Answer a request to an endpoint in any case, with the ids that trace it."""
        ids = {"x-request-id": str(uuid.uuid4())}
        client_id = request.headers.get("x-ms-client-request-id", "")
        if _CLIENT_ID.fullmatch(client_id):
            ids["x-ms-client-request-id"] = client_id[:_LONGEST_CLIENT_ID]
        try:
            response = await self._answer(request, ids)
        except ServiceError as error:
            body = {"error": {"code": error.code, "message": error.message}}
            response = JSONResponse(body, error.status, dict(error.headers))
        response.headers.update(ids)
        return response

    async def _answer(self, request: Request, ids: Mapping[str, str]) -> Response:
        host = request.headers.get("host", "").rsplit(":", 1)[0]
        route = self._routes.find(host)
        if route is None:
            raise ServiceError(404, "NotFound", f"There is no online endpoint at '{host}'.")
        self._check_network(route.endpoint)
        credentials.admit(self._ctx, route.endpoint, request.headers.get("authorization"))
        deployment = route.choose(request.headers.get(DEPLOYMENT_HEADER))
        too_large = ServiceError(413, "RequestEntityTooLarge", f"The request has more than {LARGEST} bytes.")
        body = await whole_body(request, LARGEST, too_large)
        headers = {"content-type": request.headers.get("content-type", "application/json"), **ids}
        query = request.scope["query_string"].decode("latin-1")
        target = request.scope["path"] + (f"?{query}" if query else "")  # the path is one of the two routes
        self._mirror(route, deployment, request.method, target, headers, body)
        return await self._forward(deployment, route.limits_of(deployment), request.method, target, headers, body)

    def _check_network(self, endpoint: Resource) -> None:
        """Refuse a caller from outside where the endpoint is open to the workspace's private endpoint alone."""
        if not private_link.is_closed(endpoint):
            return
        if not private_link.is_private(self._ctx, workspace_of(self._ctx, endpoint.id), "amlworkspace"):
            raise ServiceError(
                403,
                "Forbidden",
                f"Public network access of endpoint '{endpoint.name}' is disabled: call it through the workspace's "
                "private endpoint.",
            )

    async def _forward(
        self, deployment: Resource, limits: Limits, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        key = deployment.id.lower()
        served_by = {DEPLOYMENT_HEADER: deployment.name}
        if self._in_flight[key] >= limits.requests:
            return Response(b"", 429, {_REASON: "too_many_pending_request"} | served_by, "text/plain")
        self._in_flight[key] += 1
        started = time.perf_counter()
        try:
            server = await self._ready(deployment, limits.seconds)
            async with asyncio.timeout(limits.seconds):
                answer = await server.request(method, target, headers, body)
        except TimeoutError:
            message = f"The request took longer than the deployment's timeout of {limits.seconds:g} s."
            return JSONResponse({"error": {"code": "RequestTimeout", "message": message}}, 408, served_by)
        except UpstreamError:
            return _model_error("model_not_ready", "The model's container does not answer.", served_by)
        finally:
            self._in_flight[key] -= 1
        served_by["ms-azureml-model-time"] = f"{(time.perf_counter() - started) * 1000:.0f}"
        served_by |= {name: answer.headers[name] for name in _PASSED if name in answer.headers}
        if answer.status != 200:
            served_by |= {_REASON: "model_error", _STATUS: str(answer.status)}
            return Response(answer.content, 424, served_by)
        return Response(answer.content, 200, served_by)

    async def _ready(self, deployment: Resource, seconds: float) -> Server:
        """Return the deployment's server as soon as it answers. Raises ServiceError 424 when it does not in time."""
        server = self._servers.of(deployment.id)
        if server is None:
            raise _not_ready(deployment)
        if not server.ready.is_set():
            try:
                await asyncio.wait_for(server.ready.wait(), seconds)
            except TimeoutError as error:
                raise _not_ready(deployment) from error
        return server

    def _mirror(
        self, route: Route, chosen: Resource, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Send a copy of the request to the deployment that traffic is mirrored to; drop its answer."""
        deployment = route.mirror(chosen)
        if deployment is not None:
            work = self._forward(deployment, route.limits_of(deployment), method, target, headers, body)
            self._ctx.tasks.start(work, f"mirror to {deployment.name}")


def _not_ready(deployment: Resource) -> ServiceError:
    message = f"The deployment '{deployment.name}' is not ready. Its log says why (get-logs)."
    return ServiceError(424, "ModelNotReady", message, {_REASON: "model_not_ready"})


def _model_error(reason: str, message: str, headers: Mapping[str, str]) -> Response:
    body = {"error": {"code": "ModelNotReady", "message": message}}
    return JSONResponse(body, 424, {_REASON: reason} | dict(headers))
