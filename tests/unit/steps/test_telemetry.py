"""Metrics are accepted by the service, or sending them fails with the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from azure.core.credentials import AccessToken
from azure.identity import CredentialUnavailableError

from steps.telemetry import Metric, TelemetryError, alerted_name, send
from tests.unit.http_service import Request, Response, Service

KEY = "11111111-2222-3333-4444-555555555555"
METRICS = [
    Metric("drift_index", 0.31, {"model": "diabetes", "column": "bmi"}),
    Metric("watch_breaches", 2, {"model": "diabetes"}),
]


class Credential:
    """Signs in at once, and records the requested scopes."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken("token-of-the-test", 4_102_444_800)


class Ingestion:
    """The ingestion service of Application Insights, with the test's answers."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.response: Response | None = None

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        count = len(json.loads(request.content))
        accepted = json.dumps({"itemsReceived": count, "itemsAccepted": count, "errors": []})
        return self.response or Response(200, "application/json", accepted)


@pytest.fixture
def ingestion() -> Ingestion:
    return Ingestion()


@pytest.fixture
def connection(ingestion: Ingestion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NO_PROXY", "localhost")
    with Service(ingestion.answer, authority.issue_cert("localhost")) as service:
        yield f"InstrumentationKey={KEY};IngestionEndpoint={service.url}/"


def test_each_metric_is_sent_with_its_dimensions_and_a_token(ingestion: Ingestion, connection: str) -> None:
    credential = Credential()
    send(connection, METRICS, credential)

    (request,) = ingestion.requests
    assert request.path.endswith("/v2.1/track")
    assert request.headers["Authorization"] == "Bearer token-of-the-test"
    assert set(credential.scopes) == {"https://monitor.azure.com//.default"}
    sent = {
        item["data"]["baseData"]["metrics"][0]["name"]: (
            item["data"]["baseData"]["metrics"][0]["value"], item["data"]["baseData"]["properties"], item["iKey"],
        )
        for item in json.loads(request.content)
    }  # fmt: skip
    assert sent == {
        "drift_index": (0.31, {"model": "diabetes", "column": "bmi"}, KEY),
        "watch_breaches": (2, {"model": "diabetes"}, KEY),
        "watch_breaches_diabetes": (2, {"model": "diabetes"}, KEY),
    }, "an alert rule finds the model's metric by its name: the metric store has no dimensions"
    assert alerted_name("watch_breaches", "diabetes") == "watch_breaches_diabetes"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (
            403,
            {"itemsReceived": 3, "itemsAccepted": 0, "errors": [{"index": 0, "statusCode": 403, "message": "denied"}]},
            r"403, 0 of 3 accepted: denied\. Give the identity the role Monitoring Metrics Publisher on the",
        ),
        (401, {}, r"401, 0 of 3 accepted: Unauthorized\. The token was refused"),
        (
            206,
            {"itemsReceived": 3, "itemsAccepted": 2, "errors": [{"index": 1, "statusCode": 400, "message": "too old"}]},
            r"206, 2 of 3 accepted: too old\.$",
        ),
        (200, {"itemsReceived": 3, "itemsAccepted": 1, "errors": []}, r"200, 1 of 3 accepted: OK\.$"),
        (
            400,
            {
                "itemsReceived": 3, "itemsAccepted": 0,
                "errors": [{"index": number, "statusCode": 400, "message": "Invalid instrumentation key"}
                           for number in range(3)],
            },
            r"400, 0 of 3 accepted: Invalid instrumentation key\.$",
        ),
    ],
)  # fmt: skip
def test_refused_telemetry_is_an_error_with_its_reason(
    ingestion: Ingestion, connection: str, status: int, body: dict[str, Any], message: str
) -> None:
    ingestion.response = Response(status, "application/json", json.dumps(body))

    with pytest.raises(TelemetryError, match=message):
        send(connection, METRICS, Credential())


def test_a_sign_in_that_fails_is_the_error(ingestion: Ingestion, connection: str) -> None:
    class Unavailable:
        def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            raise CredentialUnavailableError(message="no managed identity endpoint found")

    with pytest.raises(TelemetryError, match="did not accept 3 metrics: no managed identity endpoint found"):
        send(connection, METRICS, Unavailable())
    assert not ingestion.requests


def test_a_service_without_tls_gets_no_token() -> None:
    credential = Credential()
    with pytest.raises(TelemetryError, match="Bearer token authentication is not permitted for non-TLS protected"):
        send(f"InstrumentationKey={KEY};IngestionEndpoint=http://localhost:1/", METRICS, credential)
    assert not credential.scopes


def test_a_malformed_connection_string_is_named() -> None:
    with pytest.raises(TelemetryError, match=r"The connection string of Application Insights is not valid: .*UUID"):
        send("InstrumentationKey=secret-text", METRICS, Credential())


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="the metric drift_index is nan, and must be a finite number"):
        Metric("drift_index", math.nan)
