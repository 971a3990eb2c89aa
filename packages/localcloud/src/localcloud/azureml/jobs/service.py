"""Jobs as a part of Azure ML."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from localcloud.azureml.jobs.arm import JobType
from localcloud.azureml.jobs.commands import Commands
from localcloud.azureml.jobs.history import RunHistory
from localcloud.azureml.jobs.page import Pages
from localcloud.azureml.jobs.reuse import Reuse
from localcloud.azureml.jobs.runner import JobRunner
from localcloud.azureml.jobs.runs import RunStore
from localcloud.azureml.jobs.sources import Sources
from localcloud.azureml.jobs.submit import Submission
from localcloud.azureml.jobs.tracking import Tracking
from localcloud.azureml.jobs.transfer import Transfer
from localcloud.azureml.mlflow import service as mlflow_service
from localcloud.core.context import Context
from localcloud.core.plain_paths import remove_link


@dataclass(frozen=True)
class JobsService:
    """`routes` for *.api.azureml.ms (run history and its neighbours), `page_routes` for run pages on localhost."""

    routes: list[BaseRoute]
    page_routes: list[Route]


def build(ctx: Context) -> JobsService:
    """Register the type, make the routes, and hook into the gateway's start and stop."""
    mlflow = mlflow_service.build(ctx)
    store, transfer, tracking = RunStore(ctx.database), Transfer(ctx), Tracking(mlflow.mlflow)
    commands = Commands(ctx, transfer, tracking, mlflow.tokens)
    runner = JobRunner(ctx, store, commands, tracking, Reuse(ctx, store, transfer))
    submission = Submission(ctx, store, runner, Sources(ctx, store, mlflow.models))
    ctx.offered[Submission] = submission
    JobType(ctx, store, runner, submission, tracking).register()

    async def stop() -> None:
        await commands.close()
        transfer.close()
        remove_link(ctx.settings.runs)

    ctx.on_start.append(runner.recover)
    ctx.on_stop.append(stop)
    history = RunHistory(ctx, store, runner, mlflow)
    return JobsService(history.routes(), Pages(ctx, store, runner, mlflow.mlflow).routes())
