"""The life of resources by Azure's own management clients."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.databricks import AzureDatabricksManagementClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from localcloud.testing.azure_session import AzureSession, error_of, unique

LOCATION: Any = {"location": "westeurope"}
ACCOUNT: Any = {**LOCATION, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}

VERSIONS = {
    "Microsoft.Storage": "2024-01-01",
    "Microsoft.KeyVault": "2024-11-01",
    "Microsoft.Databricks": "2026-01-01",
    "Microsoft.ContainerRegistry": "2023-07-01",
    "Microsoft.ManagedIdentity": "2023-01-31",
}


def _name(group: str) -> str:
    return group.rsplit("/", 1)[-1]


def _vault(azure: AzureSession) -> Any:
    properties = {
        "tenantId": azure.tenant_id,
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
    }
    return {**LOCATION, "properties": properties}


def test_a_resource_group_is_created_read_and_deleted_with_its_content(azure: AzureSession) -> None:
    client = ResourceManagementClient(azure.credential, azure.subscription_id)
    name, account = unique("rg-"), unique("st")
    created = client.resource_groups.create_or_update(name, {"location": "West Europe", "tags": {"a": "b"}})
    assert created.location == "westeurope", "ARM normalises region names"
    assert client.resource_groups.check_existence(name)
    assert name in [group.name for group in client.resource_groups.list(filter="tagName eq 'a' and tagValue eq 'b'")]
    storage = StorageManagementClient(azure.credential, azure.subscription_id)
    storage.storage_accounts.begin_create(name, account, ACCOUNT).result()
    kinds = [resource.type for resource in client.resources.list_by_resource_group(name)]
    assert kinds == ["Microsoft.Storage/storageAccounts"]
    client.resource_groups.begin_delete(name).result()
    assert not client.resource_groups.check_existence(name)
    with pytest.raises(ResourceNotFoundError) as caught:
        storage.storage_accounts.get_properties(name, account)
    assert caught.value.error is not None and caught.value.error.code == "ResourceGroupNotFound"


def test_creating_a_storage_account_is_an_operation(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}"
    answer = azure.arm("PUT", path, "2024-01-01", ACCOUNT)
    assert answer.status_code == 202 and int(answer.headers["Retry-After"]) >= 1
    status = azure.arm(
        "GET", answer.headers["Azure-AsyncOperation"].split(".com", 1)[1].split("?")[0], "2024-01-01"
    ).json()
    assert status["status"] in {"InProgress", "Succeeded"}
    azure.finish(answer)
    account = azure.arm("GET", path, "2024-01-01").json()
    assert account["properties"]["provisioningState"] == "Succeeded"
    assert account["properties"]["primaryEndpoints"]["blob"] == f"https://{account['name']}.blob.core.windows.net/"


def test_a_databricks_workspace_needs_its_compute_mode_and_keeps_it(azure: AzureSession, group: str) -> None:
    client = AzureDatabricksManagementClient(azure.credential, azure.subscription_id)
    managed = f"{azure.subscription}/resourceGroups/{unique('dbw-managed-')}"
    body: Any = {**LOCATION, "sku": {"name": "premium"}, "properties": {"managedResourceGroupId": managed}}
    with pytest.raises(HttpResponseError, match="computeMode"):
        client.workspaces.begin_create_or_update(_name(group), "dbw", body)
    body["properties"] = {"managedResourceGroupId": managed, "computeMode": "Hybrid"}
    workspace = client.workspaces.begin_create_or_update(_name(group), "dbw", body).result()
    assert str(workspace.workspace_url).startswith("adb-") and str(workspace.workspace_url).endswith(
        ".azuredatabricks.net"
    )
    path = f"{group}/providers/Microsoft.Databricks/workspaces/dbw"
    body["properties"] = {"managedResourceGroupId": managed, "computeMode": "Serverless"}
    assert error_of(azure.arm("PUT", path, "2026-01-01", body))[:2] == (409, "PropertyChangeNotAllowed")
    client.workspaces.begin_delete(_name(group), "dbw").result()
    assert azure.arm("GET", managed, "2024-03-01").status_code == 404, "the managed group goes with the workspace"


def test_a_deleted_vault_keeps_its_name_until_it_is_purged(azure: AzureSession, group: str) -> None:
    client = KeyVaultManagementClient(azure.credential, azure.subscription_id)
    name = unique("kv-")
    created = client.vaults.begin_create_or_update(_name(group), name, _vault(azure)).result()
    assert created.properties.vault_uri == f"https://{name}.vault.azure.net/"
    client.vaults.delete(_name(group), name)
    with pytest.raises(HttpResponseError) as caught:
        client.vaults.begin_create_or_update(_name(group), name, _vault(azure)).result()
    assert caught.value.status_code == 409 and "deleted state" in str(caught.value)
    assert name in [vault.name for vault in client.vaults.list_deleted()]
    client.vaults.begin_purge_deleted(name, "westeurope").result()
    client.vaults.begin_create_or_update(_name(group), name, _vault(azure)).result()
    client.vaults.delete(_name(group), name)
    client.vaults.begin_purge_deleted(name, "westeurope").result()


def test_an_identity_has_a_principal_that_can_get_a_role(azure: AzureSession, group: str) -> None:
    client = ManagedServiceIdentityClient(azure.credential, azure.subscription_id)
    identity = client.user_assigned_identities.create_or_update(_name(group), "id-one", LOCATION)
    again = client.user_assigned_identities.create_or_update(_name(group), "id-one", {**LOCATION, "tags": {"a": "b"}})
    assert (again.principal_id, again.client_id) == (identity.principal_id, identity.client_id), (
        "updates keep the principal"
    )
    assert azure.assign(group, "Storage Blob Data Reader", str(identity.principal_id)).startswith(group)


def test_a_system_assigned_identity_is_added_and_removed(azure: AzureSession, group: str) -> None:
    client = ContainerRegistryManagementClient(azure.credential, azure.subscription_id)
    name = unique("acr")
    body: Any = {**LOCATION, "sku": {"name": "Basic"}, "identity": {"type": "SystemAssigned"}}
    registry = client.registries.begin_create(_name(group), name, body).result()
    assert registry.login_server == f"{name}.azurecr.io" and registry.identity is not None
    assert registry.identity.principal_id
    body["identity"] = {"type": "None"}
    path = f"{group}/providers/Microsoft.ContainerRegistry/registries/{name}"
    assert "principalId" not in azure.put(path, "2023-07-01", body)["identity"]


@pytest.mark.parametrize(
    ("type_", "name", "code"),
    [
        ("Microsoft.Storage/storageAccounts", "Has-Hyphen", "AccountNameInvalid"),
        ("Microsoft.Storage/storageAccounts", "s" * 25, "AccountNameInvalid"),
        ("Microsoft.KeyVault/vaults", "1kv", "VaultNameNotValid"),
        ("Microsoft.KeyVault/vaults", "kv--two", "VaultNameNotValid"),
        ("Microsoft.ContainerRegistry/registries", "acr-hyphen", "InvalidResourceName"),
        ("Microsoft.ManagedIdentity/userAssignedIdentities", "i", "InvalidResourceName"),
        ("Microsoft.Databricks/workspaces", "d!", "InvalidResourceName"),
    ],
)
def test_bad_names_are_refused_with_the_types_own_code(
    azure: AzureSession, group: str, type_: str, name: str, code: str
) -> None:
    version = VERSIONS[type_.split("/")[0]]
    status, actual, message = error_of(azure.arm("PUT", f"{group}/providers/{type_}/{name}", version, ACCOUNT))
    assert (status, actual) == (400, code)
    assert name in message, "the message names the value"


def test_conflicts_of_names_and_locations_are_refused(azure: AzureSession, group: str) -> None:
    name = unique("st")
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"
    azure.put(path, "2024-01-01", ACCOUNT)
    moved = azure.arm("PUT", path, "2024-01-01", {**ACCOUNT, "location": "eastus"})
    assert error_of(moved)[:2] == (409, "InvalidResourceLocation")
    nowhere = azure.arm("PUT", f"{path}x", "2024-01-01", {**ACCOUNT, "location": "mars"})
    assert error_of(nowhere)[:2] == (400, "LocationNotAvailableForResourceType")
    kind = azure.arm("PUT", path, "2024-01-01", {**ACCOUNT, "properties": {"isHnsEnabled": True}})
    assert error_of(kind)[:2] == (409, "AccountPropertyCannotBeUpdated")


def test_a_missing_resource_parent_and_group_have_their_own_codes(azure: AzureSession, group: str) -> None:
    missing = azure.arm("GET", f"{group}/providers/Microsoft.KeyVault/vaults/nope", "2024-11-01")
    assert error_of(missing)[:2] == (404, "ResourceNotFound")
    child = f"{group}/providers/Microsoft.Storage/storageAccounts/stnope/managementPolicies/default"
    parent = azure.arm("PUT", child, "2024-01-01", {"properties": {"policy": {"rules": []}}})
    assert error_of(parent)[:2] == (404, "ParentResourceNotFound")
    response = azure.arm("PUT", f"{group}-no/providers/Microsoft.KeyVault/vaults/kv-x", "2024-11-01", _vault(azure))
    assert error_of(response)[:2] == (404, "ResourceGroupNotFound")
    assert azure.arm("DELETE", f"{group}/providers/Microsoft.KeyVault/vaults/nope", "2024-11-01").status_code == 204


def test_resources_are_listed_in_pages(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    for index in range(3):
        azure.put(f"{path}/id-{index}", "2023-01-31", LOCATION)
    first = azure.arm("GET", path, "2023-01-31", None, **{"$top": "2"}).json()
    assert [identity["name"] for identity in first["value"]] == ["id-0", "id-1"] and first["nextLink"].startswith(
        "https://"
    )
    client = ManagedServiceIdentityClient(azure.credential, azure.subscription_id)
    assert len(list(client.user_assigned_identities.list_by_resource_group(_name(group)))) == 3


def test_a_lock_prevents_deletion_until_it_is_removed(azure: AzureSession, group: str) -> None:
    azure.assign(group, "Owner", azure.object_id)
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-kept"
    azure.put(identity, "2023-01-31", LOCATION)
    lock = f"{identity}/providers/Microsoft.Authorization/locks/keep"
    azure.put(lock, "2020-05-01", {"properties": {"level": "CanNotDelete"}})
    for path, version in ((identity, "2023-01-31"), (group, "2024-03-01")):
        status, code, message = error_of(azure.arm("DELETE", path, version))
        assert (status, code) == (409, "ScopeLocked")
        assert identity in message, "the message names the locked scope"
    assert azure.arm("DELETE", lock, "2020-05-01").status_code == 200
    assert azure.arm("DELETE", identity, "2023-01-31").status_code == 200


def test_locks_do_not_block_each_other(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.Authorization/locks"
    for name, level in (("one", "CanNotDelete"), ("two", "CanNotDelete"), ("three", "ReadOnly"), ("four", "ReadOnly")):
        assert azure.arm("PUT", f"{path}/{name}", "2020-05-01", {"properties": {"level": level}}).status_code == 201
    assert error_of(azure.arm("DELETE", group, "2024-03-01"))[:2] == (409, "ScopeLocked")
    for name in ("one", "two", "three", "four"):
        assert azure.arm("DELETE", f"{path}/{name}", "2020-05-01").status_code == 200


def test_a_sink_takes_a_category_of_a_resource_once(azure: AzureSession, group: str) -> None:
    sinks = [f"{group}/providers/Microsoft.OperationalInsights/workspaces/log-{name}" for name in ("one", "two")]
    for sink in sinks:
        azure.put(sink, "2023-09-01", LOCATION)
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv-')}"
    azure.put(vault, "2024-11-01", _vault(azure))

    def put(name: str, sink: str, category: str) -> Any:
        body = {"properties": {"workspaceId": sink, "logs": [{"category": category, "enabled": True}]}}
        path = f"{vault}/providers/Microsoft.Insights/diagnosticSettings/{name}"
        return azure.arm("PUT", path, "2021-05-01-preview", body)

    assert put("first", sinks[0], "AuditEvent").status_code == 200
    assert put("first", sinks[0], "AuditEvent").status_code == 200, "a setting does not clash with itself"
    status, code, message = error_of(put("second", sinks[0], "AuditEvent"))
    assert (status, code) == (409, "Conflict")
    assert "is already used in diagnostic setting 'first' for category 'AuditEvent'" in message
    assert put("second", sinks[1], "AuditEvent").status_code == 200
    for number in range(3):
        assert put(f"more-{number}", sinks[0], f"Category{number}").status_code == 200
    assert "limit of 5" in error_of(put("sixth", sinks[0], "Other"))[2]


def test_monitoring_resources_refer_to_each_other(azure: AzureSession, group: str) -> None:
    workspace = f"{group}/providers/Microsoft.OperationalInsights/workspaces/log-one"
    component = f"{group}/providers/Microsoft.Insights/components/appi-one"
    setting = f"{component}/providers/Microsoft.Insights/diagnosticSettings/to-log"
    body: Any = {**LOCATION, "kind": "web", "properties": {"WorkspaceResourceId": workspace}}
    early = azure.arm("PUT", component, "2020-02-02", body)
    assert error_of(early)[:2] == (400, "LinkedResourceNotFound")
    workspace_body = azure.put(workspace, "2023-09-01", LOCATION)
    assert workspace_body["properties"]["customerId"] and "primarySharedKey" not in str(workspace_body), (
        "an action returns the keys"
    )
    keys = azure.arm("POST", f"{workspace}/sharedKeys", "2020-08-01").json()
    assert keys["primarySharedKey"] != keys["secondarySharedKey"]
    properties = azure.put(component, "2020-02-02", body)["properties"]
    assert properties["ConnectionString"].startswith(f"InstrumentationKey={properties['InstrumentationKey']};")
    logs = {"workspaceId": workspace, "logs": [{"categoryGroup": "allLogs", "enabled": True}]}
    assert azure.put(setting, "2021-05-01-preview", {"properties": logs})["id"] == setting
    nowhere = azure.arm("PUT", setting, "2021-05-01-preview", {"properties": {"logs": logs["logs"]}})
    assert error_of(nowhere)[:2] == (400, "BadRequest")
