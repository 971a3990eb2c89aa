"""Role assignments and definitions by azure-mgmt-authorization."""

from __future__ import annotations

import uuid

from azure.mgmt.authorization import AuthorizationManagementClient
from localcloud.arm.roles import BUILT_IN, BY_NAME
from localcloud.testing.azure_session import AzureSession, error_of

READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"


def _path(scope: str, name: str | None = None) -> str:
    return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name or uuid.uuid4()}"


def _body(azure: AzureSession, **changes: str) -> dict[str, object]:
    definition = f"{azure.subscription}/providers/Microsoft.Authorization/roleDefinitions/{READER}"
    return {"properties": {"principalId": azure.object_id, "roleDefinitionId": definition, **changes}}


def test_an_assignment_is_made_once_and_listed_by_scope_and_principal(azure: AzureSession, group: str) -> None:
    name = str(uuid.uuid4())
    response = azure.arm("PUT", _path(group, name), "2022-04-01", _body(azure))
    assert response.status_code == 201 and response.json()["properties"]["scope"] == group
    status, code, message = error_of(azure.arm("PUT", _path(group), "2022-04-01", _body(azure)))
    assert (status, code) == (409, "RoleAssignmentExists")
    assert name.replace("-", "") in message
    client = AuthorizationManagementClient(azure.credential, azure.subscription_id)
    assignments = client.role_assignments.list_for_scope(group, filter=f"principalId eq '{azure.object_id}'")
    assert name in [assignment.name for assignment in assignments]
    client.role_assignments.delete(group, name)
    assert azure.arm("GET", _path(group, name), "2022-04-01").status_code == 404


def test_a_role_or_principal_that_does_not_exist_cannot_be_assigned(azure: AzureSession, group: str) -> None:
    stranger = azure.arm("PUT", _path(group), "2022-04-01", _body(azure, principalId=str(uuid.uuid4())))
    assert error_of(stranger)[:2] == (400, "PrincipalNotFound")
    role = azure.arm("PUT", _path(group), "2022-04-01", _body(azure, roleDefinitionId=f"/x/{uuid.uuid4()}"))
    assert error_of(role)[:2] == (400, "RoleDefinitionDoesNotExist")
    name = azure.arm("PUT", _path(group, "not-a-guid"), "2022-04-01", _body(azure))
    assert error_of(name)[:2] == (400, "InvalidRoleAssignmentId")
    kind = azure.arm("PUT", _path(group), "2022-04-01", _body(azure, principalType="User"))
    assert error_of(kind)[:2] == (400, "UnmatchedPrincipalType")


def test_role_definitions_are_listed_by_name(azure: AzureSession, group: str) -> None:
    client = AuthorizationManagementClient(azure.credential, azure.subscription_id)
    definitions = list(client.role_definitions.list(group, filter="roleName eq 'Storage Blob Data Contributor'"))
    assert [definition.name for definition in definitions] == ["ba92f5b4-2d11-453d-a403-e96b0029c9fe"]


def test_contributor_does_not_assign_roles_and_has_no_data() -> None:
    contributor = BY_NAME["Contributor"]
    assert contributor.grants("Microsoft.Storage/storageAccounts/write", data=False)
    assert not contributor.grants("Microsoft.Authorization/roleAssignments/write", data=False)
    assert not contributor.grants("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read", data=True)


def test_role_ids_and_names_are_unique() -> None:
    assert len({role.id for role in BUILT_IN}) == len({role.name for role in BUILT_IN}) == len(BUILT_IN)
