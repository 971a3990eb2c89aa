"""The platform as a whole: its resources in every profile, their parents, and its outputs."""

from __future__ import annotations

import json
import re

import pytest

from contract.outputs import PlatformOutputs, read_outputs
from tests.unit.infra.recorder import INGESTION, PROJECT, TENANT, Deployment, deploy

NETWORKS = {
    "public": '{"profile": "public"}',
    "restricted": '{"profile": "restricted", "allowed_ips": ["203.0.113.0/24"]}',
    "private": '{"profile": "private"}',
}
FULL = {
    "monitoring": '{"alert_emails": ["mlops@example.com"]}',
    "budget": '{"monthly_amount": 100}',
    "protection": '{"lock": true, "protect": true}',
    "unity_catalog": '{"enabled": true}',
    "model_registry": '{"name": "mlr-dataops", "create": true}',
}
ALWAYS = {
    "azure-native:resources:ResourceGroup": 1,
    "azure-native:storage:StorageAccount": 2,
    "azure-native:storage:BlobServiceProperties": 2,
    "azure-native:storage:BlobContainer": 1,
    "azure-native:storage:ManagementPolicy": 2,
    "azure-native:keyvault:Vault": 1,
    "azure-native:operationalinsights:Workspace": 1,
    "azure-native:applicationinsights:Component": 1,
    "azure-native:applicationinsights:Workbook": 1,
    "azure-native:containerregistry:Registry": 1,
    "azure-native:managedidentity:UserAssignedIdentity": 2,
    "azure-native:machinelearningservices:Workspace": 1,
    "azure-native:machinelearningservices:Compute": 1,
    "azure-native:machinelearningservices:Datastore": 1,
    "azure-native:machinelearningservices:BatchEndpoint": 2,  # the default pipeline's, and one more
    "azure-native:databricks:Workspace": 1,
    "databricks:index/instancePool:InstancePool": 1,
    "databricks:index/clusterPolicy:ClusterPolicy": 1,
    "databricks:index/directory:Directory": 2,
    "databricks:index/servicePrincipal:ServicePrincipal": 1,
    "databricks:index/permissions:Permissions": 3,
    "pulumi:providers:databricks": 1,
}


@pytest.fixture(params=NETWORKS)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return deploy(network=NETWORKS[request.param])


@pytest.fixture
def full() -> Deployment:
    return deploy("prod", network=NETWORKS["private"], **FULL)


def test_the_platform_s_parts_exist_in_every_profile(deployment: Deployment) -> None:
    for type_, count in ALWAYS.items():
        names = [resource.name for resource in deployment if resource.type == type_]
        assert len(names) == count, f"{type_}: {names}"


def test_outputs_are_the_contract_s(deployment: Deployment) -> None:
    assert set(deployment.outputs) == set(PlatformOutputs.model_fields)
    outputs = read_outputs(deployment.outputs, "dev")
    assert outputs.environment == "dev"
    assert outputs.databricks_host == "https://adb-1234567890123456.7.azuredatabricks.net"
    assert outputs.key_vault_uri == "https://kv-dataops-dev.vault.azure.net/"
    assert outputs.model_registry is None
    assert outputs.application_insights_connection_string == (
        f"InstrumentationKey={TENANT};IngestionEndpoint={INGESTION}"
    )


def test_the_shared_registry_is_an_output_where_it_is_named() -> None:
    assert deploy(model_registry='{"name": "mlr-dataops"}').outputs["model_registry"] == "mlr-dataops"


def test_everything_belongs_to_a_component_and_is_named_after_it(full: Deployment) -> None:
    components = {component.urn: component for component in full if component.is_component}
    platform = full.resource("Platform")
    for resource in full:
        if resource is platform:
            continue
        assert resource.parent in components, f"{resource.name} belongs to no component"
        parent = components[resource.parent]
        if parent is not platform and resource.type != "azure-native:authorization:RoleAssignment":
            # Earlier stacks have the training resources below the workspace's component, and their names stay.
            prefix = parent.name.removesuffix("-training")
            assert resource.name.startswith(f"{prefix}-"), f"{resource.name} is not named after {parent.name}"


def test_components_are_named_by_area_and_class(full: Deployment) -> None:
    for resource in full:
        if resource.is_component:
            assert re.fullmatch(rf"{PROJECT}:[a-z]+:[A-Z][A-Za-z]+", resource.type), resource.type


def test_everything_that_takes_tags_has_the_platform_s(full: Deployment) -> None:
    tagged = [resource for resource in full if "tags" in resource.inputs]
    required = {"project", "environment", "managed_by", "owner", "cost_center"}
    for resource in tagged:
        assert required <= set(resource.inputs["tags"]), resource.name
    untagged = {resource.type.split(":")[-1] for resource in full if resource.type.startswith("azure-native:")} - {
        resource.type.split(":")[-1] for resource in tagged
    }
    # Types without tags in ARM.
    assert untagged == {
        "BlobContainer", "BlobServiceProperties", "Budget", "Datastore", "DiagnosticSetting", "ManagementLockByScope",
        "ManagementPolicy", "ManagedNetworkSettingsRule", "PrivateDnsZoneGroup", "RoleAssignment", "SecurityRule",
        "Subnet",
    }  # fmt: skip


def test_further_tags_are_added() -> None:
    tags = deploy(tags='{"data_classification": "internal"}').resource("ResourceGroup").inputs["tags"]
    assert tags["data_classification"] == "internal" and tags["owner"] == "mlops@example.com"


def test_databricks_resources_have_the_provider_of_their_workspace(full: Deployment) -> None:
    provider = full.resource("databricks", "runs-provider")
    assert provider.inputs["host"] == full.outputs["databricks_host"]
    assert provider.inputs["azureWorkspaceResourceId"] == full.outputs["databricks_workspace_id"]
    assert set(provider.inputs) == {"host", "azureWorkspaceResourceId"}, "the provider signs in by Entra"
    for resource in full:
        if resource.type.startswith("databricks:"):
            assert resource.provider.startswith(f"{provider.urn}::"), resource.name


def test_resources_in_the_databricks_workspace_are_replaced_with_it(deployment: Deployment) -> None:
    """The engine sees only another host name of another workspace: it would assume that it is full."""
    workspace = deployment.resource("databricks:Workspace")
    runs = {run.urn for run in deployment if run.type == "dataopsml:databricks:NotebookRuns"}
    inside = [
        resource for resource in deployment if resource.type.startswith("databricks:") and resource.parent in runs
    ]
    assert len(inside) >= 7, "Unity Catalog's objects are in the region's metastore"
    for resource in inside:
        assert list(resource.replaced_with) == [workspace.urn] and resource.deleted_with == workspace.urn, resource.name


def test_no_secret_is_requested_or_kept(full: Deployment) -> None:
    assert set(full.invokes) == {"azure-native:authorization:getClientConfig"}, "no listKeys and the like"
    text = json.dumps([dict(resource.inputs) for resource in full], default=str)
    assert not re.search(r"(?i)\"[a-z]*(password|secret|accesskey|accountkey|token)\":", text)
    insights = full.resource("Component")
    assert set(insights.secret_outputs) == {"instrumentationKey", "connectionString"}


def test_the_default_deployment_is_left_to_publishing(deployment: Deployment) -> None:
    for endpoint in deployment.of("BatchEndpoint"):
        assert list(endpoint.ignores) == ["properties", "tags"], "the provider's PUT would unseat the default"
        assert "defaults" not in endpoint.inputs["properties"]


def test_each_further_pipeline_has_an_endpoint_of_its_own(deployment: Deployment) -> None:
    names = {endpoint.name: endpoint.inputs["endpointName"] for endpoint in deployment.of("BatchEndpoint")}

    assert set(names) == {"learning-endpoint", "learning-endpoint-breast_cancer"}
    assert len(set(names.values())) == len(names)
    assert all(len(name) <= 32 for name in names.values())


def test_a_new_compute_size_deletes_the_old_cluster_first(deployment: Deployment) -> None:
    assert deployment.resource("Compute").deleted_first


def test_the_pool_and_policy_fit_each_other() -> None:
    deployment = deploy(
        databricks='{"pool_capacity": 6, "max_workers": 5, "pool_idle_minutes": 20, "availability": "spot"}'
    )
    pool = deployment.resource("InstancePool").inputs
    assert pool["instancePoolName"] == "azureml_training"
    assert pool["minIdleInstances"] == 0 and pool["maxCapacity"] == 6
    assert pool["idleInstanceAutoterminationMinutes"] == 20
    assert pool["preloadedSparkVersions"] == ["17.3.x-scala2.13"]
    assert pool["azureAttributes"] == {"availability": "SPOT_AZURE"}
    definition = json.loads(deployment.resource("ClusterPolicy").inputs["definition"])
    assert definition["instance_pool_id"] == {"type": "fixed", "value": "runs-pool-id"}
    assert definition["spark_version"] == {"type": "fixed", "value": "17.3.x-scala2.13"}
    assert definition["num_workers"]["maxValue"] == 5


def test_nothing_of_the_platform_is_below_the_folder_that_everybody_may_change(deployment: Deployment) -> None:
    folders = {
        directory.name: directory.inputs["path"] for directory in deployment if directory.type.endswith(":Directory")
    }
    assert folders == {"runs-folder": "/dataopsml", "runs-notebooks": "/dataopsml/notebooks"}
    access = next(resource for resource in deployment if resource.name == "runs-folder-read").inputs
    assert access["directoryPath"] == "/dataopsml/notebooks"
    assert [entry["permissionLevel"] for entry in access["accessControls"]] == ["CAN_READ"]


def test_the_policy_fixes_the_spark_settings_of_every_run() -> None:
    deployment = deploy(databricks='{"spark_conf": {"spark.sql.ansi.enabled": "true"}}')
    definition = json.loads(deployment.resource("ClusterPolicy").inputs["definition"])
    assert definition["spark_conf.spark.sql.ansi.enabled"] == {"type": "fixed", "value": "true"}


def test_names_follow_the_scheme(deployment: Deployment) -> None:
    named = {
        "ResourceGroup": ("resourceGroupName", ["rg-dataops-dev"]),
        "StorageAccount": ("accountName", ["stdataopsdev", "stdataopsdevtr"]),
        "Vault": ("vaultName", ["kv-dataops-dev"]),
        "containerregistry:Registry": ("registryName", ["acrdataopsdev"]),
        "machinelearningservices:Workspace": ("workspaceName", ["aml-dataops-dev"]),
        "databricks:Workspace": ("workspaceName", ["dbw-dataops-dev"]),
        "Component": ("resourceName", ["appi-dataops-dev"]),
        "BlobContainer": ("containerName", ["trainingdata"]),
    }
    for type_, (name, values) in named.items():
        assert sorted(resource.inputs[name] for resource in deployment.of(type_)) == values
