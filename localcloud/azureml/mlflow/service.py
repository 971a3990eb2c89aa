"""MLflow as a part of Azure ML."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from localcloud.core.context import Context


@dataclass(frozen=True)
class MlflowService:
    """`routes` for *.api.azureml.ms/mlflow; `local_routes` has none yet."""

    routes: list[BaseRoute] = field(default_factory=list)
    local_routes: list[BaseRoute] = field(default_factory=list)


def build(ctx: Context) -> MlflowService:
    return MlflowService()
