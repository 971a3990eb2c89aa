"""The provider plugins on Azure's bad days, by localcloud's fault injection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.plugin_process import Plain, Plugin, Refused

pytestmark = pytest.mark.fault_kind("injected faults of plugins' requests")
ACCOUNT = "azure-native:storage:StorageAccount"


@pytest.fixture
def fault(cloud: Cloud, azure: AzureSession) -> Iterator[Callable[..., None]]:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{cloud.settings.gateway_url}/_localcloud/faults"

    def add(**rule: Any) -> None:
        answer = requests.post(url, json=rule, headers=headers, timeout=30)
        assert answer.ok, answer.text

    yield add
    requests.delete(url, headers=headers, timeout=30)


def account(group_name: str) -> Plain:
    return {
        "accountName": unique("st"), "resourceGroupName": group_name, "kind": "StorageV2", "location": "westeurope",
        "sku": {"name": "Standard_LRS"},
    }  # fmt: skip


@pytest.mark.parametrize("kind", [{"status": 429, "retry_after": 0}, {"status": 503, "retry_after": 0}, {"drop": True}])
def test_throttling_and_short_outages_are_retried(
    azure_native: Plugin, group_name: str, fault: Callable[..., None], kind: Plain
) -> None:
    inputs = account(group_name)
    fault(path=f"*{inputs['accountName']}", count=2, **kind)

    resource = azure_native.create(ACCOUNT, inputs)

    assert resource.outputs["name"] == inputs["accountName"]


def test_a_failed_operation_is_reported_and_may_be_retried(
    azure_native: Plugin, group_name: str, fault: Callable[..., None]
) -> None:
    inputs = account(group_name)
    fault(path=f"*{inputs['accountName']}", method="PUT", operation=True, count=1, code="OutOfCapacity")

    with pytest.raises(Refused, match=r'Code="OutOfCapacity" Message="Fault injection let this operation fail."'):
        azure_native.create(ACCOUNT, inputs)
    resource = azure_native.create(ACCOUNT, inputs)

    assert resource.outputs["provisioningState"] == "Succeeded"


def test_a_missing_right_is_reported_at_once(azure_native: Plugin, group_name: str, fault: Callable[..., None]) -> None:
    inputs = account(group_name)
    fault(path=f"*{inputs['accountName']}", method="PUT", status=403, code="AuthorizationFailed")

    with pytest.raises(Refused, match=r'^Status=403 Code="AuthorizationFailed"'):
        azure_native.create(ACCOUNT, inputs)


@pytest.mark.parametrize("code", ["StorageAccountOperationInProgress", "AnotherOperationInProgress"])
def test_a_directly_answered_conflict_is_retried(
    azure_native: Plugin, group_name: str, fault: Callable[..., None], code: str
) -> None:
    inputs = account(group_name)
    fault(path=f"*{inputs['accountName']}", method="PUT", status=409, code=code, count=2)

    resource = azure_native.create(ACCOUNT, inputs)

    assert resource.outputs["name"] == inputs["accountName"]


@pytest.mark.parametrize(
    "kind",
    [
        {"status": 409, "code": "ConcurrentUpdateError", "retry_after": 0},
        {"operation": True, "code": "StorageAccountOperationInProgress"},
    ],
)
def test_other_conflicts_and_conflicts_inside_an_operation_are_reported_at_once(
    azure_native: Plugin, group_name: str, fault: Callable[..., None], kind: Plain
) -> None:
    """The vendor's provider does the same: it repeats direct answers with two codes, and no accepted request."""
    inputs = account(group_name)
    fault(path=f"*{inputs['accountName']}", method="PUT", count=1, **kind)

    with pytest.raises(Refused, match=f'Code="{kind["code"]}"'):
        azure_native.create(ACCOUNT, inputs)


@pytest.fixture
def databricks(azure: AzureSession, group: str) -> Iterator[Plugin]:
    """Return a plugin that signs in at its first request."""
    body = {
        "location": "westeurope",
        "sku": {"name": "premium"},
        "properties": {"computeMode": "Hybrid", "managedResourceGroupId": f"{group}-managed"},
    }
    workspace = f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}"
    properties = azure.put(workspace, "2026-01-01", body)["properties"]
    plugin = Plugin("databricks", dict(os.environ))
    plugin.configure(host=f"https://{properties['workspaceUrl']}", azureWorkspaceResourceId=workspace)
    yield plugin
    assert plugin.stop() == ""


@pytest.mark.parametrize(
    "kind",
    [
        {"status": 429, "retry_after": 1},
        pytest.param({"status": 503}, marks=pytest.mark.nightly),
        pytest.param({"drop": True}, marks=pytest.mark.nightly),
    ],
)
def test_throttling_of_databricks_sign_in_is_retried(
    databricks: Plugin, fault: Callable[..., None], kind: Plain
) -> None:
    fault(host="login.microsoftonline.com", path="*/oauth2/token", count=2, **kind)

    user = databricks.invoke("databricks:index/getCurrentUser:getCurrentUser")

    assert user["userName"] == os.environ["AZURE_CLIENT_ID"]


def test_a_refused_sign_in_is_not_retried(databricks: Plugin, fault: Callable[..., None]) -> None:
    fault(host="login.microsoftonline.com", path="*/oauth2/token", count=1, status=401)

    with pytest.raises(Refused, match=r"cannot reach Databricks at https://adb-.*: .*status 401"):
        databricks.invoke("databricks:index/getCurrentUser:getCurrentUser")
