"""Access: every role assignment of the stack, and no other."""

from __future__ import annotations

import uuid

import pytest

from declarations.roles import Role
from tests.unit.infra.recorder import DEPLOYER, SUBSCRIPTION, WITHOUT_CATALOG, Deployment, Registered, deploy
from tests.unit.infra.test_platform import NETWORKS

ROLES = {role.value: role.name for role in Role}
PIPELINE, WORKSPACE = "principal-of-id-dataops-dev-pipeline", "principal-of-id-dataops-dev-aml"
OPERATOR = "55555555-5555-5555-5555-555555555555"

ALWAYS = {
    (PIPELINE, "STORAGE_BLOB_DATA_CONTRIBUTOR", "BlobContainer/trainingdata"),
    (PIPELINE, "STORAGE_BLOB_DATA_CONTRIBUTOR", "StorageAccount/stdataopsdev"),
    (PIPELINE, "ACR_PULL", "Registry/acrdataopsdev"),
    (PIPELINE, "KEY_VAULT_SECRETS_USER", "Vault/kv-dataops-dev"),
    (PIPELINE, "MONITORING_METRICS_PUBLISHER", "Component/appi-dataops-dev"),
    (PIPELINE, "ML_DATA_SCIENTIST", "Workspace/aml-dataops-dev"),
    (WORKSPACE, "STORAGE_BLOB_DATA_CONTRIBUTOR", "StorageAccount/stdataopsdev"),
    (WORKSPACE, "CONTRIBUTOR", "StorageAccount/stdataopsdev"),
    (WORKSPACE, "CONTRIBUTOR", "Vault/kv-dataops-dev"),
    (WORKSPACE, "KEY_VAULT_ADMINISTRATOR", "Vault/kv-dataops-dev"),
    (WORKSPACE, "CONTRIBUTOR", "Registry/acrdataopsdev"),
    (WORKSPACE, "CONTRIBUTOR", "Component/appi-dataops-dev"),
    (WORKSPACE, "CONTRIBUTOR", "Workspace/aml-dataops-dev"),
    ("principal-of-dbac-dataops-dev", "STORAGE_BLOB_DATA_CONTRIBUTOR", "BlobContainer/trainingdata"),
    ("principal-of-dbac-dataops-dev", "STORAGE_BLOB_DELEGATOR", "StorageAccount/stdataopsdevtr"),
}
DEPLOYER_S = {
    (DEPLOYER, "STORAGE_BLOB_DATA_CONTRIBUTOR", "BlobContainer/trainingdata"),
    (DEPLOYER, "STORAGE_BLOB_DATA_CONTRIBUTOR", "StorageAccount/stdataopsdev"),
}
APPROVES_STORAGE = (WORKSPACE, "NETWORK_CONNECTION_APPROVER", "StorageAccount/stdataopsdevtr")
BUILDS_IMAGES = (PIPELINE, "ACR_PUSH", "Registry/acrdataopsdev")
APPROVES_DATABRICKS = (WORKSPACE, "CONTRIBUTOR", "Workspace/dbw-dataops-dev")


def granted(deployment: Deployment) -> set[tuple[str, str, str]]:
    return {
        (_principal(assignment), _role(assignment), _scope(assignment))
        for assignment in deployment.of("RoleAssignment")
    }


def _principal(assignment: Registered) -> str:
    return str(assignment.inputs["principalId"])


def _role(assignment: Registered) -> str:
    definition = str(assignment.inputs["roleDefinitionId"])
    assert definition.startswith(f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/")
    return ROLES[definition.rsplit("/", 1)[-1]]


def _scope(assignment: Registered) -> str:
    return "/".join(str(assignment.inputs["scope"]).rsplit("/", 2)[-2:])


@pytest.mark.parametrize(
    ("profile", "more"),
    [
        ("public", set()),
        ("restricted", {APPROVES_STORAGE, BUILDS_IMAGES}),
        ("private", {APPROVES_STORAGE, APPROVES_DATABRICKS, BUILDS_IMAGES}),
    ],
)
def test_only_the_listed_roles_are_assigned(profile: str, more: set[tuple[str, str, str]]) -> None:
    assert granted(deploy(network=NETWORKS[profile])) == ALWAYS | DEPLOYER_S | more


@pytest.mark.parametrize("profile", NETWORKS)
def test_compute_waits_for_the_workspace_s_right_to_make_its_network(profile: str) -> None:
    deployment = deploy(network=NETWORKS[profile])
    own = [
        assignment.urn
        for assignment in deployment.of("RoleAssignment")
        if (_principal(assignment), _role(assignment)) == (WORKSPACE, "CONTRIBUTOR")
        and _scope(assignment) == "Workspace/aml-dataops-dev"
    ]
    assert len(own) == 1
    assert set(own) <= set(deployment.resource("Compute").depends_on)
    first = [rule for rule in deployment.of("ManagedNetworkSettingsRule") if set(own) <= set(rule.depends_on)]
    assert len(first) == (0 if profile == "public" else 1), "the others wait for the first"


def test_named_operators_replace_the_deployer() -> None:
    deployment = deploy(access=f'{{"operators": [{{"object_id": "{OPERATOR}", "type": "Group"}}]}}')
    assert granted(deployment) == ALWAYS | {(OPERATOR, role, scope) for _, role, scope in DEPLOYER_S}
    kinds = {
        assignment.inputs["principalType"]
        for assignment in deployment.of("RoleAssignment")
        if _principal(assignment) == OPERATOR
    }
    assert kinds == {"Group"}


def test_a_deploying_person_is_declared_as_a_user() -> None:
    deployment = deploy(access='{"deployer_type": "User"}')
    kinds = {
        assignment.inputs["principalType"]
        for assignment in deployment.of("RoleAssignment")
        if _principal(assignment) == DEPLOYER
    }
    assert kinds == {"User"}


def test_without_unity_catalog_no_connector_has_a_role() -> None:
    connector = {grant for grant in ALWAYS if grant[0] == "principal-of-dbac-dataops-dev"}
    assert granted(deploy(**WITHOUT_CATALOG)) == (ALWAYS | DEPLOYER_S) - connector


def test_users_of_the_model_registry_are_granted_only_that() -> None:
    user = f'[{{"object_id": "{OPERATOR}", "type": "ServicePrincipal"}}]'
    deployment = deploy(model_registry=f'{{"name": "mlr-dataops", "create": true, "users": {user}}}')
    assert granted(deployment) - ALWAYS - DEPLOYER_S == {(OPERATOR, "ML_REGISTRY_USER", "Registry/mlr-dataops")}


def test_no_role_is_assigned_on_more_than_one_resource() -> None:
    for assignment in deploy(network=NETWORKS["private"]).of("RoleAssignment"):
        assert "/providers/" in str(assignment.inputs["scope"]), assignment.name


def test_assignments_have_stable_guids_and_principals_of_a_declared_kind() -> None:
    first = {assignment.name: assignment.inputs["roleAssignmentName"] for assignment in deploy().of("RoleAssignment")}
    again = {
        assignment.name: assignment.inputs["roleAssignmentName"]
        for assignment in deploy(tags='{"a": "b"}').of("RoleAssignment")
    }
    assert first == again
    assert len(set(first.values())) == len(first)
    for name, guid in first.items():
        assert uuid.UUID(guid).version == 5, name
    for assignment in deploy().of("RoleAssignment"):
        assert assignment.inputs["principalType"] == "ServicePrincipal", assignment.name
        assert assignment.deleted_first, "Azure refuses to change the principal of an assignment"


def test_another_environment_s_assignments_have_other_names() -> None:
    names = [
        {assignment.inputs["roleAssignmentName"] for assignment in deploy(stack).of("RoleAssignment")}
        for stack in ("dev", "qa")
    ]
    assert not names[0] & names[1]


def test_the_identity_is_a_plain_principal_in_databricks() -> None:
    deployment = deploy()
    principal = deployment.resource("ServicePrincipal").inputs
    assert set(principal) == {"applicationId", "displayName"}, "no entitlements"
    client = principal["applicationId"]
    targets = {"instancePoolId": "CAN_ATTACH_TO", "clusterPolicyId": "CAN_USE", "directoryPath": "CAN_READ"}
    principals = {}
    for permissions in deployment.of("Permissions"):
        (control,) = permissions.inputs["accessControls"]
        assert control["servicePrincipalName"] == client
        (target,) = set(permissions.inputs) - {"accessControls"}
        principals[target] = control["permissionLevel"]
    assert principals == targets


@pytest.mark.parametrize("profile", NETWORKS)
def test_roles_have_the_time_in_which_databricks_is_made_to_take_effect(profile: str) -> None:
    """Azure answers an assignment before it has effect, and the ML workspace is made by an identity that needs it."""
    deployment = deploy(network=NETWORKS[profile])
    databricks, learning = (
        deployment.resource("databricks:Workspace"),
        deployment.resource("machinelearningservices:Workspace"),
    )
    early = {
        assignment.urn
        for assignment in deployment.of("RoleAssignment")
        if not _scope(assignment).startswith(("Workspace/", "Registry/reg-")) and "dbac" not in _principal(assignment)
    }
    connector = {assignment.urn for assignment in deployment.of("RoleAssignment") if "dbac" in _principal(assignment)}

    assert early | connector <= set(databricks.depends_on) and len(connector) == 2
    assert {databricks.urn, *early} <= set(learning.depends_on)
