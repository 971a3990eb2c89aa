"""The workbook of the platform: runs, failures, drift, scored rows and cost per day, on one page of the portal.

Its content is the JSON of Azure's workbooks (version Notebook/1.0; items 1 text, 3 query, 10 metrics, as in
microsoft/Application-Insights-Workbooks). A query's type is 0 for logs and 12 for Resource Manager.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import applicationinsights

from infra.naming import Names
from infra.placement import Placement

_DAYS_30 = 30 * 24 * 3600 * 1000
_TOTAL = 1
"""Aggregation of a metric's values, by its number in workbooks."""
_LEARNING = "microsoft.machinelearningservices/workspaces"
_COST_VERSION = "2023-11-01"


@dataclass(frozen=True, kw_only=True)
class WorkbookArgs:
    """Ids are ARM ids; the cost is the resource group's."""

    names: Names
    placement: Placement
    log_workspace_id: pulumi.Input[str]
    ml_workspace_id: pulumi.Input[str]
    resource_group_id: pulumi.Input[str]


class PlatformWorkbook(pulumi.ComponentResource):
    """The workbook. It shows data that its reader has access to."""

    def __init__(self, name: str, args: WorkbookArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:monitoring:PlatformWorkbook", name, None, opts)
        place = args.placement
        applicationinsights.Workbook(
            f"{name}-runs",
            resource_name_=pulumi.Output.from_input(place.subscription_id).apply(args.names.workbook),
            resource_group_name=place.resource_group_name,
            location=place.location,
            kind="shared",
            category="workbook",
            display_name=f"Models of {args.names.base} {args.names.environment}",
            # Azure shows it in lowercase letters, and another spelling would be a difference for ever.
            source_id=pulumi.Output.from_input(args.log_workspace_id).apply(str.lower),
            serialized_data=pulumi.Output.all(
                args.log_workspace_id, args.ml_workspace_id, args.resource_group_id
            ).apply(lambda ids: content(*ids)),
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def content(log_workspace_id: str, ml_workspace_id: str, resource_group_id: str) -> str:
    """Return the workbook's JSON: the same text for the same ids."""
    items = [
        _text("Runs and models of the last 30 days. docs/operations.md of the repository has remedies."),
        _run_counts(ml_workspace_id),
        _log_query(
            log_workspace_id,
            "failed-notebooks",
            "Failed notebook runs per day",
            'DatabricksJobs | where ActionName in ("runFailed", "submitRunFailed") '
            "| summarize failed = count() by bin(TimeGenerated, 1d)",
        ),
        _log_query(
            log_workspace_id,
            "scored-rows",
            "Scored rows per day",
            _metric("scored_rows", "rows = sum(Sum) by bin(TimeGenerated, 1d), model"),
        ),
        _log_query(
            log_workspace_id,
            "breaches",
            "Breaches of the watch per day",
            _metric("watch_breaches", "breaches = sum(Sum) by bin(TimeGenerated, 1d), model"),
        ),
        _log_query(
            log_workspace_id,
            "drift",
            "Largest drift index of a column per day",
            _metric("drift_index", "index = max(Sum / ItemCount) by bin(TimeGenerated, 1d), model"),
        ),
        _log_query(
            log_workspace_id,
            "prediction-drift",
            "Drift index of the predictions per day",
            _metric("prediction_drift_index", "index = max(Sum / ItemCount) by bin(TimeGenerated, 1d), model"),
        ),
        _cost(resource_group_id),
    ]
    notebook = {"version": "Notebook/1.0", "items": items, "fallbackResourceIds": [log_workspace_id]}
    return json.dumps(notebook, separators=(",", ":"), sort_keys=True)


def _text(text: str) -> dict[str, Any]:
    return {"type": 1, "content": {"json": text}, "name": "about"}


def _metric(name: str, summary: str) -> str:
    """Return a query of a custom metric, whose dimensions the logs keep."""
    return f'AppMetrics | where Name == "{name}" | extend model = tostring(Properties.model) | summarize {summary}'


def _log_query(workspace_id: str, name: str, title: str, query: str) -> dict[str, Any]:
    return {
        "type": 3,
        "content": {
            "version": "KqlItem/1.0",
            "query": query,
            "size": 0,
            "title": title,
            "timeContext": {"durationMs": _DAYS_30},
            "queryType": 0,
            "resourceType": "microsoft.operationalinsights/workspaces",
            "crossComponentResources": [workspace_id],
            "visualization": "timechart",
            "noDataMessage": "There are no values yet.",
        },
        "name": name,
    }


def _run_counts(workspace_id: str) -> dict[str, Any]:
    return {
        "type": 10,
        "content": {
            "chartId": "workbook-runs",
            "version": "MetricsItem/2.0",
            "size": 0,
            "chartType": 2,
            "resourceType": _LEARNING,
            "metricScope": 0,
            "resourceIds": [workspace_id],
            "timeContext": {"durationMs": _DAYS_30},
            "metrics": [_total(metric) for metric in ("Started Runs", "Completed Runs", "Failed Runs")],
            "title": "Runs in Azure Machine Learning",
            "gridSettings": {"rowLimit": 10000},
        },
        "name": "runs",
    }


def _total(metric: str) -> dict[str, Any]:
    return {"namespace": _LEARNING, "metric": f"{_LEARNING}-Run-{metric}", "aggregation": _TOTAL}


def _cost(resource_group_id: str) -> dict[str, Any]:
    """Return the query of Cost Management for the group's actual cost, per day of this month."""
    cost_query = {
        "type": "ActualCost",
        "timeframe": "MonthToDate",
        "dataset": {"granularity": "Daily", "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}}},
    }
    endpoint = {
        "version": "ARMEndpoint/1.0",
        "data": json.dumps(cost_query, separators=(",", ":")),
        "headers": [],
        "method": "POST",
        "path": f"{resource_group_id}/providers/Microsoft.CostManagement/query",
        "urlParams": [{"key": "api-version", "value": _COST_VERSION}],
        "batchDisabled": False,
        "transformers": [{"type": "jsonpath", "settings": {"tablePath": "$.properties.rows", "columns": _columns()}}],
    }
    return {
        "type": 3,
        "content": {
            "version": "KqlItem/1.0",
            "query": json.dumps(endpoint, separators=(",", ":")),
            "size": 0,
            "title": "Cost per day of this month",
            "queryType": 12,
            "visualization": "table",
        },
        "name": "cost",
    }


def _columns() -> Sequence[dict[str, str]]:
    """Columns of an answer with a daily granularity: cost, day as a number, currency."""
    return [
        {"path": "$[1]", "columnid": "day"},
        {"path": "$[0]", "columnid": "cost", "columnType": "number"},
        {"path": "$[2]", "columnid": "currency"},
    ]
