"""Declarations of the bootstrap's program, with mocks for Azure and Azure DevOps."""

from __future__ import annotations

import json

import pytest

from bootstrap.naming import ARM_CONNECTION, REGISTRY_CONNECTION, WORKSPACE_CONNECTION, federated_connections
from declarations import invoker_role
from declarations.roles import Role
from tests.unit.bootstrap.recorder import (
    APPROVER,
    CALLER,
    ORGANIZATION,
    PROD_SUBSCRIPTION,
    SUBSCRIPTION,
    TENANT,
    deploy,
)
from tests.unit.environments import ENVIRONMENTS
from tests.unit.infra.recorder import Deployment, Registered


def _scopes_of(deployment: Deployment, principal: str) -> dict[str, set[str]]:
    """Scopes by role that a principal has."""
    scopes: dict[str, set[str]] = {}
    for assignment in deployment.of("RoleAssignment"):
        if assignment.inputs["principalId"] == principal:
            role = Role(assignment.inputs["roleDefinitionId"].rsplit("/", 1)[-1]).name
            scopes.setdefault(role, set()).add(assignment.inputs["scope"])
    return scopes


def test_states_have_containers_of_their_own_versions_and_a_lock() -> None:
    deployment = deploy(devops=False)
    containers = {container.inputs["containerName"] for container in deployment.of("BlobContainer")}
    assert containers == {f"state-{name}" for name in (*ENVIRONMENTS, "bootstrap")}
    service = deployment.resource("BlobServiceProperties").inputs
    assert service["isVersioningEnabled"] is True
    assert (
        service["deleteRetentionPolicy"] == {"enabled": True, "days": 90} == service["containerDeleteRetentionPolicy"]
    )
    account = deployment.resource("StorageAccount")
    assert account.inputs["allowSharedKeyAccess"] is False and account.inputs["allowBlobPublicAccess"] is False
    assert account.protect and deployment.resource("ManagementLockByScope").inputs["level"] == "CanNotDelete"


def test_without_protection_nothing_is_locked_or_retained() -> None:
    deployment = deploy(devops=False, protect=False)
    assert deployment.of("ManagementLockByScope") == []
    assert not any(resource.protect for resource in deployment)
    assert "enablePurgeProtection" not in deployment.resource("keyvault:Vault").inputs["properties"]


def test_every_environment_has_a_key_and_the_vault_uses_roles() -> None:
    deployment = deploy(devops=False)
    keys = {key.inputs["keyName"] for key in deployment.of("Key")}
    assert keys == {f"pulumi-{name}" for name in (*ENVIRONMENTS, "bootstrap")}
    properties = deployment.resource("keyvault:Vault").inputs["properties"]
    assert properties["enableRbacAuthorization"] is True and properties["enablePurgeProtection"] is True


def test_states_and_keys_answer_only_to_named_addresses_where_the_settings_have_some() -> None:
    for addresses, action in (([], "Allow"), (["203.0.113.0/24"], "Deny")):
        deployment = deploy(devops=False, allowed_ips=addresses)
        account = deployment.resource("StorageAccount").inputs["networkRuleSet"]
        vault = deployment.resource("keyvault:Vault").inputs["properties"]["networkAcls"]
        assert account["defaultAction"] == vault["defaultAction"] == action
        assert [rule["iPAddressOrRange"] for rule in account.get("ipRules") or []] == addresses
        assert [rule["value"] for rule in vault.get("ipRules") or []] == addresses


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_deployer_is_no_owner_and_reaches_one_environments_state(environment: str) -> None:
    deployment = deploy(devops=False)
    scopes = _scopes_of(deployment, f"principal-of-id-dataops-deploy-{environment}")
    subscription = f"/subscriptions/{SUBSCRIPTION}"
    assert scopes == {
        "CONTRIBUTOR": {subscription}, "LOCKS_CONTRIBUTOR": {subscription},
        "ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR": {subscription},
        "STORAGE_BLOB_DATA_CONTRIBUTOR": {f"/BlobContainer/state-{environment}"},
        "KEY_VAULT_CRYPTO_USER": {f"/Key/pulumi-{environment}"},
    }  # fmt: skip


def test_roles_are_assigned_only_under_a_condition() -> None:
    for assignment in deploy(devops=False).of("RoleAssignment"):
        administrator = assignment.inputs["roleDefinitionId"].endswith(
            Role.ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR.value
        )
        assert ("condition" in assignment.inputs) is administrator
        assert assignment.inputs.get("conditionVersion", "2.0") == "2.0"


def test_the_roles_of_retrainings_are_there_for_deployers_to_assign() -> None:
    deployment = deploy(devops=False)
    definitions = {
        str(definition.inputs["roleDefinitionId"]): definition for definition in deployment.of("RoleDefinition")
    }
    assert set(definitions) == {invoker_role.custom_role(role, "dataops").value for role in invoker_role.ROLES}
    subscriptions = {f"/subscriptions/{SUBSCRIPTION}"}
    assert all(set(definition.inputs["assignableScopes"]) == subscriptions for definition in definitions.values())
    conditions = [
        str(assignment.inputs["condition"])
        for assignment in deployment.of("RoleAssignment")
        if "condition" in assignment.inputs
    ]
    assert conditions
    assert all(guid in condition for condition in conditions for guid in definitions)


def test_the_previewing_identity_writes_nothing() -> None:
    scopes = _scopes_of(deploy(devops=False), "principal-of-id-dataops-preview")
    assert set(scopes) == {"READER", "STORAGE_BLOB_DATA_READER", "KEY_VAULT_CRYPTO_USER"}
    assert "/BlobContainer/state-bootstrap" not in scopes["STORAGE_BLOB_DATA_READER"]


def test_an_environment_of_another_subscription_stays_there() -> None:
    environments = [{"name": "dev"}, {"name": "prod", "subscription_id": PROD_SUBSCRIPTION}]
    deployment = deploy(devops=False, environments=environments)
    assert _scopes_of(deployment, "principal-of-id-dataops-deploy-prod")["CONTRIBUTOR"] == {
        f"/subscriptions/{PROD_SUBSCRIPTION}"
    }
    assert _scopes_of(deployment, "principal-of-id-dataops-deploy-dev")["CONTRIBUTOR"] == {
        f"/subscriptions/{SUBSCRIPTION}"
    }
    reading = _scopes_of(deployment, "principal-of-id-dataops-preview")["READER"]
    assert reading == {f"/subscriptions/{SUBSCRIPTION}", f"/subscriptions/{PROD_SUBSCRIPTION}"}


def test_operators_are_the_named_principals_or_else_the_caller() -> None:
    assert set(_scopes_of(deploy(devops=False), CALLER)) == {"STORAGE_BLOB_DATA_CONTRIBUTOR", "KEY_VAULT_CRYPTO_USER"}
    named = deploy(devops=False, operators=[{"object_id": APPROVER, "type": "Group"}])
    assert _scopes_of(named, CALLER) == {}
    assert set(_scopes_of(named, APPROVER)) == {"STORAGE_BLOB_DATA_CONTRIBUTOR", "KEY_VAULT_CRYPTO_USER"}


def _credentials(deployment: Deployment) -> dict[str, Registered]:
    return {credential.inputs["subject"]: credential for credential in deployment.of("FederatedIdentityCredential")}


def test_without_azure_devops_credentials_wait_for_the_connections_subjects() -> None:
    deployment = deploy(devops=False)
    assert not any("azuredevops" in resource.type for resource in deployment) and "azuredevops" not in "".join(
        deployment.invokes
    )
    assert not deployment.of("FederatedIdentityCredential"), (
        "what a connection will present cannot be known before it exists"
    )
    announced = deployment.outputs["connections"]
    assert set(announced) == set(federated_connections(ENVIRONMENTS))
    assert not any(connection["federated"] for connection in announced.values())

    presented = {"issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0", "subject": "/eid1/c/pub/t/T/a/A/sc/O/1"}
    connection = f"{ARM_CONNECTION} - prod"
    devops = {
        "enabled": False, "organization": "contoso", "project": "dataopsml", "repository": {"name": "dataopsml"},
        "connections": {connection: presented},
    }  # fmt: skip
    deployment = deploy(azure_devops=devops)
    credential = deployment.resource("FederatedIdentityCredential")
    assert credential.name == "deploy-prod-dataopsml-arm-connection-prod"
    assert (credential.inputs["issuer"], credential.inputs["subject"]) == (presented["issuer"], presented["subject"])
    announced = deployment.outputs["connections"]
    assert [name for name, connection_ in announced.items() if connection_["federated"]] == [connection]


def test_no_credential_has_the_issuer_that_azure_devops_retires() -> None:
    for deployment in (deploy(), deploy(devops=False)):
        issuers = {credential.inputs["issuer"] for credential in deployment.of("FederatedIdentityCredential")}
        assert not {issuer for issuer in issuers if "vstoken" in issuer}


def test_each_connection_is_bound_to_the_subscription_of_its_environment() -> None:
    environments = [{"name": "dev"}, {"name": "prod", "subscription_id": PROD_SUBSCRIPTION, "approvers": [APPROVER]}]
    deployment = deploy(environments=environments)
    bound = {
        connection.inputs["serviceEndpointName"]: connection.inputs["azurermSubscriptionId"]
        for connection in deployment.of("ServiceEndpointAzureRM")
    }
    for connection in (ARM_CONNECTION, WORKSPACE_CONNECTION):
        assert bound[f"{connection} - prod"] == PROD_SUBSCRIPTION
        assert bound[f"{connection} - dev"] == SUBSCRIPTION
    groups = {group.inputs["name"]: group.inputs["variables"] for group in deployment.of("VariableGroup")}
    prod = {variable["name"]: variable["value"] for variable in groups["dataopsml-prod"]}
    assert prod["SUBSCRIPTION_ID"] == PROD_SUBSCRIPTION, "previews, whose connection is bound elsewhere, go by this"
    assert prod["WORKSPACE_SVC_CONNECTION"] == f"{WORKSPACE_CONNECTION} - prod"
    runs = _scopes_of(deployment, "principal-of-id-dataops-runs-prod")
    assert runs == {"ML_DATA_SCIENTIST": {f"/subscriptions/{PROD_SUBSCRIPTION}"}}


def test_with_azure_devops_credentials_are_for_its_own_tokens() -> None:
    deployment = deploy()
    connections = {
        connection.inputs["serviceEndpointName"]: connection
        for connection in deployment
        if "serviceEndpointName" in connection.inputs
    }
    federated = {
        name: connection for name, connection in connections.items() if "Incomingwebhook" not in connection.type
    }
    assert set(_credentials(deployment)) == {f"subject-of-{name}" for name in federated}
    for connection in federated.values():
        assert connection.inputs["serviceEndpointAuthenticationScheme"] == "WorkloadIdentityFederation"
        assert "serviceprincipalkey" not in connection.inputs["credentials"]


def test_each_connection_signs_in_as_its_own_identity() -> None:
    deployment = deploy()
    clients = {
        connection.inputs["serviceEndpointName"]: connection.inputs["credentials"]["serviceprincipalid"]
        for connection in deployment
        if "credentials" in connection.inputs
    }
    for environment in ENVIRONMENTS:
        assert clients[f"{ARM_CONNECTION} - {environment}"] == f"client-of-id-dataops-deploy-{environment}"
        assert clients[f"{WORKSPACE_CONNECTION} - {environment}"] == f"client-of-id-dataops-runs-{environment}"
    assert clients[f"{ARM_CONNECTION} - preview"] == clients[ARM_CONNECTION] == "client-of-id-dataops-preview"
    assert clients[REGISTRY_CONNECTION] == "client-of-id-dataops-ci"


def test_environments_take_one_deployment_at_a_time_and_prod_requires_approval() -> None:
    deployment = deploy()
    environments = {environment.inputs["name"] for environment in deployment.of("Environment")}
    assert len(deployment.of("CheckExclusiveLock")) == len(environments)
    approval = deployment.resource("CheckApproval")
    assert approval.name == "pipelines-dataopsml-prod-approval"
    assert approval.inputs["approvers"] == [APPROVER] and approval.inputs["requesterCanApprove"] is False


def test_variable_groups_hold_the_samples_names_and_no_secret() -> None:
    groups = {group.inputs["name"]: group for group in deploy().of("VariableGroup")}
    prod = {variable["name"]: variable for variable in groups["dataopsml-prod"].inputs["variables"]}
    assert prod["BASE_NAME"]["value"] == "dataops" and prod["LOCATION"]["value"] == "westeurope"
    assert prod["MLPIPELINE_SP_OBJECT_ID"]["value"] == "principal-of-id-dataops-deploy-prod"
    assert prod["BACKEND_CONTAINER"]["value"] == "state-prod"
    sharing = {
        name: variable["value"]
        for name, group in groups.items()
        for variable in group.inputs["variables"]
        if variable["name"] == "MODEL_REGISTRY_USER_OBJECT_ID"
    }
    assert sharing == {"dataopsml-staging": "principal-of-id-dataops-deploy-prod"}
    assert prod["WORKSPACE_SVC_CONNECTION"]["value"] == f"{WORKSPACE_CONNECTION} - prod"
    assert groups["dataopsml-ci"].inputs["variables"] == [{"name": "REGISTRY", "value": "acrdataopsci.azurecr.io"}]
    assert "ecret" not in json.dumps([group.inputs["variables"] for group in groups.values()]).replace(
        "PULUMI_SECRETS_PROVIDER", ""
    )
    assert all(group.inputs["allowAccess"] is False for group in groups.values())


def test_only_the_pipelines_that_need_a_resource_may_use_it() -> None:
    deployment = deploy()
    pipelines = {pipeline.inputs["name"] for pipeline in deployment.of("BuildDefinition")}
    authorizations = deployment.of("PipelineAuthorization")
    assert all("pipelineId" in authorization.inputs for authorization in authorizations), (
        "without an id all pipelines are let in"
    )
    prod = {
        authorization.name
        for authorization in authorizations
        if authorization.name.endswith("endpoint-dataopsml-arm-connection-prod")
    }
    assert prod == {
        "pipelines-dataopsml-endpoint-dataopsml-arm-connection-prod",
        "pipelines-dataopsml-drift-endpoint-dataopsml-arm-connection-prod",
        "pipelines-dataopsml-promote-prod-endpoint-dataopsml-arm-connection-prod",
        "pipelines-dataopsml-retrain-endpoint-dataopsml-arm-connection-prod",
        "pipelines-dataopsml-watch-endpoint-dataopsml-arm-connection-prod",
    }
    assert pipelines == {
        "dataopsml",
        "dataopsml-ci-image",
        "dataopsml-drift",
        "dataopsml-nightly",
        "dataopsml-promote-prod",
        "dataopsml-retrain",
        "dataopsml-watch",
        "dataopsml-destroy-dev",
    }


@pytest.mark.parametrize(("kind", "policies"), [("azure_repos", 1), ("github", 0)])
def test_pull_requests_are_built_by_policy_in_azure_repos_and_by_yaml_on_github(kind: str, policies: int) -> None:
    repository = {"kind": kind, "name": "contoso/dataopsml", "connection_id": ORGANIZATION}
    devops = {
        "organization": "contoso", "project": "dataopsml", "repository": repository,
    }  # fmt: skip
    deployment = deploy(azure_devops=devops)
    assert len(deployment.of("BranchPolicyBuildValidation")) == policies
    types = {definition.inputs["repository"]["repoType"] for definition in deployment.of("BuildDefinition")}
    assert types == {"TfsGit" if kind == "azure_repos" else "GitHub"}


def test_outputs_have_each_stack_s_backend() -> None:
    outputs = deploy(devops=False).outputs
    assert outputs["environments"]["prod"]["backend"] == "azblob://state-prod?storage_account=stdataopsstate"
    provider = "azurekeyvault://kv-dataops-state.vault.azure.net/keys/pulumi-prod"
    assert outputs["environments"]["prod"]["secrets_provider"] == provider
