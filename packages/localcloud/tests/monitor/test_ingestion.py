"""Telemetry of Application Insights: sign-in, role, forms of a request, and refusals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter
from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, error_of
from localcloud.testing.monitoring import COMPONENT, item, make_component, make_identity
from localcloud.testing.principals import session_as
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

SCOPE = "https://monitor.azure.com//.default"


@pytest.fixture(scope="module")
def group(azure: AzureSession) -> Iterator[str]:
    id_ = f"{azure.subscription}/resourceGroups/rg-ingestion"
    azure.put(id_, "2024-03-01", {"location": "westeurope"})
    yield id_
    azure.finish(azure.arm("DELETE", id_, "2024-03-01"))


@pytest.fixture(scope="module")
def component(azure: AzureSession, group: str) -> Json:
    return make_component(azure, group)


@pytest.fixture(scope="module")
def sender(azure: AzureSession, cloud: Any, group: str, component: Json) -> AzureSession:
    principal = make_identity(azure, group)
    azure.assign(component["id"], "Monitoring Metrics Publisher", principal)
    return session_as(cloud, principal)


def post(
    component: Json, content: bytes, session: AzureSession | None, version: str = "v2.1", **headers: str
) -> tuple[int, Json]:
    endpoint = dict(part.split("=", 1) for part in component["properties"]["ConnectionString"].split(";"))
    if session is not None:
        headers["Authorization"] = f"Bearer {session.credential.get_token(SCOPE).token}"
    answer = requests.post(f"{endpoint['IngestionEndpoint']}{version}/track", content, headers=headers, timeout=30)
    return answer.status_code, answer.json()


def test_the_vendor_s_exporter_sends_and_the_vendor_s_client_reads(
    azure: AzureSession, component: Json, sender: AzureSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    for switch in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"):
        monkeypatch.setenv(f"APPLICATIONINSIGHTS_{switch}", "true")
    exporter = AzureMonitorMetricExporter(
        connection_string=component["properties"]["ConnectionString"], credential=sender.credential,
        disable_offline_storage=True,
    )  # fmt: skip
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    provider.get_meter("test").create_counter("exported").add(3, {"model": "diabetes"})
    assert provider.force_flush()
    provider.shutdown()

    client: Any = MonitorManagementClient(azure.credential, azure.subscription_id)
    now = datetime.now(UTC) + timedelta(minutes=1)
    timespan = f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}"
    answer = client.metrics.list(
        component["id"], metricnames="exported", metricnamespace="azure.applicationinsights", timespan=timespan,
        interval="FULL", aggregation="Total,Count",
    )  # fmt: skip
    (metric,) = answer.value
    (series,) = metric.timeseries
    assert [(point.total, point.count) for point in series.data] == [(3, 1)]
    assert [namespace.name for namespace in client.metric_namespaces.list(component["id"])] == [
        "azure.applicationinsights"
    ]
    definitions = client.metric_definitions.list(component["id"], metricnamespace="Azure.ApplicationInsights")
    exported = next(definition for definition in definitions if definition.name.value == "exported")
    assert exported.dimensions == [], "the metric store has none unless the component was opted in"


@pytest.mark.parametrize("form", ["list", "lines", "gzip", "one"])
def test_items_come_in_each_form_that_clients_send(component: Json, sender: AzureSession, form: str) -> None:
    items = [item(component, f"form_{form}", value) for value in (1.0, 2.0)]
    lines = "\n".join(json.dumps(item) for item in items).encode()
    content, headers = {
        "list": (json.dumps(items).encode(), {"Content-Type": "application/json"}),
        "lines": (lines, {"Content-Type": "application/x-json-stream"}),
        "gzip": (gzip.compress(lines), {"Content-Encoding": "gzip"}),
        "one": (json.dumps(items[0]).encode(), {}),
    }[form]
    count = 1 if form == "one" else 2
    assert post(component, content, sender, **headers) == (
        200, {"itemsReceived": count, "itemsAccepted": count, "appId": None, "errors": []},
    )  # fmt: skip


def test_an_identity_without_the_role_is_refused(azure: AzureSession, cloud: Any, group: str, component: Json) -> None:
    stranger = session_as(cloud, make_identity(azure, group))
    content = json.dumps([item(component, "refused", 1)]).encode()
    status, body = post(component, content, stranger)

    assert (status, body["itemsAccepted"]) == (403, 0)
    assert body["errors"] == [
        {
            "index": 0,
            "statusCode": 403,
            "message": "Forbidden - provided credentials do not grant the access to ingest the telemetry into the "
            "component",
        }
    ]


def test_without_a_token_or_with_another_s_the_request_is_refused(
    azure: AzureSession, component: Json, sender: AzureSession
) -> None:
    content = json.dumps([item(component, "refused", 1)]).encode()
    unsigned = "Unauthorized - please provide the valid authorization token"
    status, body = post(component, content, None)
    assert (status, body["errors"][0]["message"]) == (401, unsigned)

    other = sender.credential.get_token("https://management.azure.com/.default").token
    status, body = post(component, content, None, Authorization=f"Bearer {other}")
    assert (status, body["errors"][0]["message"]) == (401, unsigned)

    status, body = post(component, content, sender, version="v2")
    assert status == 400
    assert body["errors"][0]["message"] == "Incorrect API was used - v2 API does not support authentication"


def test_a_component_with_local_sign_in_takes_telemetry_without_a_token(azure: AzureSession, group: str) -> None:
    component = make_component(azure, group, DisableLocalAuth=False)
    content = json.dumps([item(component, "local", 1)]).encode()
    for version in ("v2", "v2.1"):
        assert post(component, content, None, version=version)[0] == 200, version


def test_some_of_the_items_are_accepted(component: Json, sender: AzureSession) -> None:
    fine = item(component, "partly", 1)
    unknown = {**fine, "iKey": "99999999-2222-3333-4444-555555555555"}
    old = item(component, "partly", 1, datetime.now(UTC) - timedelta(days=3))
    far = item(component, "partly", 1, datetime.now(UTC) + timedelta(days=800_000))
    nameless: Json = json.loads(json.dumps(fine))
    del nameless["data"]["baseData"]["metrics"][0]["name"]
    request: Json = json.loads(json.dumps(fine))
    request["data"]["baseType"] = "RequestData"
    status, body = post(component, json.dumps([fine, unknown, old, nameless, request, far]).encode(), sender)

    assert (status, body["itemsReceived"], body["itemsAccepted"]) == (206, 6, 1)
    errors = {error["index"]: (error["statusCode"], error["message"]) for error in body["errors"]}
    assert errors[1] == (400, "Invalid instrumentation key")
    assert errors[2][0] == 400 and errors[2][1].startswith(
        "103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - 172800000ms"
    )
    assert errors[3] == (
        400,
        "109: Field 'name' on type 'DataPoint' is required but missing or empty. Expected: string, Actual: undefined",
    )
    assert errors[5][0] == 400 and "ahead of now" in errors[5][1]
    assert errors[4][0] == 501 and "telemetry of type RequestData" in errors[4][1]


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b"{", {}, 400, "Invalid JSON"),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400, "The body is not gzip"),
        (gzip.compress(b"[" + b" " * (5 * 1024 * 1024) + b"]"), {"Content-Encoding": "gzip"}, 413, "at most"),
        (b"[]", {"Content-Encoding": "br"}, 415, "The content encoding 'br' is not known"),
        (b"[1]", {}, 400, "an item is an object, not 1"),
    ],
)
def test_a_malformed_body_is_refused(
    component: Json, sender: AzureSession, content: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    answered, body = post(component, content, sender, **headers)
    assert answered == status and message in body["errors"][0]["message"], body


def test_dimensions_are_kept_where_the_component_is_opted_in(azure: AzureSession, cloud: Any, group: str) -> None:
    component = make_component(azure, group, CustomMetricsOptedInType="WithDimensions")
    principal = make_identity(azure, group)
    azure.assign(component["id"], "Monitoring Metrics Publisher", principal)
    items = [item(component, "drift_index", value, model="m", column=column) for column, value in (("a", 1), ("b", 3))]
    assert post(component, json.dumps(items).encode(), session_as(cloud, principal))[0] == 200

    client: Any = MonitorManagementClient(azure.credential, azure.subscription_id)
    end = datetime.now(UTC) + timedelta(minutes=1)
    values = {
        "metricnames": "drift_index", "metricnamespace": "azure.applicationinsights", "interval": "FULL",
        "timespan": f"{end - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
        "aggregation": "Average,Maximum",
    }  # fmt: skip
    (whole,) = client.metrics.list(component["id"], **values).value[0].timeseries
    assert (whole.data[0].average, whole.data[0].maximum) == (2, 3)
    split = client.metrics.list(component["id"], filter="column eq '*' and model eq 'm'", **values).value[0].timeseries
    assert {series.metadatavalues[0].value: series.data[0].average for series in split} == {"a": 1, "b": 3}


def test_queries_that_cannot_be_answered_say_why(azure: AzureSession, group: str, component: Json) -> None:
    def refusal(id_: str, **query: Any) -> tuple[int, str, str]:
        return error_of(azure.arm("GET", f"{id_}/providers/Microsoft.Insights/metrics", "2024-02-01", **query))

    own = {"metricnamespace": "azure.applicationinsights"}
    status, code, message = refusal(component["id"], metricnames="nothing", **own)
    assert (status, code) == (400, "BadRequest") and "metric: nothing, Valid metrics:" in message
    assert refusal(component["id"], metricnames="requests/count")[:2] == (501, "NotImplemented")
    assert refusal(group, metricnames="x", **own)[:2] == (501, "NotImplemented")
    status, _, message = refusal(component["id"], metricnames="x", interval="PT2M", **own)
    assert status == 400 and "Detected invalid time grain input 'PT2M'" in message
    span = "0001-01-01T00:00:00+23:00/9999-12-31T00:00:00-23:00"
    status, _, message = refusal(component["id"], metricnames="x", timespan=span, **own)
    assert status == 400 and "The timespan '0001-01-01" in message
    status, _, message = refusal(component["id"], metricnames="x", timespan="yesterday", **own)
    assert status == 400 and "The timespan 'yesterday' is not valid" in message


def test_a_component_made_anew_has_none_of_the_values(azure: AzureSession, cloud: Any, group: str) -> None:
    component = make_component(azure, group, DisableLocalAuth=False)
    assert post(component, json.dumps([item(component, "old", 1)]).encode(), None)[0] == 200
    azure.arm("DELETE", component["id"], COMPONENT)
    body = {"location": "westeurope", "kind": "web", "properties": {"Application_Type": "web"}}
    anew = azure.put(component["id"], COMPONENT, body)

    assert anew["properties"]["InstrumentationKey"] != component["properties"]["InstrumentationKey"]
    answer = azure.arm("GET", f"{anew['id']}/providers/Microsoft.Insights/metricNamespaces", "2017-12-01-preview")
    assert answer.json() == {"value": []}
