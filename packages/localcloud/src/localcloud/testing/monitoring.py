"""Fixtures for tests of Azure Monitor: a component, an identity that may send to it, rules, and telemetry items."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, unique

COMPONENT, RULE, ACTION_GROUP = "2020-02-02", "2018-03-01", "2023-01-01"


def make_component(azure: AzureSession, group: str, **properties: Any) -> Json:
    """Make a component over a new Log Analytics workspace; as ARM shows it."""
    workspace = f"{group}/providers/Microsoft.OperationalInsights/workspaces/{unique('log-')}"
    azure.put(workspace, "2025-02-01", {"location": "westeurope", "properties": {"sku": {"name": "PerGB2018"}}})
    own = {"Application_Type": "web", "WorkspaceResourceId": workspace, "DisableLocalAuth": True, **properties}
    id_ = f"{group}/providers/Microsoft.Insights/components/{unique('appi-')}"
    return azure.put(id_, COMPONENT, {"location": "westeurope", "kind": "web", "properties": own})


def make_identity(azure: AzureSession, group: str) -> str:
    """Make a user-assigned identity; the id of its principal."""
    id_ = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}"
    identity = azure.put(id_, "2023-01-31", {"location": "westeurope"})
    return str(identity["properties"]["principalId"])


def item(component: Json, name: str, value: float, time: datetime | None = None, **dimensions: str) -> Json:
    """Return a telemetry item as the exporter sends it."""
    return {
        "ver": 1,
        "name": "Microsoft.ApplicationInsights.Metric",
        "time": (time or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "iKey": component["properties"]["InstrumentationKey"],
        "tags": {},
        "data": {
            "baseType": "MetricData",
            "baseData": {
                "ver": 2,
                "metrics": [{"name": name, "value": value, "count": 1}],
                "properties": dimensions,
            },
        },
    }


def rule(component_id: str, metric: str, **properties: Any) -> Json:
    """Return the body of a rule that fires when a custom metric was above 0."""
    criterion = {
        "criterionType": "StaticThresholdCriterion", "name": "breached", "metricName": metric,
        "metricNamespace": "azure.applicationinsights", "timeAggregation": "Maximum", "operator": "GreaterThan",
        "threshold": 0, "skipMetricValidation": True,
    }  # fmt: skip
    own = {
        "severity": 2, "enabled": True, "scopes": [component_id], "evaluationFrequency": "PT5M", "windowSize": "PT15M",
        "description": "Data have drifted.", "criteria": {
            "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [criterion],
        }, **properties,
    }  # fmt: skip
    return {"location": "global", "properties": own}
