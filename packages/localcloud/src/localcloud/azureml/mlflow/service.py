"""MLflow as a part of Azure ML: the proxy to its server, and models as ARM types."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from localcloud.azureml.common import WORKSPACE
from localcloud.azureml.mlflow.access import RunTokens
from localcloud.azureml.mlflow.artifact_service import ArtifactService
from localcloud.azureml.mlflow.client import Mlflow
from localcloud.azureml.mlflow.local_proxy import LocalProxy
from localcloud.azureml.mlflow.model_types import ModelTypes
from localcloud.azureml.mlflow.models import Models
from localcloud.azureml.mlflow.proxy import MlflowProxy
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.tracking import TrackingServer

_log = logging.getLogger("localcloud.azureml")


@dataclass(frozen=True)
class MlflowService:
    """`routes`: of *.api.azureml.ms; `artifact_routes`: to precede run history's; `page_routes`: of localhost."""

    routes: list[BaseRoute]
    artifact_routes: list[BaseRoute]
    page_routes: list[Route]
    mlflow: Mlflow
    models: Models
    tokens: RunTokens


def build(ctx: Context) -> MlflowService:
    """Make the service, or return the context's existing one."""
    if MlflowService in ctx.offered:
        return ctx.offered[MlflowService]  # type: ignore[no-any-return]
    mlflow, tokens = Mlflow(ctx), RunTokens()
    ctx.offered[TrackingServer] = mlflow
    models = Models(ctx, mlflow)
    ModelTypes(models).register(ctx)
    artifacts = ArtifactService(ctx, mlflow, tokens)
    service = MlflowService(
        routes=MlflowProxy(ctx, mlflow, tokens).routes(), artifact_routes=artifacts.routes(),
        page_routes=LocalProxy(ctx, mlflow).routes(), mlflow=mlflow, models=models, tokens=tokens,
    )  # fmt: skip
    ctx.offered[MlflowService] = service

    async def tidy() -> None:
        try:
            await mlflow.forget_deleted()
        except ServiceError as error:
            _log.warning("MLflow keeps deleted workspaces: %s", error)

    async def start() -> None:
        if ctx.resources.list(WORKSPACE):
            ctx.start_tracking()
        ctx.tasks.start(tidy(), "mlflow: forget deleted workspaces")

    ctx.on_start.append(start)
    return service
