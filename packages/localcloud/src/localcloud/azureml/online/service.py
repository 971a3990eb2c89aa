"""Online endpoints as a part of Azure ML."""

from __future__ import annotations

from starlette.routing import BaseRoute

from localcloud.azureml.jobs.transfer import Transfer
from localcloud.azureml.mlflow import service as mlflow_service
from localcloud.azureml.online import endpoints
from localcloud.azureml.online.deployments import DeploymentType
from localcloud.azureml.online.launches import Launches
from localcloud.azureml.online.scoring import Scoring
from localcloud.azureml.online.servers import Servers
from localcloud.core.context import Context


def build(ctx: Context) -> list[BaseRoute]:
    """Register the types, hook into the gateway's start and stop, and return the routes of the scoring host."""
    transfer = Transfer(ctx)
    servers = Servers(ctx, transfer)
    endpoints.register(ctx)
    DeploymentType(Launches(ctx, mlflow_service.build(ctx).models), servers).register(ctx)

    async def stop() -> None:
        await servers.close()
        transfer.close()

    ctx.on_start.append(servers.restore)
    ctx.on_stop.append(stop)
    return Scoring(ctx, servers).routes()
