"""Azure Databricks as a service of the gateway: its routes, and its parts with the gateway's lifetime."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from localcloud.core.context import Context
from localcloud.databricks import access, store
from localcloud.databricks.pool_instances import WarmDrivers
from localcloud.databricks.request import Services
from localcloud.databricks.routes import build_local_routes, build_page_routes, build_routes
from localcloud.databricks.run_storage import RunStorage
from localcloud.databricks.runner import Runner
from localcloud.databricks.tokens import RunTokens
from localcloud.databricks.tracking.artifacts import Artifacts
from localcloud.databricks.unity import session
from localcloud.databricks.unity.regions import MetastoreRegions
from localcloud.databricks.workspace_removal import WorkspaceRemoval


@dataclass(frozen=True)
class DatabricksService:
    """`routes` answer at *.azuredatabricks.net; `local_routes` and `page_routes` at localhost, below /_localcloud."""

    routes: list[BaseRoute]
    local_routes: list[BaseRoute]
    page_routes: list[Route]


def build(context: Context) -> DatabricksService:
    """Make the tables and hook into the gateway's start and stop."""
    store.create_schema(context.database)
    warm = WarmDrivers(context)
    context.offered[RunTokens] = run_tokens = RunTokens()
    context.offered[Artifacts] = artifacts = Artifacts(context.settings)
    runner = Runner(context, warm, run_tokens)
    context.offered[WorkspaceRemoval] = WorkspaceRemoval(context, runner, artifacts)
    regions = MetastoreRegions.from_environment()
    context.offered[MetastoreRegions] = regions
    services = Services(context, runner, warm, regions)
    runner.storage = storage = RunStorage(services)

    async def start() -> None:
        live = {workspace.documents.workspace for workspace in access.all_workspaces(context)}
        store.forget_workspaces(context.database, live | set(session.namespaces(context)))
        await asyncio.to_thread(artifacts.forget, live)
        runner.recover()
        await warm.start()

    context.on_start.append(start)
    context.on_stop.append(warm.close)
    return DatabricksService(
        build_routes(services), build_local_routes(services, regions, storage), build_page_routes(services)
    )
