"""Unity Catalog through the whole of localcloud: checks by ARM, roles and storage, and the metastore of each region.

The region is these tests' own, since one of them takes its metastore away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import catalog as uc
from localcloud.core.database import Database
from localcloud.core.errors import ConfigurationError
from localcloud.databricks import store
from localcloud.databricks.access import APPLICATION_ID
from localcloud.databricks.store import Documents
from localcloud.databricks.unity import session
from localcloud.databricks.unity.regions import VARIABLE, MetastoreRegions
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.azure_session import unique as fresh
from localcloud.testing.unity import refused, unique

REGION = "swedencentral"
STORAGE, DATABRICKS = "2024-01-01", "2026-01-01"


@dataclass(frozen=True)
class Stage:
    """A group with two workspaces of one region, and an access connector. `client` is the first workspace's."""

    azure: AzureSession
    group: str
    client: WorkspaceClient
    other: WorkspaceClient
    connector: str
    principal: str

    def account(self, **properties: Any) -> str:
        """Make a storage account with a container `data`, and return its name."""
        name = fresh("st")
        body = {"location": REGION, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        changes = {"isHnsEnabled": True, **properties}
        self.azure.put(self.account_id(name), STORAGE, body | {"properties": changes})
        self.azure.put(self.container_id(name), STORAGE, {"properties": {}})
        return name

    def account_id(self, account: str) -> str:
        return f"{self.group}/providers/Microsoft.Storage/storageAccounts/{account}"

    def container_id(self, account: str) -> str:
        return f"{self.account_id(account)}/blobServices/default/containers/data"

    def locate(self, account: str, **options: Any) -> uc.ExternalLocationInfo:
        """Make an external location at the account's container, with a credential of its own."""
        credential = options.pop("credential", None) or self.credential()
        url = f"abfss://{options.pop('container', 'data')}@{account}.dfs.core.windows.net/"
        return self.client.external_locations.create(unique("loc"), url, credential, **options)

    def credential(self, **more: str) -> str:
        identity = uc.AzureManagedIdentityRequest(self.connector, **more)
        return str(self.client.storage_credentials.create(unique("cred"), azure_managed_identity=identity).name)


def make_workspace(azure: AzureSession, group: str, name: str) -> dict[str, Any]:
    properties = {"managedResourceGroupId": f"{group}-{name}", "computeMode": "Hybrid"}
    body = {"location": REGION, "sku": {"name": "premium"}, "properties": properties}
    return azure.put(f"{group}/providers/Microsoft.Databricks/workspaces/{name}", DATABRICKS, body)


def client_of(workspace: dict[str, Any]) -> WorkspaceClient:
    return WorkspaceClient(
        host=f"https://{workspace['properties']['workspaceUrl']}",
        auth_type="azure-client-secret",
        azure_tenant_id=os.environ["AZURE_TENANT_ID"],
        azure_client_id=os.environ["AZURE_CLIENT_ID"],
        azure_client_secret=os.environ["AZURE_CLIENT_SECRET"],
    )


@pytest.fixture(scope="module")
def stage(azure: AzureSession) -> Iterator[Stage]:
    group = f"{azure.subscription}/resourceGroups/{fresh('rg-')}"
    azure.put(group, "2024-03-01", {"location": REGION})
    first, second = (make_workspace(azure, group, fresh("dbw-")) for _ in range(2))
    connector = f"{group}/providers/Microsoft.Databricks/accessConnectors/dbac-test"
    body = azure.put(connector, DATABRICKS, {"location": REGION, "identity": {"type": "SystemAssigned"}})
    assert body["identity"]["tenantId"] == azure.tenant_id and body["properties"]["referedBy"] == []
    assert first["properties"]["isUcEnabled"] is True
    yield Stage(azure, group, client_of(first), client_of(second), connector, body["identity"]["principalId"])
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


@pytest.fixture(scope="module")
def opened(stage: Stage) -> str:
    """Return an account whose container the connector's identity can read and write."""
    account = stage.account()
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.principal)
    return account


def refusal(operation: str, account: str, detail: str, container: str = "data") -> str:
    return (
        "The contributor role on the storage account is not set or Managed Identity does not have"
        f" {operation} permissions on url abfss://{container}@{account}.dfs.core.windows.net/. Please contact your"
        f" account admin to update the storage credential. {detail}"
    )


FORBIDDEN = "This request is not authorized to perform this operation using this permission."


def test_a_location_requires_the_connector_s_role(stage: Stage) -> None:
    account, credential = stage.account(), stage.credential()
    refused(
        lambda: stage.locate(account, credential=credential),
        "PERMISSION_DENIED",
        refusal("READ", account, FORBIDDEN),
    )
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Reader", stage.principal)
    refused(
        lambda: stage.locate(account, credential=credential),
        "PERMISSION_DENIED",
        refusal("WRITE", account, FORBIDDEN),
    )
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.principal)
    location = stage.locate(account, credential=credential)
    assert (location.credential_name, location.url) == (credential, f"abfss://data@{account}.dfs.core.windows.net/")


def test_validation_may_be_skipped(stage: Stage) -> None:
    location = stage.locate("nosuchaccount", skip_validation=True)
    assert location.name is not None
    refused(
        lambda: stage.client.external_locations.update(
            str(location.name), url="abfss://data@nosuchaccount2.dfs.core.windows.net/"
        ),
        "PERMISSION_DENIED",
        refusal("READ", "nosuchaccount2", "The storage account nosuchaccount2 does not exist."),
    )
    stage.client.external_locations.delete(location.name)


def test_a_read_only_location_requires_existing_files(stage: Stage) -> None:
    account = stage.account()
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Reader", stage.principal)
    refused(
        lambda: stage.locate(account, read_only=True),
        "PERMISSION_DENIED",
        refusal("READ", account, "No file available under the location to read."),
    )
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.azure.object_id)
    url = f"https://{account}.blob.core.windows.net/data"
    with ContainerClient.from_container_url(url, credential=stage.azure.credential) as container:
        container.upload_blob("rows.csv", b"a\n1\n")
    location = stage.locate(account, read_only=True)
    assert location.read_only is True
    refused(
        lambda: stage.client.external_locations.update(str(location.name), read_only=False),
        "PERMISSION_DENIED",
        refusal("WRITE", account, FORBIDDEN),
    )


def test_a_credential_can_be_tried_before_anything_is_made(stage: Stage) -> None:
    account, credential = stage.account(), stage.credential()
    url = f"abfss://data@{account}.dfs.core.windows.net/"

    def results(**changes: Any) -> dict[str, tuple[str, str | None]]:
        answer = stage.client.storage_credentials.validate(
            **{"storage_credential_name": credential, "url": url} | changes
        )
        return {
            item.operation.value: (item.result.value, item.message)
            for item in answer.results or []
            if item.operation is not None and item.result is not None
        }

    assert results() == {
        operation: ("FAIL", refusal(operation, account, FORBIDDEN)) for operation in ("READ", "LIST", "WRITE", "DELETE")
    }
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Reader", stage.principal)
    assert [result for result, _ in results().values()] == ["PASS", "PASS", "FAIL", "FAIL"]
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.principal)
    identity = uc.AzureManagedIdentityRequest(stage.connector)
    by_identity = {"storage_credential_name": None, "azure_managed_identity": identity}
    assert results(**by_identity) == dict.fromkeys(("READ", "LIST", "WRITE", "DELETE"), ("PASS", None))
    location = stage.locate(account, credential=credential)
    assert results(url=None, external_location_name=location.name).keys() == {"READ", "LIST", "WRITE", "DELETE"}
    refused(
        results,
        "INVALID_PARAMETER_VALUE",
        f"Input path url '{url}' overlaps with an existing external location within 'ValidateStorageCredential' call."
        f" Conflicting location: {location.name}.",
        "LOCATION_OVERLAP",
    )
    refused(
        lambda: results(url=None),
        "INVALID_PARAMETER_VALUE",
        "ValidateStorageCredential Missing required field: url",
    )


def test_a_missing_container_is_reported(stage: Stage, opened: str) -> None:
    stage.azure.assign(stage.account_id(opened), "Storage Blob Data Contributor", stage.principal)
    refused(
        lambda: stage.locate(opened, container="none"),
        "PERMISSION_DENIED",
        refusal("READ", opened, "The specified filesystem does not exist.", "none"),
    )


@pytest.mark.parametrize(
    ("bypass", "named", "enters"), [("AzureServices", False, True), ("None", True, True), ("None", False, False)]
)
def test_a_firewall_admits_the_connector_as_a_trusted_service_or_by_name(
    stage: Stage, bypass: str, named: bool, enters: bool
) -> None:
    acls: dict[str, Any] = {"defaultAction": "Deny", "bypass": bypass}
    if named:
        acls["resourceAccessRules"] = [{"tenantId": stage.azure.tenant_id, "resourceId": stage.connector}]
    account = stage.account(publicNetworkAccess="Disabled", networkAcls=acls)
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.principal)
    if enters:
        assert stage.locate(account).name
    else:
        refused(
            lambda: stage.locate(account),
            "PERMISSION_DENIED",
            refusal("READ", account, "This request is not authorized to perform this operation."),
        )


def test_a_flat_account_with_soft_delete_has_no_data_lake_endpoint(stage: Stage) -> None:
    account = stage.account(isHnsEnabled=False)
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.principal)
    service = f"{stage.account_id(account)}/blobServices/default"
    kept = {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 7}}}
    assert stage.azure.arm("PUT", service, STORAGE, kept).ok
    with pytest.raises(DatabricksError, match="This endpoint does not support BlobStorageEvents or SoftDelete"):
        stage.locate(account)
    assert stage.azure.arm("PUT", service, STORAGE, {"properties": {"deleteRetentionPolicy": {"enabled": False}}}).ok
    assert stage.locate(account).name


def test_a_user_assigned_identity_may_be_named(stage: Stage) -> None:
    identity = f"{stage.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{fresh('id-')}"
    principal = stage.azure.put(identity, "2023-01-31", {"location": REGION})["properties"]["principalId"]
    refused(
        lambda: stage.credential(managed_identity_id=identity),
        "INVALID_PARAMETER_VALUE",
        f"The Azure Databricks Access Connector '{stage.connector}' does not have {identity}.",
    )
    both = {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {identity: {}}}
    body = stage.azure.put(stage.connector, DATABRICKS, {"location": REGION, "identity": both})
    assert body["identity"]["principalId"] == stage.principal, "the system-assigned one stays what it was"
    credential = stage.credential(managed_identity_id=identity)
    account = stage.account()
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.principal)
    with pytest.raises(DatabricksError, match="does not have READ permissions"):
        stage.locate(account, credential=credential)
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", principal)
    assert stage.locate(account, credential=credential).name


def test_a_region_s_workspaces_share_its_metastore(stage: Stage) -> None:
    account = stage.account()
    stage.azure.assign(stage.container_id(account), "Storage Blob Data Contributor", stage.principal)
    root = f"{stage.locate(account).url}managed"
    name = unique("cat")
    stage.client.catalogs.create(name, storage_root=root)
    assert stage.other.metastores.summary() == stage.client.metastores.summary()
    assert stage.other.catalogs.get(name).owner == stage.client.catalogs.get(name).owner
    refused(
        lambda: stage.other.catalogs.create(name, storage_root=root),
        "CATALOG_ALREADY_EXISTS",
        f"Catalog '{name}' already exists",
    )
    here = int(stage.client.metastores.current().workspace_id)
    stage.client.catalogs.update(name, isolation_mode=uc.CatalogIsolationMode.ISOLATED)
    stage.client.workspace_bindings.update_bindings("catalog", name, add=[uc.WorkspaceBinding(here)])
    assert stage.client.catalogs.get(name).name == name
    refused(
        lambda: stage.other.catalogs.get(name),
        "PERMISSION_DENIED",
        f"Catalog '{name}' is not accessible in current workspace",
    )
    stage.client.catalogs.delete(name, force=True)


def test_objects_of_a_deleted_workspace_remain_in_the_metastore(stage: Stage) -> None:
    workspace = make_workspace(stage.azure, stage.group, fresh("dbw-"))
    account = stage.account()
    identity = uc.AzureManagedIdentityRequest(stage.connector)
    credential = client_of(workspace).storage_credentials.create(unique("cred"), azure_managed_identity=identity)
    location = client_of(workspace).external_locations.create(
        unique("loc"), f"abfss://data@{account}.dfs.core.windows.net/", str(credential.name), skip_validation=True
    )
    stage.azure.finish(stage.azure.arm("DELETE", workspace["id"], DATABRICKS))
    assert stage.client.external_locations.get(str(location.name)).url == location.url


def test_a_region_without_a_metastore_has_no_catalogs(stage: Stage, cloud: Any, opened: str) -> None:
    kept = stage.credential()
    url = f"{cloud.settings.gateway_url}/_localcloud/databricks/metastores"
    token = stage.azure.credential.get_token(f"{APPLICATION_ID}/.default").token
    headers = {"Authorization": f"Bearer {token}"}

    def switch(region: str, metastore: bool, **changes: Any) -> requests.Response:
        body: Any = {"region": region, "metastore": metastore}
        return requests.post(url, json=body, headers=changes.get("headers", headers), timeout=60)

    assert switch(REGION, False, headers={}).status_code == 401
    wrong = switch("mars", False)
    assert wrong.status_code == 400 and "mars is not an Azure region; give one such as westeurope" in wrong.text
    assert switch(REGION, False).json() == {"regions_without_metastore": [REGION]}
    try:
        identity = uc.AzureManagedIdentityRequest(stage.connector)
        calls = (
            lambda: stage.client.metastores.summary(),
            lambda: stage.client.metastores.current(),
            lambda: stage.client.storage_credentials.get(kept),
            lambda: stage.client.storage_credentials.create("c", azure_managed_identity=identity),
            lambda: stage.client.external_locations.create("l", f"abfss://data@{opened}.dfs.core.windows.net/", kept),
            lambda: list(stage.client.catalogs.list()),
            lambda: stage.client.schemas.get("a.b"),
            lambda: stage.client.grants.get("catalog", "c"),
            lambda: list(stage.client.workspace_bindings.get_bindings("catalog", "c")),
        )
        for call in calls:
            refused(call, "METASTORE_DOES_NOT_EXIST", "No metastore assigned for the current workspace.")
        workspace = make_workspace(stage.azure, stage.group, fresh("dbw-"))
        assert workspace["properties"]["isUcEnabled"] is False
    finally:
        assert switch(REGION, True).json() == {"regions_without_metastore": []}
    assert stage.client.storage_credentials.get(kept).name == kept, "what is in it was there all the time"


def test_a_variable_lists_the_regions_with_a_metastore(monkeypatch: pytest.MonkeyPatch) -> None:
    def has(text: str, region: str = "westeurope") -> bool:
        monkeypatch.setenv(VARIABLE, text)
        return MetastoreRegions.from_environment().has(region)

    assert has("") and has("all") and has("WestEurope, northeurope")
    assert not has("none") and not has("northeurope")
    with pytest.raises(ConfigurationError, match="LOCALCLOUD_METASTORE_REGIONS names mars: give Azure regions"):
        has("westeurope,mars")


def test_a_start_forgets_deleted_workspaces_and_no_metastore(tmp_path: Any) -> None:
    database = Database(tmp_path / "localcloud.db")
    store.create_schema(database)
    deleted, region = Documents(database, "1@then"), Documents(database, "metastore@westeurope")
    deleted.put("pool", "p", {"name": "p"})
    region.put("uc-metastore", "metastore", {"name": "m"})
    region.put("uc-catalog", "c", {"name": "c"})
    context: Any = SimpleNamespace(database=database)
    store.forget_workspaces(database, {*session.namespaces(context)})
    assert deleted.all("pool") == [] and region.all("uc-catalog") == [{"name": "c"}]
    database.close()
