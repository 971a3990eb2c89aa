"""Globally unique names: held by another subscription, by another resource group, and by soft-deleted resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.storage import StorageManagementClient
from localcloud.arm.globally_unique_names import PATH
from localcloud.testing.azure_session import AzureSession, error_of, unique

ACCOUNT = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}


@pytest.fixture
def elsewhere(azure: AzureSession, cloud: Any) -> Iterator[Any]:
    """Give names to a subscription that the tests cannot see."""
    url = f"{cloud.settings.gateway_url}{PATH}"
    token = azure.credential.get_token("https://management.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}"}

    def take(type_: str, name: str) -> None:
        answer = requests.post(url, json={"type": type_, "name": name}, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text

    yield take
    requests.delete(url, headers=headers, timeout=30)


@pytest.mark.parametrize(
    ("type_", "version", "prefix", "code"),
    [
        ("Microsoft.Storage/storageAccounts", "2024-01-01", "st", "StorageAccountAlreadyTaken"),
        ("Microsoft.KeyVault/vaults", "2024-11-01", "kv", "VaultAlreadyExists"),
        ("Microsoft.ContainerRegistry/registries", "2023-07-01", "acr", "AlreadyInUse"),
    ],
)
def test_a_name_of_another_subscription_is_not_available(
    azure: AzureSession, group: str, elsewhere: Any, type_: str, version: str, prefix: str, code: str
) -> None:
    name = unique(prefix)
    elsewhere(type_, name)
    body: dict[str, Any] = {"location": "westeurope", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
    if prefix == "acr":
        body["sku"] = {"name": "Basic"}
    if prefix == "kv":
        body["properties"] = {
            "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
        }  # fmt: skip
    status, actual_code, message = error_of(azure.arm("PUT", f"{group}/providers/{type_}/{name}", version, body))
    assert (status, actual_code) == (409, code) and name in message
    assert azure.arm("GET", f"{group}/providers/{type_}/{name}", version).status_code == 404


def test_the_clients_name_checks_know_of_other_subscriptions(azure: AzureSession, elsewhere: Any) -> None:
    storage, registry = unique("st"), unique("acr")
    elsewhere("Microsoft.Storage/storageAccounts", storage)
    elsewhere("Microsoft.ContainerRegistry/registries", registry)
    client = StorageManagementClient(azure.credential, azure.subscription_id)
    body: Any = {"name": storage, "type": "Microsoft.Storage/storageAccounts"}
    free: Any = {**body, "name": unique("st")}
    assert client.storage_accounts.check_name_availability(body).reason == "AlreadyExists"
    assert client.storage_accounts.check_name_availability(free).name_available
    registries = ContainerRegistryManagementClient(azure.credential, azure.subscription_id).registries
    checked = registries.check_name_availability({"name": registry, "type": "Microsoft.ContainerRegistry/registries"})
    assert checked.name_available is False


def test_a_name_taken_by_another_group_of_the_subscription_is_refused_with_that_reason(
    azure: AzureSession, group: str
) -> None:
    name = unique("st")
    azure.put(f"{group}/providers/Microsoft.Storage/storageAccounts/{name}", "2024-01-01", ACCOUNT)
    other = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(other, "2024-03-01", {"location": "westeurope"})
    try:
        response = azure.arm(
            "PUT", f"{other}/providers/Microsoft.Storage/storageAccounts/{name}", "2024-01-01", ACCOUNT
        )
        assert error_of(response)[:2] == (409, "StorageAccountInAnotherResourceGroup")
    finally:
        azure.finish(azure.arm("DELETE", other, "2024-03-01"))


def test_a_bad_request_to_the_names_route_changes_nothing(azure: AzureSession, cloud: Any, elsewhere: Any) -> None:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    url = f"{cloud.settings.gateway_url}{PATH}"
    answer = requests.post(url, json={"type": "storage"}, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "InvalidName"
    assert requests.post(url, json={"type": "A/b", "name": "c"}, timeout=30).status_code == 401


def test_a_deleted_workspace_and_vault_hold_their_names_until_they_are_purged(azure: AzureSession, group: str) -> None:
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv-')}"
    body = {
        "location": "westeurope",
        "properties": {
            "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
        },
    }  # fmt: skip
    azure.put(vault, "2024-11-01", body)
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}"
    azure.put(account, "2024-01-01", ACCOUNT)
    workspace = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{unique('aml-')}"
    properties = {"storageAccount": account, "keyVault": vault}
    machine_learning = {
        "location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": properties,
    }  # fmt: skip
    azure.put(workspace, "2025-12-01", machine_learning)
    azure.finish(azure.arm("DELETE", workspace, "2025-12-01"))
    status, code, message = error_of(azure.arm("PUT", workspace, "2025-12-01", machine_learning))
    assert (status, code) == (400, "BadRequest") and "Soft-deleted workspace exists" in message
    assert azure.arm("DELETE", vault, "2024-11-01").status_code == 200
    status, code, message = error_of(azure.arm("PUT", vault, "2024-11-01", body))
    assert (status, code) == (409, "ConflictError") and "recover or purge" in message
    name = vault.rsplit("/", 1)[-1]
    deleted = f"{azure.subscription}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/{name}"
    assert azure.arm("POST", f"{deleted}/purge", "2024-11-01").status_code in {200, 202}
    azure.put(vault, "2024-11-01", body)


def test_a_read_only_lock_refuses_writes_and_keys(azure: AzureSession, group: str) -> None:
    azure.assign(group, "Owner", azure.object_id)
    name = unique("st")
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"
    azure.put(account, "2024-01-01", ACCOUNT)
    lock = f"{account}/providers/Microsoft.Authorization/locks/frozen"
    azure.put(lock, "2020-05-01", {"properties": {"level": "ReadOnly"}})
    client = StorageManagementClient(azure.credential, azure.subscription_id)
    with pytest.raises(HttpResponseError) as refused:
        client.storage_accounts.list_keys(group.rsplit("/", 1)[-1], name)
    assert refused.value.error is not None and refused.value.error.code == "ScopeLocked"
    written = azure.arm("PATCH", account, "2024-01-01", {"tags": {"a": "b"}})
    assert error_of(written)[:2] == (409, "ScopeLocked")
    container = f"{account}/blobServices/default/containers/data"
    assert error_of(azure.arm("PUT", container, "2024-01-01", {}))[:2] == (409, "ScopeLocked")
    assert azure.arm("DELETE", lock, "2020-05-01").status_code == 200
