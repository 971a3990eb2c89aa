"""An alert from a value to a webhook: the stack's kind of rule, the vendor's clients, the common alert schema."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.mgmt.alertsmanagement import AlertsManagementClient
from azure.mgmt.applicationinsights import ApplicationInsightsManagementClient
from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.clock import MovedClock
from localcloud.testing.clock import clock as clock
from localcloud.testing.monitoring import ACTION_GROUP, RULE, item, make_component, make_identity, rule
from localcloud.testing.principals import session_as

PATIENCE_SECONDS = 60


class Receiver:
    """A webhook on this machine, behind a certificate that localcloud trusts."""

    def __init__(self, cloud: Any) -> None:
        self.calls: list[Json] = []
        self.refusals = 0
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cloud.settings.tls / "server.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/alerts?code=secret"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.receiver.refusals > 0
        self.receiver.refusals -= refused
        if not refused:
            self.receiver.calls.append(json.loads(content))
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the log off the test's standard error."""


@pytest.fixture
def receiver(azure: AzureSession, cloud: Any) -> Iterator[Receiver]:
    with Receiver(cloud) as receiver:
        yield receiver


def wait(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.1)
    return value


def make_group(azure: AzureSession, group: str, url: str, **receiver: Any) -> requests.Response:
    id_ = f"{group}/providers/Microsoft.Insights/actionGroups/{unique('ag')}"
    webhook = {"name": "hook", "serviceUri": url, "useCommonAlertSchema": True, **receiver}
    properties = {"groupShortName": "mlops", "enabled": True, "webhookReceivers": [webhook]}
    return azure.arm("PUT", id_, ACTION_GROUP, {"location": "Global", "properties": properties})


def send(azure: AzureSession, cloud: Any, group: str, component: Json, value: float) -> None:
    principal = make_identity(azure, group)
    azure.assign(component["id"], "Monitoring Metrics Publisher", principal)
    token = session_as(cloud, principal).credential.get_token("https://monitor.azure.com//.default").token
    endpoint = dict(part.split("=", 1) for part in component["properties"]["ConnectionString"].split(";"))
    answer = requests.post(
        f"{endpoint['IngestionEndpoint']}v2.1/track", json=[item(component, "watch_breaches_m", value, model="m")],
        headers={"Authorization": f"Bearer {token}"}, timeout=30,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text


def test_a_breach_calls_the_webhook_and_is_listed_until_it_is_resolved(
    azure: AzureSession, cloud: Any, group: str, clock: MovedClock, receiver: Receiver
) -> None:
    component = make_component(azure, group)
    response = make_group(azure, group, receiver.url)
    assert response.status_code in (200, 201), response.text
    body = rule(component["id"], "watch_breaches_m", actions=[{"actionGroupId": response.json()["id"]}])
    rule_id = f"{group}/providers/Microsoft.Insights/metricAlerts/watch-m"
    azure.put(rule_id, RULE, body)
    receiver.refusals = 1  # tried again, after five seconds
    start = datetime(2030, 3, 4, 12, 1, tzinfo=UTC)
    clock.set(start)
    send(azure, cloud, group, component, 2)
    clock.set(start + timedelta(minutes=5))

    (fired,) = wait(lambda: list(receiver.calls))
    assert fired["schemaId"] == "azureMonitorCommonAlertSchema"
    essentials = fired["data"]["essentials"]
    assert (essentials["alertRule"], essentials["severity"], essentials["monitorCondition"]) == (
        "watch-m", "Sev2", "Fired",
    )  # fmt: skip
    assert essentials["alertTargetIDs"] == [component["id"].lower()]
    assert (essentials["signalType"], essentials["monitoringService"]) == ("Metric", "Platform")
    (condition,) = fired["data"]["alertContext"]["condition"]["allOf"]
    assert (condition["metricName"], condition["metricValue"], condition["threshold"]) == ("watch_breaches_m", 2, "0")

    client: Any = AlertsManagementClient(azure.credential, azure.subscription_id)
    (alert,) = client.alerts.get_all(alert_rule=rule_id, monitor_condition="Fired", include_context=True)
    assert alert.properties.essentials.alert_state == "New"
    assert alert.properties.context["condition"]["windowSize"] == "PT15M"
    guid = alert.id.rsplit("/", 1)[-1]
    assert essentials["alertId"] == f"{azure.subscription}/providers/Microsoft.AlertsManagement/alerts/{guid}"
    assert client.alerts.change_state(guid, new_state="Acknowledged").properties.essentials.alert_state == (
        "Acknowledged"
    )
    clock.set(start + timedelta(minutes=60))
    wait(lambda: len(receiver.calls) == 2)
    resolved = receiver.calls[1]["data"]["essentials"]
    assert (resolved["monitorCondition"], resolved["alertId"]) == ("Resolved", essentials["alertId"])
    assert resolved["resolvedDateTime"] > resolved["firedDateTime"]
    listed = client.alerts.get_by_id(guid).properties.essentials
    assert (listed.monitor_condition, listed.alert_state) == ("Resolved", "Acknowledged")
    events = [
        modification.modification_event for modification in client.alerts.get_history(guid).properties.modifications
    ]
    assert events == ["AlertCreated", "StateChange", "MonitorConditionChange"]
    assert "code=secret" not in (cloud.settings.logs / "gateway.log").read_text(encoding="utf-8")


def test_alerts_that_are_not_there_and_states_that_are_not_known_are_refused(azure: AzureSession) -> None:
    client: Any = AlertsManagementClient(azure.credential, azure.subscription_id)
    with pytest.raises(HttpResponseError, match="The alert '99999999-0000-0000-0000-000000000000' was not found"):
        client.alerts.get_by_id("99999999-0000-0000-0000-000000000000")
    base = f"{azure.subscription}/providers/Microsoft.AlertsManagement/alerts"
    status, code, message = error_of(azure.arm("GET", base, "2019-05-05-preview", timeRange="1y"))
    assert (status, code) == (400, "BadRequest") and "The timeRange '1y' is not valid: use one of 1d, 1h" in message
    status, _, message = error_of(azure.arm("POST", f"{base}/x/changestate", "2019-05-05-preview", newState="Gone"))
    assert status == 400 and "The newState 'Gone' is not valid: use New, Acknowledged, Closed" in message
    assert error_of(azure.arm("GET", base, "2019-05-05-preview", select="essentials"))[:2] == (501, "NotImplemented")


@pytest.mark.parametrize(
    ("url", "receiver", "status", "message"),
    [
        ("ftp://hooks.example.com/secret", {}, 400, "The serviceUri of webhook 'hook'"),
        ("https://[secret", {}, 400, "is not a valid URI"),
        ("http://hooks.example.com/secret", {}, 501, "webhooks by http"),
        ("https://hooks.example.com/secret", {"useCommonAlertSchema": False}, 501, "without the common alert schema"),
    ],
)
def test_webhooks_that_cannot_be_called_are_refused(
    azure: AzureSession, group: str, url: str, receiver: Json, status: int, message: str
) -> None:
    answered, _, text = error_of(make_group(azure, group, url, **receiver))
    assert answered == status and message in text
    assert "secret" not in text


def test_a_workbook_is_stored_unchanged_and_has_to_be_one(azure: AzureSession, group: str) -> None:
    client: Any = ApplicationInsightsManagementClient(azure.credential, azure.subscription_id)
    name, content = "11111111-2222-3333-4444-555555555555", json.dumps({"version": "Notebook/1.0", "items": []})
    resource_group = group.rsplit("/", 1)[-1]
    values = {
        "location": "westeurope", "kind": "shared",
        "properties": {"displayName": "Models", "category": "workbook", "serializedData": content},
    }  # fmt: skip
    client.workbooks.create_or_update(resource_group, name, values)
    saved = client.workbooks.get(resource_group, name, can_fetch_content=True)
    assert (saved.serialized_data, saved.kind, saved.source_id) == (content, "shared", "azure monitor")

    def refused(name: str = name, **change: Any) -> str:
        properties = {**values["properties"], **change}  # type: ignore[dict-item]
        id_ = f"{group}/providers/Microsoft.Insights/workbooks/{name}"
        status, code, message = error_of(azure.arm("PUT", id_, "2022-04-01", {**values, "properties": properties}))
        assert (status, code) == (400, "BadRequest")
        return message

    assert "it must be a UUID" in refused("models")
    assert "is not a text that holds a JSON object" in refused(serializedData="{")
    assert "has no items, or a version other than Notebook/1.0" in refused(serializedData="{}")
