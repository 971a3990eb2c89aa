"""Azure Monitor put together: the store, the operations of Resource Manager, and the task that evaluates rules."""

from __future__ import annotations

from starlette.routing import BaseRoute

from localcloud.core.context import Context
from localcloud.monitor import workbooks
from localcloud.monitor.alerts import Alerts
from localcloud.monitor.alerts_api import AlertsApi
from localcloud.monitor.evaluator import Evaluator
from localcloud.monitor.ingestion import Ingestion
from localcloud.monitor.metric_store import MetricStore
from localcloud.monitor.metrics_api import MetricsApi


def build(ctx: Context) -> list[BaseRoute]:
    """Register the types of Resource Manager, let the evaluator start, and return the routes of ingestion."""
    store, alerts = MetricStore(ctx.database), Alerts(ctx.database)
    MetricsApi(store).register(ctx)
    AlertsApi(alerts).register(ctx)
    workbooks.register(ctx)
    ctx.on_start.append(Evaluator(ctx, store, alerts).start)
    return Ingestion(ctx, store).routes()
