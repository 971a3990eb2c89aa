"""No request makes the gateway hold more than its service accepts: 413, in the service's own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import localcloud
import psutil
import pytest
import requests
from localcloud.gateway import instance
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud

_MEGABYTE = 1 << 20
_TOKENS = "https://login.microsoftonline.com/common/oauth2/v2.0/token"


def _chunks(megabytes: int) -> Iterator[bytes]:
    """Yield a body without a declared length."""
    for _ in range(megabytes):
        yield b"a" * _MEGABYTE


@pytest.mark.parametrize("content", [b"a" * (2 * _MEGABYTE), _chunks(200)])
def test_the_token_endpoint_reads_no_more_than_a_form(cloud: Cloud, azure: AzureSession, content: Any) -> None:
    gateway = instance.gateway(cloud.settings)
    assert gateway is not None
    before = gateway.memory_info().rss
    answer = requests.post(_TOKENS, data=content, timeout=120)
    assert answer.status_code == 413
    assert answer.json()["error"] == "invalid_request"
    assert psutil.Process(gateway.pid).memory_info().rss - before < 50 * _MEGABYTE


def test_arm_reads_four_megabytes(azure: AzureSession) -> None:
    url = f"https://management.azure.com{azure.subscription}/resourceGroups/rg-{unique('a')}?api-version=2024-03-01"
    token = azure.credential.get_token("https://management.azure.com/.default").token
    answer = requests.put(url, data=_chunks(6), headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestContentTooLarge")


def test_localclouds_own_routes_read_small_bodies_only(cloud: Cloud, azure: AzureSession) -> None:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    for path in ("faults", "names-elsewhere", "role-propagation"):
        answer = requests.post(
            f"{cloud.settings.gateway_url}/_localcloud/{path}", data=_chunks(1), timeout=60,
            headers={"Authorization": f"Bearer {token}"}, verify=str(cloud.settings.tls / "bundle.pem"),
        )  # fmt: skip
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestContentTooLarge")


def test_storage_bounds_bodies_that_it_does_not_stream(azure: AzureSession, group: str) -> None:
    account = unique("st")
    id_ = f"{group}/providers/Microsoft.Storage/storageAccounts/{account}"
    azure.put(id_, "2024-01-01", {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    azure.assign(id_, "Storage Blob Data Contributor", azure.object_id)
    token = azure.credential.get_token("https://storage.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04", "Content-Type": "multipart/mixed"}
    for query in ("restype=service&comp=userdelegationkey", "comp=batch"):
        url = f"https://{account}.blob.core.windows.net/?{query}"
        answer = requests.post(url, data=_chunks(6), headers=headers, timeout=60)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (413, "RequestBodyTooLarge")


def test_no_handler_reads_a_body_without_bound() -> None:
    package = Path(localcloud.__file__).parent
    unbounded = ("request.body()", "request.json()", "request.form(")
    readers = [
        f"{file.relative_to(package)}: {words}"
        for file in package.rglob("*.py")
        for words in unbounded
        if words in file.read_text()
    ]
    assert readers == [], "localcloud.core.streams.whole_body reads bodies with a bound"
