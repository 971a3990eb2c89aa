"""/_localcloud/mlflow on localhost: the MLflow server's pages and its whole API, for the deployer.

The gateway checks sign-in before it calls these routes (gateway/pages.py). Bodies stream both ways.
"""

from __future__ import annotations

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from localcloud.azureml.mlflow.bodies import checked, content_of
from localcloud.azureml.mlflow.client import Mlflow
from localcloud.azureml.mlflow.workspaces import DEFAULT, WORKSPACE_HEADER
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.settings import TRACKING_PATH
from localcloud.core.streams import streamed

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
# Authorization, Cookie and Origin are left out: they are the gateway's business, and MLflow would judge another
# origin.
_FORWARDED = frozenset(
    {
        "accept", "accept-language", "content-type", "content-length", "if-modified-since", "if-none-match", "range",
        "user-agent", WORKSPACE_HEADER.lower(),
    }
)  # fmt: skip
_RETURNED = frozenset(
    {
        "cache-control", "content-disposition", "content-encoding", "content-length", "content-range", "content-type",
        "etag", "last-modified", "x-content-type-options", "x-frame-options",
    }
)  # fmt: skip


class LocalProxy:
    """Forwards a request unchanged, without the credentials that opened it."""

    def __init__(self, ctx: Context, mlflow: Mlflow) -> None:
        self._url = ctx.settings.mlflow_url
        self._mlflow = mlflow

    def routes(self) -> list[Route]:
        return [
            Route(TRACKING_PATH, self._to_page, methods=["GET"]),
            Route(f"{TRACKING_PATH}/{{path:path}}", self._answer, methods=_METHODS),
        ]

    async def _to_page(self, request: Request) -> Response:
        """Add the slash from which the page's relative addresses start."""
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{TRACKING_PATH}/{query}", 307)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._forward(request)
        except ServiceError as error:
            return JSONResponse({"error_code": error.code, "message": error.message}, error.status, error.headers)
        except httpx.TransportError as error:
            body = {"error_code": "TEMPORARILY_UNAVAILABLE", "message": f"The MLflow server does not answer: {error!r}"}
            return JSONResponse(body, 503, {"Retry-After": "1"})

    async def _forward(self, request: Request) -> Response:
        headers = {key: value for key, value in request.headers.items() if key in _FORWARDED}
        if headers.get(WORKSPACE_HEADER.lower(), DEFAULT) == DEFAULT:
            await self._mlflow.claim_default()
        headers["accept-encoding"] = request.headers.get("accept-encoding", "identity")
        query = f"?{request.url.query}" if request.url.query else ""
        content = await content_of(request, request.path_params["path"])
        upstream = self._mlflow.build(
            request.method, f"{self._url}{_target(request)}{query}", headers=headers, content=content
        )
        answer = await checked(await self._mlflow.send(upstream))
        kept = {key: value for key, value in answer.headers.items() if key in _RETURNED}
        return StreamingResponse(streamed(answer), answer.status_code, kept)


def _target(request: Request) -> str:
    """Return MLflow's path unchanged, since names of artifacts may hold escaped characters.

    Raises ServiceError for dot segments, and for the operations that the MLflow server has for the gateway alone.
    """
    segments = [segment for segment in request.path_params["path"].split("/") if segment]
    raw = request.scope["raw_path"].decode("ascii").split("?")[0]
    if {".", ".."} & set(segments) or not raw.startswith(f"{TRACKING_PATH}/"):
        raise ServiceError(400, "INVALID_PARAMETER_VALUE", f"The path {request.url.path} is not in its shortest form.")
    if segments[:1] == ["_localcloud"]:
        raise not_emulated(f"{request.method} {request.url.path}")
    return str(raw.removeprefix(TRACKING_PATH))
