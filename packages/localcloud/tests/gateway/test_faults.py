"""Injected faults: clients that retry succeed, others fail as they would on Azure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.policies import RetryPolicy
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage.models import Sku, StorageAccountCreateParameters
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud

Json = dict[str, Any]


class Faults:
    """The deployer's requests to /_localcloud/faults."""

    def __init__(self, azure: AzureSession, cloud: Cloud) -> None:
        token = azure.credential.get_token("https://management.azure.com/.default").token
        self.address = f"{cloud.settings.gateway_url}/_localcloud/faults"
        self._headers = {"Authorization": f"Bearer {token}"}

    def add(self, **fault: Any) -> requests.Response:
        return requests.post(self.address, json=fault, headers=self._headers, timeout=30)

    def left(self) -> list[Json]:
        faults: list[Json] = requests.get(self.address, headers=self._headers, timeout=30).json()["faults"]
        return faults

    def clear(self) -> None:
        assert requests.delete(self.address, headers=self._headers, timeout=30).json() == {"faults": []}


@pytest.fixture
def faults(azure: AzureSession, cloud: Cloud) -> Iterator[Faults]:
    controls = Faults(azure, cloud)
    assert controls.left() == [], "off by default"
    yield controls
    controls.clear()


def _groups(azure: AzureSession, retries: int) -> list[Any]:
    policy: Any = RetryPolicy(retry_total=retries, retry_backoff_factor=0.01)
    with ResourceManagementClient(azure.credential, azure.subscription_id, retry_policy=policy) as client:
        return list(client.resource_groups.list())


@pytest.mark.fault_kind("injected faults of clients' requests")
@pytest.mark.parametrize("fault", [{"status": 429, "retry_after": 0}, {"status": 503}, {"drop": True}])
def test_a_retrying_client_survives_a_fault(azure: AzureSession, faults: Faults, fault: Json) -> None:
    faults.add(host="management.azure.com", path="*/resourcegroups", method="GET", count=2, **fault)
    assert _groups(azure, retries=3), "the state's own group is there"
    assert faults.left() == [], "both were met"


def test_a_client_that_does_not_retry_sees_azure_s_error(azure: AzureSession, faults: Faults) -> None:
    faults.add(host="management.azure.com", path="*/resourcegroups", status=429, code="TooManyRequests", retry_after=7)
    with pytest.raises(HttpResponseError) as caught:
        _groups(azure, retries=0)
    assert caught.value.status_code == 429 and caught.value.error is not None
    assert caught.value.error.code == "TooManyRequests"
    response: Any = caught.value.response
    assert response.headers["Retry-After"] == "7"


@pytest.mark.fault_kind("injected faults of clients' requests")
def test_a_dropped_connection_has_no_answer(azure: AzureSession, faults: Faults) -> None:
    faults.add(host="management.azure.com", drop=True)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        _groups(azure, retries=0)


@pytest.mark.fault_kind("injected faults of clients' requests")
def test_a_request_whose_answer_is_lost_is_done(azure: AzureSession, faults: Faults) -> None:
    name = unique("rg-lost")
    faults.add(host="management.azure.com", path=f"*/resourcegroups/{name}", method="PUT", lose=True, count=1)
    with pytest.raises(requests.ConnectionError):
        azure.arm("PUT", f"{azure.subscription}/resourceGroups/{name}", "2024-03-01", {"location": "westeurope"})
    assert faults.left() == []
    answer = azure.arm("GET", f"{azure.subscription}/resourceGroups/{name}", "2024-03-01")
    assert (answer.status_code, answer.json()["location"]) == (200, "westeurope")
    azure.finish(azure.arm("DELETE", f"{azure.subscription}/resourceGroups/{name}", "2024-03-01"))


def test_a_rule_affects_no_other_hosts_or_methods(azure: AzureSession, faults: Faults) -> None:
    faults.add(host="*.vault.azure.net", status=500)
    faults.add(host="management.azure.com", method="DELETE", status=500)
    assert _groups(azure, retries=0)
    assert len(faults.left()) == 2


@pytest.mark.fault_kind("injected faults of clients' requests")
def test_an_operation_that_fails_leaves_its_resource_failed(azure: AzureSession, faults: Faults, group: str) -> None:
    name = unique("st")
    id_ = f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"
    faults.add(path=id_, method="PUT", operation=True, code="InternalExecutionError", count=1)
    client = StorageManagementClient(azure.credential, azure.subscription_id)
    parameters = StorageAccountCreateParameters(sku=Sku(name="Standard_LRS"), kind="StorageV2", location="westeurope")
    with pytest.raises(HttpResponseError, match="InternalExecutionError"):
        client.storage_accounts.begin_create(group.rsplit("/", 1)[-1], name, parameters).result()
    assert azure.arm("GET", id_, "2024-01-01").json()["properties"]["provisioningState"] == "Failed"
    client.storage_accounts.begin_create(group.rsplit("/", 1)[-1], name, parameters).result()
    assert azure.arm("GET", id_, "2024-01-01").json()["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200},
        {"sttus": 500},
        {},
        {"status": 500, "drop": True},
        {"drop": True, "lose": True},
        {"status": 500, "rate": 0},
        {"delay": -1},
    ],
)
def test_an_invalid_rule_is_refused(faults: Faults, fault: Json) -> None:
    answer = faults.add(**fault)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidFault")
    assert faults.left() == []


def test_faults_cannot_be_set_without_a_token(faults: Faults) -> None:
    answer = requests.post(faults.address, json={"status": 500}, timeout=30)
    assert answer.status_code == 401
    assert faults.left() == []


def test_no_principal_but_the_deployer_sees_or_changes_faults(faults: Faults, other_principal: dict[str, str]) -> None:
    faults.add(host="*.vault.azure.net", status=500)

    answers = [
        requests.request(method, faults.address, json={"status": 500}, headers=other_principal, timeout=30)
        for method in ("GET", "POST", "DELETE")
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert {answer.json()["error"]["code"] for answer in answers} == {"AuthorizationFailed"}
    assert [fault["host"] for fault in faults.left()] == ["*.vault.azure.net"]
