"""GET https://REGION.api.azureml.ms/discovery: where a region's services are. Clients send no token with it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

_SERVICES = (
    "history", "catalog", "pipelines", "modelmanagement", "metrics", "hyperdrive", "notebooks", "inference", "api",
    "studio", "mlflow", "dataset", "artifacts",
)  # fmt: skip


async def discover(request: Request) -> Response:
    base = f"https://{request.headers['host']}"
    named = {"api": base, "studio": "https://ml.azure.com"}
    return JSONResponse({name: named.get(name, base) for name in _SERVICES})


def build_routes() -> list[BaseRoute]:
    return [Route("/discovery", discover), Route("/discovery/workspaces/{workspace:path}", discover)]
