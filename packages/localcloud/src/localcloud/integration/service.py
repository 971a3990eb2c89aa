"""Event Grid and Logic Apps put together: types, listeners, tasks, and the routes of the workflows' host."""

from __future__ import annotations

from starlette.routing import BaseRoute

from localcloud.core.context import Context
from localcloud.integration.eventgrid import topics
from localcloud.integration.eventgrid.delivery import Delivery
from localcloud.integration.logic import workflows
from localcloud.integration.logic.callbacks import Callbacks
from localcloud.integration.logic.run_store import RunStore
from localcloud.integration.logic.runner import Runner
from localcloud.integration.logic.runs_api import RunsApi
from localcloud.integration.requests import Requests


def build(ctx: Context) -> list[BaseRoute]:
    """Register the types in Resource Manager, let both services start, and return the routes of the callbacks."""
    requests = Requests(ctx)
    delivery = Delivery(ctx, requests)
    topics.register(ctx, delivery)
    ctx.blob_listeners.append(delivery)
    ctx.on_start.append(delivery.start)
    store = RunStore(ctx.database)
    runner = Runner(ctx, store, requests)
    workflows.register(ctx, runner)
    RunsApi(store).register(ctx)
    ctx.on_start.append(runner.start)
    return Callbacks(ctx, store, runner).routes()
