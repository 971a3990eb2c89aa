"""The gateway itself: hosts and services, ids of answers, and the answer to a crash."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest
import requests
from localcloud.gateway.app import Gateway
from localcloud.gateway.faults import Faults
from localcloud.gateway.hosts import Service, service_of
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("localhost:9800", Service.LOCAL),
        ("management.azure.com:443", Service.ARM),
        ("LOGIN.MicrosoftOnline.com", Service.ENTRA),
        ("st.blob.core.windows.net", Service.STORAGE),
        ("adb-1.2.azuredatabricks.net", Service.DATABRICKS),
        ("kv.vault.azure.net.", Service.KEY_VAULT),
        ("westeurope.api.azureml.ms", Service.AZURE_ML),
        ("be.westeurope.inference.ml.azure.com", Service.SCORING),
        ("acr.azurecr.io", Service.CONTAINER_REGISTRY),
        ("st.queue.core.windows.net", Service.OTHER),
        ("vault.azure.net.evil.example", None),
        ("evilmanagement.azure.com", None),
        ("pypi.org", None),
    ],
)
def test_a_host_is_one_service(host: str, service: Service | None) -> None:
    assert service_of(host) is service


def test_an_unknown_host_gets_404(cloud: Cloud) -> None:
    answer = requests.get(
        cloud.settings.gateway_url,
        headers={"Host": "pypi.org"}, verify=cloud.environment["SSL_CERT_FILE"], timeout=10,
    )  # fmt: skip
    assert answer.status_code == 404
    assert "no service at host 'pypi.org'" in answer.json()["error"]["message"]


def test_every_answer_has_a_request_id_and_keeps_the_correlation(azure: AzureSession) -> None:
    for address in (
        "https://management.azure.com/subscriptions?api-version=2022-12-01",
        "https://login.microsoftonline.com/common/discovery/keys",
        "https://kv-none.vault.azure.net/secrets",
        "https://stnone.blob.core.windows.net/x",
        "https://graph.microsoft.com/v1.0/users",
    ):
        first, second = (
            requests.get(address, headers={"x-ms-correlation-request-id": "c1"}, timeout=10) for _ in range(2)
        )
        assert first.headers["x-ms-request-id"] != second.headers["x-ms-request-id"], address
    answer = azure.arm("GET", azure.subscription, "2022-12-01")
    assert answer.headers["x-ms-correlation-request-id"]


def test_a_path_that_no_service_has_is_not_emulated(azure: AzureSession) -> None:
    answer = requests.get("https://login.microsoftonline.com/common/oauth2/v2.0/authorize", timeout=10)
    assert answer.status_code == 501
    assert "GET https://login.microsoftonline.com/common/oauth2/v2.0/authorize" in answer.json()["error_description"]


def test_an_error_of_localcloud_is_a_500_with_its_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("one by nothing")

    gateway = Gateway({Service.LOCAL: Router([Route("/broken", broken)])}, Faults([]))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://localhost") as client:
            return await client.get("/broken?sig=secret")

    with caplog.at_level(logging.INFO, logger="localcloud"):
        answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "InternalServerError")
    assert answer.headers["x-ms-request-id"]
    # Not caplog.text: Spark, where it ran in this process, has given every handler a format of its own.
    (record,) = [record for record in caplog.records if record.exc_info]
    assert logging.Formatter().format(record).endswith("ZeroDivisionError: one by nothing")
    assert "secret" not in caplog.text, "queries may hold signatures"
