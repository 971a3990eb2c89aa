"""The platform on the real engine: deployed, deployed again, weakened, interrupted, destroyed."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from localcloud.core.settings import SUBSCRIPTION_ID
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from localcloud.testing.workspace_session import ML

from infra.stack_file import ROOT
from tests.integration.infra.project import Project

COMMON = {"location": "westeurope", "owner": "mlops@example.com", "cost_center": "tests"}
QUICK_TO_FORGET = {"key_vault": {"soft_delete_days": 7, "purge_protection": False}}
AGENTS_GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg-agents-of-tests"
AGENTS = f"{AGENTS_GROUP}/providers/Microsoft.Network/virtualNetworks/vnet-agents"
WEBHOOK = "https://hooks.example.com/alerts?code=part-of-a-secret"
PRIVATE = {
    "network": {"profile": "private", "peered_networks": [AGENTS]},
    "monitoring": {"alert_emails": ["mlops@example.com"], "alert_webhooks": [WEBHOOK]},
    "budget": {"monthly_amount": 100},
    "protection": {"lock": True},
}


@pytest.fixture(scope="module")
def project(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.make(tmp_path_factory.mktemp("project") / "it", cloud.environment)


@pytest.fixture(scope="module")
def base() -> str:
    """Return a base name that no other test has."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def agents(azure: AzureSession) -> Iterator[str]:
    """Create the network of build agents, which is older than any stack."""
    azure.put(AGENTS_GROUP, "2024-03-01", {"location": "westeurope"})
    space = {"addressSpace": {"addressPrefixes": ["10.90.0.0/24"]}}
    azure.put(AGENTS, "2024-05-01", {"location": "westeurope", "properties": space})
    yield AGENTS
    azure.finish(azure.arm("DELETE", AGENTS_GROUP, "2024-03-01"))


@pytest.fixture(scope="module")
def private(project: Project, base: str, agents: str) -> Iterator[str]:
    """Deploy a stack with the settings of staging, under staging's rules."""
    project.settings("priv", {"base_name": base, **COMMON, **PRIVATE})
    init = project.pulumi("stack", "init", stack="priv")
    assert init.code == 0, init.text
    up = project.up("priv", rules="staging")
    assert up.code == 0, up.text
    assert "✅ dataopsml" in up.text, "the policy pack took part"
    yield "priv"
    destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack="priv")
    assert destroyed.code == 0, destroyed.text
    assert project.resources("priv") == []


@pytest.mark.nightly
def test_a_private_stack_changes_nothing_when_it_is_deployed_again(project: Project, private: str) -> None:
    preview = project.pulumi("preview", "--expect-no-changes", stack=private)
    assert preview.code == 0, preview.text
    refresh = project.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", stack=private)
    assert refresh.code == 0, refresh.text


@pytest.mark.nightly
def test_agents_reach_it_by_peering_and_by_its_names(private: str, base: str, azure: AzureSession, agents: str) -> None:
    group = f"{azure.subscription}/resourceGroups/rg-{base}-{private}/providers/Microsoft.Network"
    (own,) = azure.arm("GET", f"{group}/virtualNetworks", "2024-05-01").json()["value"]
    for network in (own["id"], agents):
        (peering,) = azure.arm("GET", f"{network}/virtualNetworkPeerings", "2024-05-01").json()["value"]
        assert peering["properties"]["peeringState"] == "Connected", network
    zones = azure.arm("GET", f"{group}/privateDnsZones", "2024-06-01").json()["value"]
    assert len(zones) == 10
    for zone in zones:
        links = azure.arm("GET", f"{zone['id']}/virtualNetworkLinks", "2024-06-01").json()["value"]
        assert {link["properties"]["virtualNetwork"]["id"] for link in links} == {own["id"], agents}


@pytest.mark.nightly
def test_a_network_that_overlaps_with_the_agents_is_named_by_azure(
    project: Project, base: str, azure: AzureSession, agents: str
) -> None:
    ranges = {
        "address_space": "10.90.0.0/22", "databricks_host_subnet": "10.90.1.0/24",
        "databricks_container_subnet": "10.90.2.0/24", "endpoint_subnet": "10.90.3.0/24",
    }  # fmt: skip
    network = {"profile": "private", "peered_networks": [agents], **ranges}
    project.settings("near", {"base_name": base, **COMMON, **QUICK_TO_FORGET, "network": network})
    assert project.pulumi("stack", "init", stack="near").code == 0
    try:
        up = project.up("near")
        assert up.code != 0 and "VnetAddressSpacesOverlap" in up.text, up.text
        assert "Overlapping address prefixes: 10.90.0.0/22, 10.90.0.0/24." in up.text
    finally:
        destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack="near")
        assert destroyed.code == 0, destroyed.text
        assert project.purge("near").code == 0


@pytest.mark.nightly
def test_a_lock_on_the_workspace_holds_the_size_of_its_cluster(project: Project, private: str, base: str) -> None:
    """docs/infrastructure.md has the remedy: remove the lock first."""
    project.settings(private, {"base_name": base, **COMMON, **PRIVATE, "compute": {"vm_size": "Standard_DS4_v2"}})
    try:
        up = project.up(private)
        assert up.code != 0 and "ScopeLocked" in up.text, up.text
    finally:
        project.settings(private, {"base_name": base, **COMMON, **PRIVATE})
    again = project.up(private)
    assert again.code == 0, again.text
    preview = project.pulumi("preview", "--expect-no-changes", stack=private)
    assert preview.code == 0, preview.text


@pytest.mark.nightly
def test_an_update_keeps_the_published_deployment_as_the_default(
    project: Project, private: str, base: str, azure: AzureSession, tmp_path: Path
) -> None:
    """Publishing makes a deployment the endpoint's default, which the stack does not know and must not take away."""
    outputs = tmp_path / "outputs.json"
    outputs.write_text(project.pulumi("stack", "output", "--json", stack=private).text)
    names = json.loads(outputs.read_text())
    workspace = (
        f"{azure.subscription}/resourceGroups/{names['resource_group']}/providers"
        f"/Microsoft.MachineLearningServices/workspaces/{names['workspace_name']}"
    )
    endpoint = f"{workspace}/batchEndpoints/{names['batch_endpoint']}"
    _deploy(azure, workspace, endpoint, names["compute_name"])
    other = {"base_name": base, **COMMON, **PRIVATE, "cost_center": "another"}

    project.settings(private, other)
    try:
        changed = project.up(private)
        refreshed = project.pulumi("refresh", "--yes", "--skip-preview", stack=private)
        project.settings(private, {**other, "cost_center": "a-third"})
        again = project.up(private)
        defaults = azure.arm("GET", endpoint, ML).json()["properties"]["defaults"]
        status = project.run(str(ROOT / ".venv" / "bin" / "python"), "-m", "mlops", "status", "--outputs", str(outputs))
    finally:
        project.settings(private, {"base_name": base, **COMMON, **PRIVATE})
        restored = project.up(private, rules="staging")

    for completed in (changed, refreshed, again, restored):
        assert completed.code == 0, completed.text
    assert "learning-workspace updated" in changed.text, "the new cost centre went to what can take it"
    assert defaults == {"deploymentName": "v-1"}
    assert "Published: version 1, deployment v-1." in status.text


def _deploy(azure: AzureSession, workspace: str, endpoint: str, compute: str) -> None:
    """Create the results of `mlops publish`: a pipeline component and its deployment, the endpoint's first."""
    environment, step, component = (
        f"{workspace}/{name}/versions/1"
        for name in ("environments/training", "components/train", "components/diabetes_training")
    )
    azure.put(environment, ML, {"properties": {"image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"}})
    spec = {"type": "command", "command": "true", "environment": environment, "inputs": {}, "outputs": {}}
    azure.put(step, ML, {"properties": {"componentSpec": spec}})
    jobs = {"train": {"type": "command", "componentId": step, "inputs": {}}}
    spec = {"type": "pipeline", "inputs": {}, "outputs": {}, "jobs": jobs}
    azure.put(component, ML, {"properties": {"componentSpec": spec}})
    configuration = {
        "deploymentConfigurationType": "PipelineComponent",
        "componentId": {"assetId": component, "referenceType": "Id"},
        "settings": {"default_compute": compute},
    }
    body = {"location": "westeurope", "tags": {"code_version": "1"},
            "properties": {"deploymentConfiguration": configuration}}  # fmt: skip
    azure.put(f"{endpoint}/deployments/v-1", ML, body)


@pytest.mark.nightly
def test_its_state_holds_no_secret_in_the_clear(project: Project, private: str, base: str, azure: AzureSession) -> None:
    """Search for Azure's secrets by value, and for keys by their form.

    The connection string of Application Insights is an output: local sign-in is off, and it does not allow writing.
    """
    exported = project.pulumi("stack", "export", stack=private).text
    assert not re.search(r"AccountKey=|SharedAccessSignature|\bsig=|eyJ[\w-]{20,}\.eyJ", exported)
    group = f"{azure.subscription}/resourceGroups/rg-{base}-priv/providers"
    insights = azure.arm("GET", f"{group}/Microsoft.Insights/components/appi-{base}-priv", "2020-02-02").json()
    assert insights["properties"]["DisableLocalAuth"] is True
    assert exported.count(insights["properties"]["ConnectionString"]) == 1, "the output alone"
    secrets_ = {"webhook": WEBHOOK}
    for account in (f"st{base}priv", f"st{base}privtr"):
        path = f"{group}/Microsoft.Storage/storageAccounts/{account}/listKeys"
        listed = azure.arm("POST", path, "2024-01-01").json()["keys"]
        secrets_ |= {f"{account} {key['keyName']}": key["value"] for key in listed}
    for name in ("AZURE_CLIENT_SECRET", "PULUMI_CONFIG_PASSPHRASE"):
        if name in project.environment:
            secrets_[name] = project.environment[name]
    assert len(secrets_) >= 6 and all(len(value) > 8 for value in secrets_.values())
    assert [name for name, value in secrets_.items() if value in exported] == []
    assert insights["properties"]["AppId"] in exported, "what is no secret is there to be read"


@pytest.mark.nightly
def test_a_weakened_default_is_stopped_before_anything_changes(
    project: Project, private: str, base: str, azure: AzureSession
) -> None:
    before = {resource["urn"] for resource in project.resources(private)}
    project.settings(private, {"base_name": base, **COMMON, **PRIVATE, "network": {"profile": "public"}})
    try:
        preview = project.pulumi(
            "preview", "--policy-pack", "policy", "--policy-pack-config", "policy/config/staging.json", stack=private
        )
    finally:
        project.settings(private, {"base_name": base, **COMMON, **PRIVATE})
    assert preview.code != 0, preview.text
    assert "[mandatory]  network-profile" in preview.text
    assert "Set network.profile to private: the service answers on the internet" in preview.text
    assert {resource["urn"] for resource in project.resources(private)} == before
    path = (
        f"{azure.subscription}/resourceGroups/rg-{base}-priv/providers/Microsoft.Storage/storageAccounts/st{base}priv"
    )
    account = azure.arm("GET", path, "2024-01-01").json()
    assert account["properties"]["publicNetworkAccess"] == "Disabled"


def test_all_wrong_settings_are_reported_at_once_and_change_nothing(project: Project) -> None:
    project.settings("wrong", {"base_name": "Not_A_Name", "location": "mars", "compute": {"max_nodes": 0}})
    assert project.pulumi("stack", "init", stack="wrong").code == 0
    up = project.up("wrong")
    assert up.code != 0
    for message in (
        "base_name = Not_A_Name: must be 1 to 10 lowercase letters and digits. Valid example: dataops",
        "compute.max_nodes = 0: input should be greater than or equal to 1. Valid example: 2",
        "cost_center is missing. Valid example: research-42",
        "location = mars: is not an Azure region. Valid example: westeurope",
        "owner is missing. Valid example: mlops@example.com",
    ):
        assert f"  {message}" in up.text, up.text
    assert "Traceback" not in up.text
    assert [resource["type"] for resource in project.resources("wrong")] in ([], ["pulumi:pulumi:Stack"])


def test_a_stack_without_settings_is_refused_with_the_remedy(project: Project) -> None:
    assert project.pulumi("stack", "init", stack="bare").code == 0
    up = project.up("bare", rules="prod")
    assert up.code != 0 and "Traceback" not in up.text
    assert "base_name is missing. Valid example: dataops" in up.text
    assert "Stack bare seems to have no settings of its own: write Pulumi.bare.yaml, starting from" in up.text
    assert [resource["type"] for resource in project.resources("bare")] in ([], ["pulumi:pulumi:Stack"])


@pytest.mark.nightly
def test_a_name_of_another_subscription_is_reported_and_a_second_update_converges(
    project: Project, cloud: Cloud, azure: AzureSession
) -> None:
    base = f"t{secrets.token_hex(4)}"
    account = f"st{base}pub"
    project.settings("pub", {"base_name": base, **COMMON, **QUICK_TO_FORGET})
    assert project.pulumi("stack", "init", stack="pub").code == 0
    names = f"{cloud.settings.gateway_url}/_localcloud/names-elsewhere"
    token = azure.credential.get_token("https://management.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    held = {"type": "Microsoft.Storage/storageAccounts", "name": account}
    assert requests.post(names, json=held, headers=headers, timeout=60).ok
    try:
        up = project.up("pub")
    finally:
        requests.delete(names, headers=headers, timeout=60)
    assert up.code != 0
    assert (
        "StorageAccountAlreadyTaken" in up.text and f"The storage account named {account} is already taken." in up.text
    )

    again = project.up("pub")
    assert again.code == 0, again.text

    destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack="pub")
    assert destroyed.code == 0, destroyed.text
    _made_again_after_a_purge(project, azure, base)


@pytest.mark.nightly
def test_a_stack_moves_into_a_network_and_out_of_it_without_losses(project: Project) -> None:
    """Databricks workspaces do not move: a new one replaces the old, and has the same content."""
    base = f"t{secrets.token_hex(4)}"
    restricted = {"network": {"profile": "restricted", "allowed_ips": ["203.0.113.0/24"]}}
    assert project.pulumi("stack", "init", stack="moves").code == 0
    for network, moves in (({}, False), (restricted, True), ({}, True)):
        project.settings("moves", {"base_name": base, **COMMON, **QUICK_TO_FORGET, **network})
        up = project.up("moves")
        assert up.code == 0, up.text
        for part in ("databricks-workspace", "runs-pool", "runs-folder-read"):
            assert (f"{part} created replacement" in up.text) is moves, up.text
    refreshed = project.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", stack="moves")
    assert refreshed.code == 0, refreshed.text
    destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack="moves")
    assert destroyed.code == 0, destroyed.text
    assert project.resources("moves") == []


def _made_again_after_a_purge(project: Project, azure: AzureSession, base: str) -> None:
    """Destroy a stack with the engine's own verb: Azure keeps the names of its vault and its workspace."""
    deleted = f"{azure.subscription}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv-{base}-pub"
    assert azure.arm("GET", deleted, "2024-11-01").status_code == 200, "the vault's name is held"
    early = project.up("pub")
    assert early.code != 0
    assert "ConflictError" in early.text and "recover or purge existing key vault" in early.text.replace("\n", " ")

    purged = project.purge("pub")
    assert purged.code == 0, purged.text
    assert f"Key Vault kv-{base}-pub: freed" in purged.text
    assert f"Azure ML workspace aml-{base}-pub: freed" in purged.text
    assert azure.arm("GET", deleted, "2024-11-01").status_code == 404
    again = project.up("pub")
    assert again.code == 0, again.text

    destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack="pub")
    assert destroyed.code == 0, destroyed.text
    assert project.purge("pub").code == 0
    assert f"Key Vault kv-{base}-pub: was free" in project.purge("pub").text


@pytest.mark.nightly
def test_a_protected_stack_is_not_destroyed_in_any_part(
    project: Project, private: str, base: str, azure: AzureSession
) -> None:
    """The stack is like prod, and is updated without a preview, which would be refused already."""

    def deploy(**protection: bool) -> None:
        project.settings(private, {"base_name": base, **COMMON, **PRIVATE, "protection": protection})
        up = project.up(private, rules="staging")
        assert up.code == 0, up.text

    def in_azure() -> set[str]:
        listed = azure.arm("GET", f"{azure.subscription}/resourceGroups/rg-{base}-priv/resources", "2024-03-01")
        return {resource["id"].lower() for resource in listed.json()["value"]}

    deploy(lock=True, protect=True)
    try:
        declared, before = {resource["urn"] for resource in project.resources(private)}, in_azure()
        destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack=private)
        assert destroyed.code != 0
        refusal = r"locks-workspace-storage.* cannot be deleted\s+because it is protected"
        assert re.search(refusal, destroyed.text), destroyed.text
        assert {resource["urn"] for resource in project.resources(private)} == declared, destroyed.text
        assert in_azure() == before
    finally:
        deploy(lock=True)


@pytest.mark.nightly
def test_names_of_a_deployed_or_protected_stack_are_not_freed(project: Project, private: str, base: str) -> None:
    refused = project.purge(private)
    assert refused.code != 0 and "Stack priv is protected" in refused.text
    project.settings(private, {"base_name": base, **COMMON, **PRIVATE, "protection": {"lock": False}})
    try:
        refused = project.purge(private)
    finally:
        project.settings(private, {"base_name": base, **COMMON, **PRIVATE})
    assert refused.code != 0 and f"Azure ML workspace aml-{base}-priv still exists" in refused.text
