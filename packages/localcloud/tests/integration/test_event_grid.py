"""Event Grid: topics, subscriptions and their refusals, the handshake, and the delivery of events of created blobs."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.clock import MovedClock
from localcloud.testing.clock import clock as clock
from localcloud.testing.lake import Lake, make_lake
from localcloud.testing.workspace_session import wait_for

VERSION = "2025-02-15"
PREFIX = "/blobServices/default/containers/data/blobs/"


class Endpoint:
    """A webhook on this machine. It answers the handshake unless `silent`, and events with the next of `statuses`."""

    def __init__(self, cloud: Any) -> None:
        self.deliveries: list[list[Json]] = []
        self.statuses: list[int] = []
        self.silent = False
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cloud.settings.tls / "server.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.base = f"https://localhost:{self._server.server_port}/events"
        self.url = f"{self.base}?code=secret"

    def __enter__(self) -> Endpoint:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def subjects(self) -> list[str]:
        """Return the subjects of the delivered events, without the container's part."""
        return [event["subject"].removeprefix(PREFIX) for events in self.deliveries for event in events]


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer, status = b"", 200
        if self.headers["aeg-event-type"] == "SubscriptionValidation":
            code = events[0]["data"]["validationCode"]
            answer = b"" if self.endpoint.silent else json.dumps({"validationResponse": code}).encode()
        else:
            status = self.endpoint.statuses.pop(0) if self.endpoint.statuses else 200
            self.endpoint.deliveries.append(events)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the test's standard error."""


@pytest.fixture
def endpoint(azure: AzureSession, cloud: Any) -> Iterator[Endpoint]:
    with Endpoint(cloud) as listening:
        yield listening


@pytest.fixture
def lake(azure: AzureSession, group: str) -> Lake:
    return make_lake(azure, group)


def make_topic(azure: AzureSession, group: str, source: str, **body: Any) -> tuple[str, Any]:
    """PUT a topic; return its id and the answer."""
    id_ = f"{group}/providers/Microsoft.EventGrid/systemTopics/{unique('evgt-')}"
    properties = {"source": source, "topicType": "Microsoft.Storage.StorageAccounts"}
    answer = azure.arm("PUT", id_, VERSION, {"location": "westeurope", "properties": properties, **body})
    if "Location" in answer.headers:
        azure.finish(answer)
    return id_, answer


def subscription(url: str, **properties: Any) -> Json:
    """Return the body of a subscription to CSV files below in/."""
    own = {
        "destination": {"endpointType": "WebHook", "properties": {"endpointUrl": url, "maxEventsPerBatch": 10}},
        "filter": {
            "includedEventTypes": ["Microsoft.Storage.BlobCreated"], "subjectBeginsWith": f"{PREFIX}in/",
            "subjectEndsWith": ".csv", "isSubjectCaseSensitive": True,
            "advancedFilters": [
                {"operatorType": "StringIn", "key": "data.api", "values": ["PutBlob", "PutBlockList", "FlushWithClose"]}
            ],
        }, **properties,
    }  # fmt: skip
    return {"properties": own}


def operation(azure: AzureSession, answer: requests.Response) -> Json:
    """Return a long-running operation once it has ended."""
    path = answer.headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com")
    state: Json = wait_for(lambda: azure.arm("GET", path, "").json(), lambda state: state["status"] != "InProgress")
    return state


def subscribe(azure: AzureSession, topic: str, body: Json) -> Json:
    """Make a subscription; as ARM shows it."""
    answer = azure.arm("PUT", f"{topic}/eventSubscriptions/files", VERSION, body)
    assert answer.status_code == 201, answer.text
    assert operation(azure, answer)["status"] == "Succeeded"
    resource: Json = azure.arm("GET", f"{topic}/eventSubscriptions/files", VERSION).json()
    return resource


def test_a_created_blob_is_delivered_in_event_grid_s_schema_once_its_content_is_complete(
    azure: AzureSession, group: str, lake: Lake, endpoint: Endpoint
) -> None:
    topic, _ = make_topic(azure, group, lake.id)
    resource = subscribe(azure, topic, subscription(endpoint.url))
    assert resource["properties"]["destination"]["properties"] == {
        "endpointBaseUrl": endpoint.base, "maxEventsPerBatch": 10, "preferredBatchSizeInKilobytes": 64,
    }  # fmt: skip
    full = azure.arm("POST", f"{topic}/eventSubscriptions/files/getFullUrl", VERSION).json()
    assert full == {"endpointUrl": endpoint.url}

    for name in ("other/a.csv", "in/a.txt", "in/A.CSV", "in/first.csv"):
        lake.blobs.upload_blob(name, b"a,b\n")
    file = lake.data.get_file_client("in/second.csv")
    file.upload_data(b"1,2\n", overwrite=True)

    wait_for(endpoint.subjects, lambda subjects: len(subjects) >= 2)
    assert endpoint.subjects() == ["in/first.csv", "in/second.csv"]
    first, second = (event for events in endpoint.deliveries for event in events)
    properties = lake.blobs.get_blob_client("in/first.csv").get_blob_properties()
    assert (first["topic"], first["eventType"]) == (lake.id, "Microsoft.Storage.BlobCreated")
    data = first["data"]
    assert (data["api"], data["eTag"], data["contentLength"]) == ("PutBlob", properties.etag, 4)
    assert data["url"] == f"https://{lake.name}.blob.core.windows.net/data/in/first.csv"
    assert (second["data"]["api"], second["data"]["contentLength"]) == ("FlushWithClose", 4)
    assert second["data"]["url"] == f"https://{lake.name}.dfs.core.windows.net/data/in/second.csv"


def test_a_refused_delivery_is_repeated_within_the_policy_s_limits(
    azure: AzureSession, group: str, lake: Lake, endpoint: Endpoint, clock: MovedClock
) -> None:
    topic, _ = make_topic(azure, group, lake.id)
    subscribe(azure, topic, subscription(endpoint.url, retryPolicy={"maxDeliveryAttempts": 2}))
    endpoint.statuses = [500, 200, 500, 500, 400]
    for attempts, name in ((2, "in/again.csv"), (2, "in/dropped.csv"), (1, "in/refused.csv")):
        endpoint.deliveries.clear()
        lake.blobs.upload_blob(name, b"a,b\n")
        wait_for(endpoint.subjects, lambda subjects: subjects == [name])  # noqa: B023 - called at once
        clock.set(datetime.now(UTC) + timedelta(seconds=11))
        if attempts == 2:
            wait_for(endpoint.subjects, lambda subjects: subjects == [name] * 2)  # noqa: B023 - called at once
        clock.reset()
    clock.set(datetime.now(UTC) + timedelta(days=2))
    endpoint.deliveries.clear()
    lake.blobs.upload_blob("in/last.csv", b"a,b\n")
    wait_for(endpoint.subjects, lambda subjects: "in/last.csv" in subjects)
    assert endpoint.subjects() == ["in/last.csv"], "what was dropped does not come back"


def test_an_endpoint_that_does_not_prove_itself_gets_no_subscription(
    azure: AzureSession, group: str, lake: Lake, endpoint: Endpoint
) -> None:
    topic, _ = make_topic(azure, group, lake.id)
    endpoint.silent = True
    answer = azure.arm("PUT", f"{topic}/eventSubscriptions/files", VERSION, subscription(endpoint.url))
    status = operation(azure, answer)
    assert status["error"]["code"] == "URL validation"
    assert status["error"]["message"].startswith(f"Webhook validation handshake failed for {endpoint.base}.")
    assert "secret" not in json.dumps(status)


def test_topics_that_azure_refuses_are_refused(azure: AzureSession, group: str, lake: Lake) -> None:
    topic, _ = make_topic(azure, group, lake.id)
    second = error_of(make_topic(azure, group, lake.id)[1])
    assert second == (
        400, "InvalidRequest",
        f"There is an existing tracked system topic for the given source {lake.id}. Only one system topic is allowed "
        "per source.",
    )  # fmt: skip
    other = make_lake(azure, group)
    moved = {"location": "westeurope", "properties": {"source": other.id,
             "topicType": "Microsoft.Storage.StorageAccounts"}}  # fmt: skip
    assert error_of(azure.arm("PUT", topic, VERSION, moved))[1:] == (
        "InvalidRequest", "System topic source cannot be modified.",
    )  # fmt: skip
    elsewhere = error_of(make_topic(azure, group, other.id, location="northeurope")[1])
    assert elsewhere[0] == 400 and "is not that of its source, 'westeurope'" in elsewhere[2]
    missing = error_of(make_topic(azure, group, f"{lake.id}x")[1])
    assert missing[0] == 400 and "was not found" in missing[2]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"retryPolicy": {"maxDeliveryAttempts": 31}}, 400, "must be an integer from 1 to 30"),
        ({"retryPolicy": {"eventTimeToLiveInMinutes": 0}}, 400, "must be an integer from 1 to 1440"),
        ({"filter": {"includedEventTypes": ["Microsoft.Storage.BlobMade"]}}, 400,
         "The event type 'Microsoft.Storage.BlobMade' is not one"),
        ({"filter": {"advancedFilters": [{"operatorType": "StringIn", "key": "subject", "values": ["x"] * 26}]}}, 400,
         "26, is more than the limit of 25"),
        ({"filter": {"advancedFilters": [{"operatorType": "NumberIn", "key": "data.x", "values": [1]}]}}, 501,
         "advanced filters with the operator NumberIn"),
        ({"destination": {"endpointType": "WebHook", "properties": {"endpointUrl": "http://localhost/"}}}, 400,
         "is not an https address"),
        ({"destination": {"endpointType": "StorageQueue"}}, 501, "the endpointType StorageQueue"),
        ({"deadLetterDestination": {"endpointType": "StorageBlob"}}, 501, "with deadLetterDestination"),
    ],
)  # fmt: skip
def test_subscriptions_that_azure_refuses_or_localcloud_lacks_are_refused(
    azure: AzureSession, refusing: str, change: Json, status: int, message: str
) -> None:
    body = subscription("https://localhost:1/", **change)
    answer = azure.arm("PUT", f"{refusing}/eventSubscriptions/files", VERSION, body)
    assert answer.status_code == status and message in error_of(answer)[2], answer.text


@pytest.fixture(scope="module")
def refusing(azure: AzureSession) -> Iterator[str]:
    """Return a topic that no subscription is made of."""
    group = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    yield make_topic(azure, group, make_lake(azure, group).id)[0]
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))
