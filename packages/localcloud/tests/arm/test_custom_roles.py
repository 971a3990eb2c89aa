"""Custom roles by azure-mgmt-authorization: the right to make them, refusals, and a principal's resulting rights."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.models import Permission, RoleDefinition
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.principals import session_as

VAULTS = "Microsoft.KeyVault/vaults"
_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"


@pytest.fixture
def client(azure: AzureSession, cloud: Any, group: str) -> AuthorizationManagementClient:
    """Return the client of an owner of the group, who may define roles there and nowhere else."""
    owner = _identity(azure, group)
    azure.assign(group, "Owner", owner)
    return AuthorizationManagementClient(session_as(cloud, owner).credential, azure.subscription_id)


def _identity(azure: AzureSession, group: str) -> str:
    """Make an identity without roles; return its object id."""
    id_ = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id')}"
    return str(azure.put(id_, "2023-01-31", {"location": "westeurope"})["properties"]["principalId"])


def _definition(group: str, *actions: str, name: str | None = None, scope: str | None = None) -> RoleDefinition:
    permission = Permission(actions=list(actions), not_actions=[], data_actions=[], not_data_actions=[])
    return RoleDefinition(
        role_name=name or unique("role "), description="d", permissions=[permission], assignable_scopes=[scope or group]
    )


def _assign(azure: AzureSession, scope: str, role: str, object_id: str) -> Any:
    name = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    properties = {"principalId": object_id, "principalType": "ServicePrincipal", "roleDefinitionId": role}
    return azure.arm("PUT", name, "2022-04-01", {"properties": properties})


def test_a_custom_role_allows_its_actions_and_nothing_else(
    azure: AzureSession, cloud: Any, group: str, client: AuthorizationManagementClient
) -> None:
    object_id, name = _identity(azure, group), str(uuid.uuid4())
    role = client.role_definitions.create_or_update(group, name, _definition(group, f"{_GROUPS}/read"))
    assert (role.name, role.role_type) == (name, "CustomRole")
    assert client.role_definitions.get(group, name).permissions[0].actions == [f"{_GROUPS}/read"]
    listed = client.role_definitions.list(group, filter="type eq 'CustomRole'")
    assert name in [definition.name for definition in listed]
    principal = session_as(cloud, object_id)
    assert principal.arm("GET", group, "2024-03-01").status_code == 403

    assert _assign(azure, group, str(role.id), object_id).status_code == 201

    assert principal.arm("GET", group, "2024-03-01").status_code == 200
    put = principal.arm("PUT", group, "2024-03-01", {"location": "westeurope"})
    assert error_of(put)[:2] == (403, "AuthorizationFailed")
    client.role_definitions.create_or_update(group, name, _definition(group, f"{_GROUPS}/write", name=role.role_name))
    assert principal.arm("GET", group, "2024-03-01").status_code == 403, "the definition counts as it is now"


def test_a_custom_role_is_assigned_below_its_assignable_scopes_alone_and_deleted_without_assignments(
    azure: AzureSession, group: str, client: AuthorizationManagementClient
) -> None:
    object_id, name = _identity(azure, group), str(uuid.uuid4())
    role = client.role_definitions.create_or_update(group, name, _definition(group, f"{_GROUPS}/read"))
    outside = _assign(azure, azure.subscription, str(role.id), object_id)
    assert error_of(outside)[:2] == (400, "RoleAssignmentScopeNotAssignableToRoleDefinition")
    assigned = _assign(azure, group, str(role.id), object_id)
    with pytest.raises(HttpResponseError) as refusal:
        client.role_definitions.delete(group, name)
    assert refusal.value.error is not None and refusal.value.error.code == "RoleDefinitionHasAssignments"
    azure.arm("DELETE", assigned.json()["id"], "2022-04-01")
    assert client.role_definitions.delete(group, name).name == name
    assert client.role_definitions.delete(group, name) is None
    refused_below = _assign(azure, group, str(role.id), object_id)
    assert error_of(refused_below)[:2] == (400, "RoleDefinitionDoesNotExist")


@pytest.mark.parametrize(
    ("changes", "status", "code", "message"),
    [
        ({"actions": ["Microsoft.Nowhere/things/read"]}, 400, "InvalidActionOrNotAction",
         "'Microsoft.Nowhere/things/read' does not match any of the actions supported by the providers."),
        ({"actions": ["Microsoft.KeyVault/vaults/look"]}, 400, "InvalidActionOrNotAction", "does not match any"),
        ({"scope": "/"}, 400, "InvalidRoleDefinition", "The assignable scope '/' is for built-in roles"),
        ({"name": "Reader"}, 409, "RoleDefinitionWithSameNameExists", "with a name that already exists"),
        ({"actions": []}, 400, "InvalidRoleDefinition", "A role definition must have actions or dataActions."),
    ],
)  # fmt: skip
def test_an_invalid_role_is_refused_as_on_azure(
    group: str, client: AuthorizationManagementClient, changes: dict[str, Any], status: int, code: str, message: str
) -> None:
    actions = changes.pop("actions", [f"{VAULTS}/read"])
    with pytest.raises(HttpResponseError, match=message) as refusal:
        client.role_definitions.create_or_update(group, str(uuid.uuid4()), _definition(group, *actions, **changes))
    assert refusal.value.status_code == status
    assert refusal.value.error is not None and refusal.value.error.code == code


def test_built_in_roles_stay_unchanged_and_contributors_make_no_roles(
    azure: AzureSession, cloud: Any, group: str, client: AuthorizationManagementClient
) -> None:
    reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    with pytest.raises(HttpResponseError, match="is a built-in role and cannot be changed"):
        client.role_definitions.create_or_update(group, reader, _definition(group, "*/read"))
    object_id = _identity(azure, group)
    azure.assign(group, "Contributor", object_id)
    path = f"{group}/providers/Microsoft.Authorization/roleDefinitions/{uuid.uuid4()}"
    body = {"properties": {"roleName": unique("r"), "permissions": [{"actions": ["*/read"]}]}}
    assert error_of(session_as(cloud, object_id).arm("PUT", path, "2022-04-01", body))[:2] == (
        403, "AuthorizationFailed",
    )  # fmt: skip
