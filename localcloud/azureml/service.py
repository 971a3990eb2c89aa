"""Azure Machine Learning as a part of localcloud."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from localcloud.core.context import Context


@dataclass(frozen=True)
class AzureMLService:
    """`routes` for *.api.azureml.ms, `scoring_routes` for *.inference.ml.azure.com, `local_routes` for localhost."""

    routes: list[BaseRoute] = field(default_factory=list)
    scoring_routes: list[BaseRoute] = field(default_factory=list)
    local_routes: list[BaseRoute] = field(default_factory=list)


def build(ctx: Context) -> AzureMLService:
    """Register the resource types and make the routes."""
    return AzureMLService()
