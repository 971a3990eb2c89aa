"""Jobs as a part of Azure ML."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from localcloud.core.context import Context


@dataclass(frozen=True)
class JobsService:
    """`routes` for *.api.azureml.ms (run history and its neighbours), `local_routes` for run pages on localhost."""

    routes: list[BaseRoute] = field(default_factory=list)
    local_routes: list[BaseRoute] = field(default_factory=list)


def build(ctx: Context) -> JobsService:
    return JobsService()
