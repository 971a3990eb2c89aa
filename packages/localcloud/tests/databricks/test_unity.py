"""Unity Catalog through the vendor's client: the metastore, storage credentials and external locations.

Their storage is in test_unity_storage.py, the objects in them in test_unity_catalogs.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import catalog as uc
from databricks.sdk.service import iam
from localcloud.databricks.unity import storage
from localcloud.testing.databricks_service import CONNECTOR
from localcloud.testing.unity import IDENTITY, Place, refused, unique
from localcloud.testing.unity import catalog as catalog
from localcloud.testing.unity import job as job
from localcloud.testing.unity import me as me
from localcloud.testing.unity import place as place


def test_the_workspace_is_attached_to_the_metastore_of_its_region(admin: WorkspaceClient, me: str) -> None:
    summary, assignment = admin.metastores.summary(), admin.metastores.current()
    assert (summary.name, summary.cloud, summary.region) == ("metastore_azure_westeurope", "azure", "westeurope")
    assert summary.global_metastore_id == f"azure:westeurope:{summary.metastore_id}"
    assert summary.storage_root is None and summary.owner == "System user", "as Azure makes them"
    assert (assignment.metastore_id, assignment.workspace_id) == (summary.metastore_id, 7405600000000001)
    assert [item.metastore_id for item in admin.metastores.list()] == [summary.metastore_id]
    assert summary.metastore_id is not None
    granted = admin.grants.get("metastore", summary.metastore_id).privilege_assignments or []
    (admins,) = [item for item in granted if str(item.principal).endswith("_workspace_7405600000000001")]
    assert {uc.Privilege.CREATE_CATALOG, uc.Privilege.CREATE_STORAGE_CREDENTIAL} <= set(admins.privileges or [])


def test_a_credential_is_made_changed_listed_and_deleted(admin: WorkspaceClient, me: str) -> None:
    name = unique("cred")
    credential = admin.storage_credentials.create(name, azure_managed_identity=IDENTITY, comment="one")
    assert credential.azure_managed_identity is not None
    assert credential.azure_managed_identity.access_connector_id == CONNECTOR
    assert (credential.owner, credential.created_by, credential.read_only) == (me, me, False)
    assert credential.isolation_mode == uc.IsolationMode.ISOLATION_MODE_OPEN
    changed = admin.storage_credentials.update(name, comment="two", read_only=True)
    assert (changed.comment, changed.read_only, changed.id) == ("two", True, credential.id)
    assert admin.storage_credentials.get(name) == changed
    assert name in {item.name for item in admin.storage_credentials.list()}
    admin.storage_credentials.delete(name)
    refused(
        lambda: admin.storage_credentials.get(name),
        "STORAGE_CREDENTIAL_DOES_NOT_EXIST",
        f"Storage Credential '{name}' does not exist.",
    )


def test_an_invalid_credential_is_refused(admin: WorkspaceClient, member: WorkspaceClient, place: Place) -> None:
    create = admin.storage_credentials.create
    refused(
        lambda: create(place.credential, azure_managed_identity=IDENTITY),
        "STORAGE_CREDENTIAL_ALREADY_EXISTS",
        f"Storage Credential '{place.credential}' already exists",
    )
    refused(
        lambda: create(unique("cred")),
        "INVALID_PARAMETER_VALUE",
        "CreateStorageCredential Missing required field: azure_managed_identity",
    )
    missing = CONNECTOR.replace("dbac-test", "dbac-gone")
    refused(
        lambda: create(unique("cred"), azure_managed_identity=uc.AzureManagedIdentityRequest(missing)),
        "INVALID_PARAMETER_VALUE",
        f"The Azure Databricks Access Connector '{missing}' could not be found.",
    )
    other = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id"
    with pytest.raises(DatabricksError, match="userAssignedIdentities/id' is not valid: use /subscriptions/"):
        create(unique("cred"), azure_managed_identity=uc.AzureManagedIdentityRequest(other))
    attached = uc.AzureManagedIdentityRequest(CONNECTOR, managed_identity_id=other)
    refused(
        lambda: create(unique("cred"), azure_managed_identity=attached),
        "INVALID_PARAMETER_VALUE",
        f"The Azure Databricks Access Connector '{CONNECTOR}' does not have {other}.",
    )
    refused(
        lambda: member.storage_credentials.create(unique("cred"), azure_managed_identity=IDENTITY),
        "PERMISSION_DENIED",
        "User does not have CREATE STORAGE CREDENTIAL on Metastore 'metastore_azure_westeurope'.",
    )
    with pytest.raises(DatabricksError, match=r"does not emulate storage credentials with azure_service_principal"):
        create(unique("cred"), azure_service_principal=uc.AzureServicePrincipal("directory", "application", "secret"))


def test_registering_a_connector_requires_contributor_on_it(
    admin: WorkspaceClient, member: WorkspaceClient, job: str
) -> None:
    metastore = str(admin.metastores.current().metastore_id)
    creation = [uc.Privilege.CREATE_STORAGE_CREDENTIAL]
    with pytest.raises(DatabricksError, match="does not have MANAGE on Metastore"):
        admin.grants.update("metastore", metastore, changes=[uc.PermissionsChange(add=creation, principal=job)])
    # Azure makes metastores without an administrator, who alone could grant that: the member becomes workspace admin.
    groups = {item.display_name: item for item in admin.groups.list()}
    assert "admins" in groups
    principal = next(item for item in admin.service_principals.list() if item.application_id == job)
    admins = str(groups["admins"].id)
    patch = [iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    admin.groups.patch(
        admins, operations=[iam.Patch(iam.PatchOp.ADD, "members", [{"value": principal.id}])], schemas=patch
    )
    try:
        refused(
            lambda: member.storage_credentials.create(unique("cred"), azure_managed_identity=IDENTITY),
            "PERMISSION_DENIED",
            "Registering a storage credential requires the contributor role over the corresponding access connector"
            f" with ID {CONNECTOR}. Please contact your account admin.",
        )
    finally:
        admin.groups.patch(
            admins,
            operations=[iam.Patch(iam.PatchOp.REMOVE, f'members[value eq "{principal.id}"]')],
            schemas=patch,
        )


def test_a_location_keeps_its_url_as_databricks_writes_it(admin: WorkspaceClient, place: Place) -> None:
    assert admin.external_locations.get(place.location).url == place.url, "the root keeps its slash"
    admin.external_locations.delete(place.location)
    location = admin.external_locations.create(
        place.location.upper(), f"{place.url}one//two/", place.credential, skip_validation=True, comment="c"
    )
    assert location.url == f"{place.url}one/two"
    assert location.name == place.location, "Unity Catalog keeps names in lower case"
    assert (location.credential_name, location.comment, location.read_only, location.fallback) == (
        place.credential,
        "c",
        False,
        False,
    )
    moved = admin.external_locations.update(place.location, url=f"{place.url}three", skip_validation=True)
    assert moved.url == f"{place.url}three"


def test_a_concurrent_change_of_a_location_survives_the_test_of_its_new_url(
    admin: WorkspaceClient, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, other = f"{place.url}moved/", unique("loc")

    def meanwhile(happens: Callable[[], object]) -> None:
        async def check(*arguments: Any, **options: Any) -> None:
            await asyncio.to_thread(happens)

        monkeypatch.setattr(storage, "check", check)

    url = f"{moved.replace('data@', 'other@')}"
    meanwhile(lambda: admin.external_locations.create(other, url, place.credential, skip_validation=True))
    with pytest.raises(DatabricksError, match="overlaps with an existing external location"):
        admin.external_locations.update(place.location, url=url)
    admin.external_locations.delete(other)

    meanwhile(lambda: admin.external_locations.delete(place.location))
    with pytest.raises(DatabricksError, match=f"'{place.location}' does not exist"):
        admin.external_locations.update(place.location, url=moved)
    assert place.location not in [item.name for item in admin.external_locations.list()]


@pytest.mark.parametrize("inner", ["", "a", "a/b/"])
def test_locations_do_not_overlap(admin: WorkspaceClient, place: Place, inner: str) -> None:
    url = place.url + inner
    refused(
        lambda: admin.external_locations.create(unique("loc"), url, place.credential, skip_validation=True),
        "INVALID_PARAMETER_VALUE",
        f"Input path url '{url.rstrip('/') if inner else url}' overlaps with an existing external location within"
        f" 'CreateExternalLocation' call. Conflicting location: {place.location}.",
        "LOCATION_OVERLAP",
    )


def test_paths_that_only_begin_alike_do_not_overlap(admin: WorkspaceClient, place: Place) -> None:
    admin.external_locations.update(place.location, url=f"{place.url}data", skip_validation=True)
    other = unique("loc")
    admin.external_locations.create(other, f"{place.url}data2", place.credential, skip_validation=True)
    admin.external_locations.delete(other)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/mnt/data", "Missing cloud file system scheme"),
        ("s3://bucket/data", "Input path url 's3://bucket/data' is not a path of Azure Data Lake Storage: use"),
        ("abfss://data@acc.blob.core.windows.net/", "is not a path of Azure Data Lake Storage: use"),
        ("abfss://Data@acc.dfs.core.windows.net/", "is not a path of Azure Data Lake Storage: use"),
        ("wasbs://data@acc.dfs.core.windows.net/", "use abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"),
    ],
)
def test_addresses_of_other_stores_are_refused(admin: WorkspaceClient, place: Place, url: str, message: str) -> None:
    with pytest.raises(DatabricksError) as caught:
        admin.external_locations.create(unique("loc"), url, place.credential, skip_validation=True)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE" and message in str(caught.value)


def test_an_invalid_location_is_refused(admin: WorkspaceClient, place: Place) -> None:
    create = admin.external_locations.create
    refused(
        lambda: create(place.location, place.url, place.credential, skip_validation=True),
        "EXTERNAL_LOCATION_ALREADY_EXISTS",
        f"External Location '{place.location}' already exists",
    )
    refused(
        lambda: create(unique("loc"), place.url.replace("data@", "other@"), "none_such", skip_validation=True),
        "STORAGE_CREDENTIAL_DOES_NOT_EXIST",
        "Storage Credential 'none_such' does not exist.",
    )
    refused(
        lambda: create(unique("loc"), "", place.credential),
        "INVALID_PARAMETER_VALUE",
        "CreateExternalLocation Missing required field: url",
    )
    refused(
        lambda: admin.external_locations.get("none_such"),
        "EXTERNAL_LOCATION_DOES_NOT_EXIST",
        "External Location 'none_such' does not exist.",
    )
    with pytest.raises(DatabricksError, match="does not emulate external locations with enable_file_events"):
        create(unique("loc"), place.url, place.credential, enable_file_events=True)


def test_an_object_in_use_is_not_deleted_without_force(admin: WorkspaceClient, place: Place, catalog: str) -> None:
    refused(
        lambda: admin.storage_credentials.delete(place.credential),
        "INVALID_STATE",
        f"Storage credential '{place.credential}' has 0 directly dependent external table(s) and 1 dependent storage"
        " location(s). You may use force option to delete it but the managed storage data using this storage credential"
        " cannot be purged by Unity Catalog anymore.",
    )
    refused(
        lambda: admin.external_locations.delete(place.location),
        "INVALID_STATE",
        f"Cannot delete external location (name = {place.location}) because the location has 0 dependent metastores, 1"
        " dependent catalogs, 0 dependent schemas, 0 dependent managed tables, 0 dependent external tables, 0 dependent"
        " external volumes, 0 dependent managed volumes, 0 dependent registered model versions, 0 dependent shares, and"
        " 0 dependent shared notebook files. You may use force option to delete it but the managed storage data under"
        " this location cannot be purged by Unity Catalog anymore.",
    )
    with pytest.raises(DatabricksError, match="use force option to update url anyway"):
        admin.external_locations.update(place.location, url=f"{place.url}elsewhere", skip_validation=True)
    admin.external_locations.delete(place.location, force=True)
    admin.storage_credentials.delete(place.credential)
