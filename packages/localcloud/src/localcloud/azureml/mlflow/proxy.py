"""https://REGION.api.azureml.ms/mlflow/v1.0/…/workspaces/WS/…: MLflow's own API, for authorized callers.

Artifacts stream both ways, so that any size passes; the bodies of other requests are bounded.
"""

from __future__ import annotations

import json
import logging
import re

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from localcloud.azureml.mlflow import access, azureml_uris
from localcloud.azureml.mlflow.bodies import bounded_content, checked, content_of
from localcloud.azureml.mlflow.client import Mlflow
from localcloud.azureml.mlflow.workspaces import WORKSPACE_HEADER
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import parsed
from localcloud.core.streams import streamed

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_FORWARDED = frozenset({"accept", "content-type", "content-length", "range", "user-agent"})
_RETURNED = frozenset(
    {
        "content-type", "content-length", "content-disposition", "content-encoding", "content-range", "etag",
        "x-content-type-options",
    }
)  # fmt: skip
_READS = ("get", "search", "list")
_RAW = re.compile(r".*?/workspaces/[^/]+/(.*)", re.IGNORECASE)
_ERROR_CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST"}
_log = logging.getLogger("localcloud.azureml")


class MlflowProxy:
    """Authorizing proxy in front of the MLflow server."""

    def __init__(self, ctx: Context, mlflow: Mlflow, tokens: access.RunTokens) -> None:
        self._ctx = ctx
        self._mlflow = mlflow
        self._tokens = tokens

    def routes(self) -> list[BaseRoute]:
        return [Route("/mlflow/{version}/{path:path}", self._answer, methods=_METHODS)]

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._forward(request)
        except ServiceError as error:
            code = _ERROR_CODES.get(error.status, error.code)
            return JSONResponse({"error_code": code, "message": error.message}, error.status, error.headers)
        except httpx.TransportError as error:
            _log.warning("%s %s: MLflow: %r", request.method, request.url.path, error)
            body = {"error_code": "TEMPORARILY_UNAVAILABLE", "message": f"The MLflow server does not answer: {error!r}"}
            return JSONResponse(body, 503, {"Retry-After": "1"})

    async def _forward(self, request: Request) -> Response:
        workspace_id, rest = access.split(request.path_params["path"])
        if {".", ".."} & set(rest.split("/")):
            # httpx resolves them: they would lead to another operation than the authorized one.
            raise ServiceError(400, "BAD_REQUEST", f"The path {request.scope['path']!r} has segments of dots.")
        if not _served(rest):
            raise not_emulated(f"{request.method} {request.url.path}")
        access.enter(self._ctx, self._tokens, request, workspace_id, permission(request.method, rest))
        workspace = access.workspace_at(self._ctx, workspace_id)
        name = await self._mlflow.workspace(workspace)
        headers = {key: value for key, value in request.headers.items() if key in _FORWARDED}
        headers[WORKSPACE_HEADER] = name
        headers["accept-encoding"] = request.headers.get("accept-encoding", "identity")
        # The path is unchanged: names of artifacts may hold escaped characters.
        raw = _RAW.fullmatch(request.scope["raw_path"].decode("ascii").split("?")[0])
        target = f"/{raw[1] if raw else rest}" + (f"?{request.url.query}" if request.url.query else "")
        by_plugin = azureml_uris.wanted(headers.get("user-agent", ""), request.path_params["version"])
        if by_plugin and "mlflow-artifacts" not in rest:
            return await self._for_plugin(request, target, headers, workspace_id)
        content = await content_of(request, rest)
        upstream = self._mlflow.build(request.method, target, headers=headers, content=content)
        answer = await checked(await self._mlflow.send(upstream))
        kept = {key: value for key, value in answer.headers.items() if key in _RETURNED}
        return StreamingResponse(streamed(answer), answer.status_code, kept)

    async def _for_plugin(self, request: Request, target: str, headers: dict[str, str], workspace_id: str) -> Response:
        """Forward a request, and answer with Azure ML's addresses of artifacts instead of MLflow's."""
        content = await bounded_content(request)
        if content and "json" in headers.get("content-type", ""):
            try:
                body = azureml_uris.stored(parsed(content), headers[WORKSPACE_HEADER])
            except ValueError:
                body = None  # MLflow's answer has the reason
            content = content if body is None else json.dumps(body).encode()
        headers = {key: value for key, value in headers.items() if key != "content-length"}
        upstream = self._mlflow.build(request.method, target, headers=headers, content=content)
        answer = await checked(await self._mlflow.send(upstream))
        try:
            text = await answer.aread()
        finally:
            await answer.aclose()
        if "json" in answer.headers.get("content-type", ""):
            public = azureml_uris.with_public_uris(json.loads(text), request.headers.get("host", ""), workspace_id)
            return JSONResponse(public, answer.status_code)
        return Response(text, answer.status_code, media_type=answer.headers.get("content-type"))


def permission(method: str, rest: str) -> str:
    """Return the workspace permission that an MLflow call needs, such as "models/write".

    Source of the names: the operations of Microsoft.MachineLearningServices (workspaces/experiments/runs/write …).
    """
    parts = [part for part in rest.split("/") if part]
    if "mlflow-artifacts" in parts:
        verb = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(method, "write")
        return f"metadata/artifacts/{verb}"
    after = parts[parts.index("mlflow") + 1 :] if "mlflow" in parts else []
    if not after:
        return "read"
    last = after[-1]
    if method in {"GET", "HEAD"} or any(last == word or last.startswith(f"{word}-") for word in _READS):
        verb = "read"
    else:
        verb = "delete" if method == "DELETE" or last == "delete" else "write"
    if after[0] in {"registered-models", "model-versions"}:
        return f"models/{verb}"
    if after[0] == "experiments":
        return f"experiments/{verb}"
    return f"experiments/runs/{'write' if verb == 'delete' else verb}"


def _served(rest: str) -> bool:
    """MLflow's REST API; not its pages, and not the management of its workspaces."""
    if rest in {"version", "health"}:
        return True
    parts = rest.split("/")
    return parts[0] == "api" and "workspaces" not in parts[3:4] and len(parts) > 2
