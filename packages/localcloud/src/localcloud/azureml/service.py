"""Azure Machine Learning as a part of localcloud."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from localcloud.azureml import (
    assets,
    compute,
    connections,
    datastore_service,
    datastores,
    discovery,
    endpoints,
    invoke,
    managed_network,
    quota,
    registries,
    registry_assets,
    registry_front,
    registry_import,
    registry_storage,
    uploads,
    workspaces,
)
from localcloud.azureml.environment_builds import EnvironmentBuilds
from localcloud.azureml.jobs import service as jobs_service
from localcloud.azureml.mlflow import service as mlflow_service
from localcloud.azureml.online import service as online_service
from localcloud.azureml.schedules import arm as schedules
from localcloud.core.context import Context


@dataclass(frozen=True)
class AzureMLService:
    """`routes` for *.api.azureml.ms, `scoring_routes` for *.inference.ml.azure.com, `page_routes` for localhost."""

    routes: list[BaseRoute]
    scoring_routes: list[BaseRoute]
    page_routes: list[Route]


def build(ctx: Context) -> AzureMLService:
    """Register the resource types and make the routes."""
    ctx.offered[EnvironmentBuilds] = EnvironmentBuilds(ctx)
    for module in (
        workspaces,
        managed_network,
        datastores,
        assets,
        uploads,
        compute,
        connections,
        endpoints,
        quota,
        registries,
        registry_assets,
        registry_storage,
        registry_import,
    ):
        module.register(ctx)
    schedules.register(ctx)
    jobs, mlflow = jobs_service.build(ctx), mlflow_service.build(ctx)
    return AzureMLService(
        routes=[
            *discovery.build_routes(),
            *registry_front.build_routes(ctx),
            *mlflow.artifact_routes,
            *datastore_service.build_routes(ctx, mlflow.tokens),
            *jobs.routes,
            *mlflow.routes,
        ],
        scoring_routes=[*invoke.build_routes(ctx), *online_service.build(ctx)],
        page_routes=[*jobs.page_routes, *mlflow.page_routes],
    )
