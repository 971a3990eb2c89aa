"""Azure Machine Learning as a part of localcloud."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from starlette.routing import BaseRoute

from localcloud.azureml import (
    assets,
    compute,
    datastores,
    discovery,
    endpoints,
    invoke,
    managed_network,
    registries,
    registry_front,
    registry_models,
    uploads,
    workspaces,
)
from localcloud.core.context import Context


@dataclass(frozen=True)
class AzureMLService:
    """`routes` for *.api.azureml.ms, `scoring_routes` for *.inference.ml.azure.com, `local_routes` for localhost."""

    routes: list[BaseRoute]
    scoring_routes: list[BaseRoute]
    local_routes: list[BaseRoute]


def build(ctx: Context) -> AzureMLService:
    """Register the resource types and make the routes."""
    for module in (
        workspaces,
        managed_network,
        datastores,
        assets,
        uploads,
        compute,
        endpoints,
        registries,
        registry_models,
    ):
        module.register(ctx)
    routes, local = [*discovery.build_routes(), *registry_front.build_routes(ctx)], []
    for name in ("jobs", "mlflow"):
        if importlib.util.find_spec(f"localcloud.azureml.{name}") is None:
            continue
        part = importlib.import_module(f"localcloud.azureml.{name}.service").build(ctx)
        routes += part.routes
        local += part.local_routes
    return AzureMLService(routes, invoke.build_routes(ctx), local)
