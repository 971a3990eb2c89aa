"""Secure by default: the properties of each resource, in every network profile."""

from __future__ import annotations

import pytest

from tests.unit.infra.recorder import TENANT, Deployment, deploy
from tests.unit.infra.test_platform import NETWORKS


@pytest.fixture(params=NETWORKS)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return deploy(network=NETWORKS[request.param])


def test_storage_accounts_have_no_keys_and_no_strangers(deployment: Deployment) -> None:
    for account in deployment.of("StorageAccount"):
        expected = {
            "allowSharedKeyAccess": False, "allowBlobPublicAccess": False, "allowCrossTenantReplication": False,
            "isLocalUserEnabled": False, "defaultToOAuthAuthentication": True, "enableHttpsTrafficOnly": True,
            "minimumTlsVersion": "TLS1_2", "kind": "StorageV2",
        }  # fmt: skip
        assert {key: account.inputs.get(key) for key in expected} == expected, account.name


def test_the_container_is_closed_to_everybody(deployment: Deployment) -> None:
    assert deployment.resource("BlobContainer").inputs["publicAccess"] == "None"


def test_spark_reads_a_hierarchical_namespace_and_the_ml_workspace_has_none(deployment: Deployment) -> None:
    """Azure ML refuses one for its default storage; the dfs endpoint refuses soft delete without one."""
    kinds = {
        account.inputs["accountName"]: account.inputs.get("isHnsEnabled") for account in deployment.of("StorageAccount")
    }
    assert kinds == {"stdataopsdev": None, "stdataopsdevtr": True}, (
        "false is a difference to accounts of earlier stacks"
    )
    versions = {
        str(blobs.inputs["accountName"]): blobs.inputs["isVersioningEnabled"]
        for blobs in deployment.of("BlobServiceProperties")
    }
    assert versions == {"stdataopsdev": True, "stdataopsdevtr": False}, "Azure refuses versions with one"


def test_blobs_can_be_restored(deployment: Deployment) -> None:
    for service in deployment.of("BlobServiceProperties"):
        assert service.inputs["deleteRetentionPolicy"] == {"enabled": True, "days": 7}
        assert service.inputs["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 7}


def test_key_vault_decides_by_roles_and_cannot_be_purged(deployment: Deployment) -> None:
    properties = deployment.resource("Vault").inputs["properties"]
    assert properties["enableRbacAuthorization"] is True
    assert properties["enablePurgeProtection"] is True
    assert properties["enableSoftDelete"] is True and properties["softDeleteRetentionInDays"] == 90
    assert properties["tenantId"] == TENANT
    assert "accessPolicies" not in properties


def test_disabled_purge_protection_is_left_out() -> None:
    properties = deploy(key_vault='{"purge_protection": false}').resource("Vault").inputs["properties"]
    assert "enablePurgeProtection" not in properties, "Azure refuses false"


def test_the_registry_has_no_admin_and_no_anonymous_readers(deployment: Deployment) -> None:
    registry = deployment.resource("containerregistry:Registry").inputs
    assert registry["adminUserEnabled"] is False and registry["anonymousPullEnabled"] is False


def test_logs_are_written_by_identities(deployment: Deployment) -> None:
    assert deployment.resource("operationalinsights:Workspace").inputs["features"] == {"disableLocalAuth": True}
    assert deployment.resource("Component").inputs["disableLocalAuth"] is True


def test_the_ml_workspace_signs_in_to_its_storage_as_itself(deployment: Deployment) -> None:
    workspace = deployment.resource("machinelearningservices:Workspace").inputs
    assert workspace["systemDatastoresAuthMode"] == "Identity"
    assert workspace["v1LegacyMode"] is False
    assert workspace["identity"]["type"] == "UserAssigned"
    assert workspace["primaryUserAssignedIdentity"].endswith("/id-dataops-dev-aml")


def test_the_ml_workspace_waits_for_the_roles_of_its_identity(deployment: Deployment) -> None:
    workspace = deployment.resource("machinelearningservices:Workspace")
    for assignment in deployment.of("RoleAssignment"):
        if assignment.name.endswith("-workspace") and workspace.urn not in assignment.reads["scope"]:
            assert assignment.urn in workspace.depends_on, assignment.name


def test_compute_runs_as_the_pipeline_s_identity_and_scales_to_zero(deployment: Deployment) -> None:
    compute = deployment.resource("Compute").inputs
    assert compute["properties"]["computeType"] == "AmlCompute"
    assert compute["properties"]["disableLocalAuth"] is True
    assert compute["identity"]["type"] == "UserAssigned"
    assert [identity.rsplit("/", 1)[-1] for identity in compute["identity"]["userAssignedIdentities"]] == [
        "id-dataops-dev-pipeline"
    ]
    cluster = compute["properties"]["properties"]
    assert cluster["scaleSettings"] == {"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT120S"}
    assert cluster["remoteLoginPortPublicAccess"] == "Disabled"
    assert cluster["vmPriority"] == "Dedicated"


def test_the_datastore_holds_no_credentials(deployment: Deployment) -> None:
    properties = deployment.resource("Datastore").inputs["properties"]
    assert properties["credentials"] == {"credentialsType": "None"}
    assert properties["serviceDataAccessAuthIdentity"] == "None", "nobody sees data through the workspace's identity"
    assert properties["datastoreType"] == "AzureDataLakeGen2"
    assert properties["accountName"] == "stdataopsdevtr" and properties["filesystem"] == "trainingdata"


def test_the_endpoint_requires_an_entra_token(deployment: Deployment) -> None:
    modes = {endpoint.inputs["properties"]["authMode"] for endpoint in deployment.of("BatchEndpoint")}
    assert modes == {"AADToken"}


def test_databricks_is_premium_without_public_addresses(deployment: Deployment) -> None:
    workspace = deployment.resource("databricks:Workspace").inputs
    assert workspace["sku"] == {"name": "premium"}
    assert workspace["computeMode"] == "Hybrid"
    assert workspace["parameters"]["enableNoPublicIp"] == {"value": True}
    assert workspace["managedResourceGroupId"].endswith("/resourceGroups/rg-dataops-dev-dbw")


def test_no_resource_keeps_a_token(deployment: Deployment) -> None:
    kinds = {type_.rsplit(":", 1)[-1] for type_ in deployment.types()}
    assert not kinds & {"Token", "OboToken", "SecretScope", "Secret", "OnlineEndpoint", "WorkspaceConnection"}
    assert all(cluster.inputs["properties"]["computeType"] != "Databricks" for cluster in deployment.of("Compute")), (
        "an attached Databricks keeps an access token"
    )
