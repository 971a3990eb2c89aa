"""Permissions in Unity Catalog: privileges, inheritance, owners, MANAGE, and workspace bindings."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import catalog as uc
from localcloud.testing.unity import Place, refused, unique
from localcloud.testing.unity import catalog as catalog
from localcloud.testing.unity import job as job
from localcloud.testing.unity import me as me
from localcloud.testing.unity import place as place

Privilege = uc.Privilege
WORKSPACE = 7405600000000001


@pytest.fixture
def schema(admin: WorkspaceClient, catalog: str) -> str:
    return str(admin.schemas.create("training", catalog).full_name)


@pytest.fixture
def isolated(admin: WorkspaceClient, catalog: str) -> Iterator[str]:
    """Return a catalog that is bound to no workspace."""
    admin.catalogs.update(catalog, isolation_mode=uc.CatalogIsolationMode.ISOLATED)
    yield catalog
    admin.workspace_bindings.update_bindings("catalog", catalog, add=[uc.WorkspaceBinding(WORKSPACE)])


def grant(client: WorkspaceClient, type_: str, name: str, principal: str, *privileges: Privilege) -> None:
    client.grants.update(type_, name, changes=[uc.PermissionsChange(add=list(privileges), principal=principal)])


def granted(client: WorkspaceClient, type_: str, name: str, **query: Any) -> dict[str, set[str]]:
    assignments = client.grants.get(type_, name, **query).privilege_assignments or []
    return {str(item.principal): {privilege.value for privilege in item.privileges or []} for item in assignments}


def test_grants_are_added_and_removed(admin: WorkspaceClient, catalog: str, job: str, me: str) -> None:
    assert granted(admin, "catalog", catalog) == {}
    grant(admin, "CATALOG", catalog, job, Privilege.USE_CATALOG, Privilege.SELECT)
    grant(admin, "catalog", catalog, "account users", Privilege.BROWSE)
    assert granted(admin, "catalog", catalog) == {job: {"USE_CATALOG", "SELECT"}, "account users": {"BROWSE"}}
    assert granted(admin, "catalog", catalog, principal=job) == {job: {"USE_CATALOG", "SELECT"}}
    changes = [
        uc.PermissionsChange(remove=[Privilege.SELECT], add=[Privilege.USE_SCHEMA], principal=job),
        uc.PermissionsChange(remove=[Privilege.ALL_PRIVILEGES], principal="account users"),
    ]
    answer = admin.grants.update("catalog", catalog, changes=changes).privilege_assignments or []
    assert [(item.principal, item.privileges) for item in answer] == [
        (job, [Privilege.USE_CATALOG, Privilege.USE_SCHEMA])
    ]
    silent = admin.grants.update("catalog", catalog, changes=changes, omit_permissions_in_response=True)
    assert not silent.privilege_assignments


def test_privileges_may_be_written_as_in_sql(admin: WorkspaceClient, catalog: str, job: str) -> None:
    body = {"changes": [{"principal": job.upper(), "add": ["use catalog"]}]}
    admin.api_client.do("PATCH", f"/api/2.1/unity-catalog/permissions/catalog/{catalog}", body=body)
    assert granted(admin, "catalog", catalog) == {job: {"USE_CATALOG"}}


@pytest.mark.parametrize(
    ("type_", "privilege", "entity"),
    [
        ("catalog", Privilege.READ_FILES, "CATALOG/CATALOG_STANDARD"),
        ("schema", Privilege.USE_CATALOG, "SCHEMA/SCHEMA_STANDARD"),
        ("external_location", Privilege.SELECT, "EXTERNAL_LOCATION/EXTERNAL_LOCATION_STANDARD"),
        ("storage_credential", Privilege.USE_SCHEMA, "STORAGE_CREDENTIAL/STORAGE_CREDENTIAL_AZURE_MANAGED_IDENTITY"),
    ],
)
def test_a_privilege_of_another_kind_of_object_is_refused_and_nothing_changes(
    admin: WorkspaceClient, place: Place, catalog: str, job: str, type_: str, privilege: Privilege, entity: str
) -> None:
    names = {"catalog": catalog, "schema": f"{catalog}.default", "external_location": place.location}
    name = names.get(type_, place.credential)
    changes = [
        uc.PermissionsChange(add=[Privilege.MANAGE], principal=job),
        uc.PermissionsChange(add=[privilege], principal="account users"),
    ]
    refused(
        lambda: admin.grants.update(type_, name, changes=changes),
        "INVALID_PARAMETER_VALUE",
        f"Privilege {privilege.value.replace('_', ' ')} is not applicable to this entity [{entity}]. If this seems"
        " unexpected, please check the privilege version of the metastore in use [1.0].",
        "PRIVILEGE_NOT_APPLICABLE_TO_ENTITY",
    )
    assert granted(admin, type_, name) == {}


def test_grants_of_a_deleted_principal_can_be_removed(admin: WorkspaceClient, catalog: str) -> None:
    left = admin.service_principals.create(application_id=str(uuid.uuid4()), display_name="leaves")
    name = str(left.application_id)
    grant(admin, "catalog", catalog, name, Privilege.USE_CATALOG)
    admin.service_principals.delete(str(left.id))
    assert granted(admin, "catalog", catalog) == {name: {"USE_CATALOG"}}
    assert granted(admin, "catalog", catalog, principal=name) == {name: {"USE_CATALOG"}}
    admin.grants.update(
        "catalog", catalog, changes=[uc.PermissionsChange(remove=[Privilege.USE_CATALOG], principal=name)]
    )
    assert granted(admin, "catalog", catalog) == {}


def test_wrong_grants_are_refused(admin: WorkspaceClient, catalog: str, job: str) -> None:
    stranger = str(uuid.uuid4())
    for principal in (stranger, "admins", "users"):
        refused(
            lambda name=principal: grant(admin, "catalog", catalog, name, Privilege.USE_CATALOG),  # type: ignore[misc]
            "PRINCIPAL_DOES_NOT_EXIST",
            f"Could not find principal with name {principal}",
        )
    both = [uc.PermissionsChange(add=[Privilege.SELECT], remove=[Privilege.SELECT], principal=job)]
    refused(
        lambda: admin.grants.update("catalog", catalog, changes=both),
        "INVALID_PARAMETER_VALUE",
        f"Duplicate privileges to add and delete for principal {job}.",
    )
    refused(
        lambda: grant(admin, "schema", f"{catalog}.none", job, Privilege.SELECT),
        "SCHEMA_DOES_NOT_EXIST",
        f"Schema '{catalog}.none' does not exist.",
    )
    refused(
        lambda: admin.grants.get("catalog", catalog, max_results=10),
        "INVALID_PARAMETER_VALUE",
        "max_results must be 0 or at least 150, got 10.",
    )
    with pytest.raises(DatabricksError, match="does not emulate Unity Catalog's privileges on a share") as caught:
        admin.grants.get("share", "s")
    assert caught.value.error_code == "NOT_IMPLEMENTED"


def test_grants_on_a_parent_apply_to_its_children(admin: WorkspaceClient, catalog: str, schema: str, job: str) -> None:
    grant(admin, "catalog", catalog, job, Privilege.USE_CATALOG, Privilege.SELECT)
    grant(admin, "schema", schema, job, Privilege.MODIFY)
    (item,) = admin.grants.get_effective("schema", schema).privilege_assignments or []
    assignments = {p.privilege: (p.inherited_from_type, p.inherited_from_name) for p in item.privileges or []}
    above = (uc.SecurableType.CATALOG, catalog)
    assert item.principal == job
    assert assignments == {Privilege.MODIFY: (None, None), Privilege.USE_CATALOG: above, Privilege.SELECT: above}
    assert granted(admin, "schema", schema) == {job: {"MODIFY"}}
    assert [p.principal for p in admin.grants.list("schema", schema)] == [job]
    assert [len(p.privileges or []) for p in admin.grants.list_effective("schema", schema)] == [3]


def test_a_principal_s_grants_limit_its_view_and_its_actions(
    admin: WorkspaceClient, member: WorkspaceClient, catalog: str, schema: str, job: str
) -> None:
    closed = f"User does not have USE CATALOG on Catalog '{catalog}'."
    refused(lambda: member.catalogs.get(catalog), "PERMISSION_DENIED", closed)
    refused(lambda: member.schemas.get(schema), "PERMISSION_DENIED", closed)
    assert catalog not in {item.name for item in member.catalogs.list()}
    grant(admin, "schema", schema, job, Privilege.USE_SCHEMA)
    refused(lambda: member.schemas.get(schema), "PERMISSION_DENIED", closed)
    grant(admin, "catalog", catalog, job, Privilege.USE_CATALOG)
    assert member.schemas.get(schema).name == "training"
    assert {item.name for item in member.schemas.list(catalog)} == {"training"}
    refused(
        lambda: member.schemas.create("mine", catalog),
        "PERMISSION_DENIED",
        f"User does not have CREATE SCHEMA on Catalog '{catalog}'.",
    )
    refused(
        lambda: member.volumes.create(catalog, "training", "files", uc.VolumeType.MANAGED),
        "PERMISSION_DENIED",
        f"User does not have CREATE VOLUME on Schema '{schema}'.",
    )
    grant(admin, "catalog", catalog, job, Privilege.ALL_PRIVILEGES)
    assert member.schemas.create("mine", catalog).owner == job
    assert member.volumes.create(catalog, "training", "files", uc.VolumeType.MANAGED).owner == job
    refused(
        lambda: grant(member, "catalog", catalog, job, Privilege.MANAGE),
        "PERMISSION_DENIED",
        f"User does not have MANAGE on Catalog '{catalog}'.",
    )
    refused(
        lambda: member.catalogs.delete(catalog, force=True),
        "PERMISSION_DENIED",
        f"User is not an owner of Catalog '{catalog}'.",
    )
    grant(admin, "catalog", catalog, job, Privilege.MANAGE)
    grant(member, "schema", schema, "account users", Privilege.SELECT)
    assert member.catalogs.update(catalog, comment="mine").comment == "mine"


def test_access_by_browse_alone_is_reported_as_not_emulated(
    admin: WorkspaceClient, member: WorkspaceClient, catalog: str, schema: str, job: str
) -> None:
    grant(admin, "catalog", catalog, job, Privilege.BROWSE)
    closed = f"User does not have USE CATALOG on Catalog '{catalog}'."
    refused(lambda: member.catalogs.get(catalog), "PERMISSION_DENIED", closed)
    assert catalog not in {item.name for item in member.catalogs.list()}
    for request in (
        lambda: member.catalogs.get(catalog, include_browse=True),
        lambda: list(member.catalogs.list(include_browse=True)),
        lambda: member.schemas.get(schema, include_browse=True),
    ):
        with pytest.raises(DatabricksError, match="does not emulate Unity Catalog's include_browse"):
            request()
    assert admin.catalogs.get(catalog, include_browse=True).name == catalog

    grant(admin, "catalog", catalog, job, Privilege.USE_CATALOG)
    assert member.catalogs.get(catalog, include_browse=True).name == catalog


def test_a_principal_without_manage_sees_only_its_own_grants(
    admin: WorkspaceClient, member: WorkspaceClient, place: Place, job: str, me: str
) -> None:
    grant(admin, "external_location", place.location, job, Privilege.READ_FILES)
    grant(admin, "external_location", place.location, me, Privilege.READ_FILES, Privilege.WRITE_FILES)
    assert granted(member, "external_location", place.location) == {job: {"READ_FILES"}}
    assert granted(admin, "external_location", place.location).keys() == {job, me}
    assert member.external_locations.get(place.location).name == place.location
    refused(
        lambda: member.storage_credentials.get(place.credential),
        "PERMISSION_DENIED",
        f"User does not have BROWSE on Storage Credential '{place.credential}'.",
    )


def test_a_credential_and_a_location_are_used_with_their_own_privileges(
    admin: WorkspaceClient, member: WorkspaceClient, place: Place, job: str
) -> None:
    """Azure's metastore lets no one but workspace admins make locations and catalogs: an admin of nothing else here."""
    refused(
        lambda: member.external_locations.create(
            unique("loc"), place.url.replace("data@", "other@"), place.credential, skip_validation=True
        ),
        "PERMISSION_DENIED",
        "User does not have CREATE EXTERNAL LOCATION on Metastore 'metastore_azure_westeurope'.",
    )
    admin.external_locations.update(place.location, owner=job)
    refused(
        lambda: admin.catalogs.create(unique("cat"), storage_root=f"{place.url}x"),
        "PERMISSION_DENIED",
        f"User does not have CREATE MANAGED STORAGE on External Location '{place.location}'.",
    )
    refused(
        lambda: admin.external_locations.delete(place.location, force=True),
        "PERMISSION_DENIED",
        f"User is not an owner of External Location '{place.location}'.",
    )
    admin.storage_credentials.update(place.credential, owner=job)
    refused(
        lambda: admin.external_locations.create(
            unique("loc"), place.url.replace("data@", "other@"), place.credential, skip_validation=True
        ),
        "PERMISSION_DENIED",
        f"User does not have CREATE EXTERNAL LOCATION on Storage Credential '{place.credential}'.",
    )
    grant(member, "external_location", place.location, str(admin.current_user.me().user_name), Privilege.MANAGE)
    member.external_locations.delete(place.location, force=True)
    member.storage_credentials.delete(place.credential)


def test_an_isolated_catalog_is_closed_until_its_workspace_is_bound(admin: WorkspaceClient, isolated: str) -> None:
    closed = f"Catalog '{isolated}' is not accessible in current workspace"
    refused(lambda: admin.catalogs.get(isolated), "PERMISSION_DENIED", closed)
    refused(lambda: admin.schemas.get(f"{isolated}.default"), "PERMISSION_DENIED", closed)
    refused(lambda: admin.grants.get("catalog", isolated), "PERMISSION_DENIED", closed)
    refused(lambda: admin.catalogs.delete(isolated), "PERMISSION_DENIED", closed)
    assert isolated not in {item.name for item in admin.catalogs.list()}
    assert isolated in {item.name for item in admin.catalogs.list(include_unbound=True)}
    assert list(admin.workspace_bindings.get_bindings("catalog", isolated)) == []
    answer = admin.workspace_bindings.update_bindings("catalog", isolated, add=[uc.WorkspaceBinding(WORKSPACE)])
    assert [(item.workspace_id, item.binding_type) for item in answer.bindings or []] == [
        (WORKSPACE, uc.WorkspaceBindingBindingType.BINDING_TYPE_READ_WRITE)
    ]
    assert admin.catalogs.get(isolated).isolation_mode == uc.CatalogIsolationMode.ISOLATED
    assert admin.workspace_bindings.get(isolated).workspaces == [WORKSPACE], "the older form"
    assert admin.workspace_bindings.update(isolated, unassign_workspaces=[WORKSPACE]).workspaces == []
    refused(lambda: admin.catalogs.get(isolated), "PERMISSION_DENIED", closed)


def test_locations_and_credentials_can_be_isolated(admin: WorkspaceClient, place: Place) -> None:
    mode = uc.IsolationMode.ISOLATION_MODE_ISOLATED
    admin.external_locations.update(place.location, isolation_mode=mode)
    closed = f"External Location '{place.location}' is not accessible in current workspace"
    refused(lambda: admin.external_locations.get(place.location), "PERMISSION_DENIED", closed)
    refused(lambda: admin.catalogs.create(unique("cat"), storage_root=f"{place.url}x"), "PERMISSION_DENIED", closed)
    read_only = uc.WorkspaceBinding(WORKSPACE, uc.WorkspaceBindingBindingType.BINDING_TYPE_READ_ONLY)
    refused(
        lambda: admin.workspace_bindings.update_bindings("external_location", place.location, add=[read_only]),
        "INVALID_PARAMETER_VALUE",
        "binding_type of a External Location must be BINDING_TYPE_READ_WRITE, got BINDING_TYPE_READ_ONLY.",
    )
    bind = admin.workspace_bindings.update_bindings
    bind("external_location", place.location, add=[uc.WorkspaceBinding(WORKSPACE)])
    assert admin.external_locations.get(place.location).isolation_mode == mode
    admin.storage_credentials.update(place.credential, isolation_mode=mode)
    bind("storage_credential", place.credential, add=[uc.WorkspaceBinding(WORKSPACE)])
    assert admin.storage_credentials.get(place.credential).isolation_mode == mode


def test_wrong_bindings_are_refused(admin: WorkspaceClient, catalog: str, schema: str) -> None:
    refused(
        lambda: admin.workspace_bindings.update_bindings("catalog", catalog, add=[uc.WorkspaceBinding(42)]),
        "INVALID_PARAMETER_VALUE",
        "Workspace 42 is not assigned to metastore metastore_azure_westeurope.",
    )
    for workspaces, message in (
        (["²"], "Expected 'assign_workspaces[0]' to be a whole number, got '²'."),
        (WORKSPACE, f"Expected 'assign_workspaces' to be an array, got {WORKSPACE}."),
    ):
        body = {"assign_workspaces": workspaces}
        path = f"/api/2.1/unity-catalog/workspace-bindings/catalogs/{catalog}"
        with pytest.raises(BadRequest, match=re.escape(message)):
            admin.api_client.do("PATCH", path, body=body)
    with pytest.raises(DatabricksError, match="does not emulate Unity Catalog's workspace bindings of a schema"):
        list(admin.workspace_bindings.get_bindings("schema", schema))
    path = f"/api/2.1/unity-catalog/catalogs/{catalog}"
    with pytest.raises(DatabricksError, match="field isolation_mode: must be one of ISOLATED, OPEN"):
        admin.api_client.do("PATCH", path, body={"isolation_mode": "SOMEWHERE"})
