"""A job's metrics reach localcloud's Application Insights by the role of its identity, and not without it."""

from __future__ import annotations

from typing import Any

import pytest
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.monitoring import make_component, make_identity
from localcloud.testing.principals import session_as

from infra import model_alerts
from steps.telemetry import Metric, TelemetryError, alerted_name, send

METRICS = [
    Metric("watch_breaches", 2, {"model": "diabetes"}),
    Metric("drift_index", 0.4, {"model": "diabetes", "column": "bmi"}),
]


def test_metrics_are_taken_from_an_identity_that_has_the_role(azure: AzureSession, cloud: Any, group: str) -> None:
    component = make_component(azure, group)
    connection = component["properties"]["ConnectionString"]
    principal = make_identity(azure, group)
    credential = session_as(cloud, principal).credential

    with pytest.raises(
        TelemetryError,
        match=r"did not accept 3 metrics: 403, 0 of 3 accepted: Forbidden - provided credentials do not grant the "
        r"access to ingest the telemetry into the component\. Give the identity the role Monitoring Metrics Publisher",
    ):
        send(connection, METRICS, credential)

    azure.assign(component["id"], "Monitoring Metrics Publisher", principal)
    send(connection, METRICS, credential)
    definitions = azure.arm(
        "GET", f"{component['id']}/providers/Microsoft.Insights/metricDefinitions", "2024-02-01",
        metricnamespace=model_alerts.NAMESPACE,
    ).json()["value"]  # fmt: skip
    assert {definition["name"]["value"] for definition in definitions} == {
        "watch_breaches", alerted_name("watch_breaches", "diabetes"), "drift_index",
    }  # fmt: skip


def test_a_component_that_is_gone_takes_nothing(azure: AzureSession, cloud: Any, group: str) -> None:
    component = make_component(azure, group)
    azure.arm("DELETE", component["id"], "2020-02-02")
    credential = session_as(cloud, make_identity(azure, group)).credential

    with pytest.raises(TelemetryError, match=r"400, 0 of 3 accepted: Invalid instrumentation key\.$"):
        send(component["properties"]["ConnectionString"], METRICS, credential)
