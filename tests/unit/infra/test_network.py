"""Resources of each network profile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.infra.recorder import INGESTION, Deployment, Registered, deploy
from tests.unit.infra.test_platform import NETWORKS

NETWORK_KINDS = {
    "VirtualNetwork", "Subnet", "NetworkSecurityGroup", "SecurityRule", "NatGateway", "PublicIPAddress",
    "PrivateEndpoint", "PrivateDnsZoneGroup", "PrivateZone", "VirtualNetworkLink", "ManagedNetworkSettingsRule",
}  # fmt: skip
HUB = "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/rg-hub-dns"


def kinds(deployment: Deployment) -> dict[str, int]:
    types = [resource.type.rsplit(":", 1)[-1] for resource in deployment]
    return {kind: types.count(kind) for kind in NETWORK_KINDS if kind in types}


def guarded(deployment: Deployment) -> list[Registered]:
    types = ("StorageAccount", "Vault", "containerregistry:Registry", "machinelearningservices:Workspace",
             "databricks:Workspace")  # fmt: skip
    return [resource for type_ in types for resource in deployment.of(type_)]


def public_access(resource: Registered) -> Any:
    inputs = resource.inputs["properties"] if resource.type.endswith(":Vault") else resource.inputs
    return inputs["publicNetworkAccess"]


def test_the_public_profile_has_no_network_of_its_own() -> None:
    deployment = deploy(network=NETWORKS["public"])
    assert kinds(deployment) == {}
    assert {public_access(resource) for resource in guarded(deployment)} == {"Enabled"}
    for account in deployment.of("StorageAccount"):
        assert account.inputs["networkRuleSet"]["defaultAction"] == "Allow"
    assert deployment.resource("containerregistry:Registry").inputs["sku"] == {"name": "Standard"}
    workspace = deployment.resource("machinelearningservices:Workspace").inputs
    assert "managedNetwork" not in workspace and "imageBuildCompute" not in workspace
    assert set(deployment.resource("databricks:Workspace").inputs["parameters"]) == {"enableNoPublicIp"}


def test_the_restricted_profile_admits_named_addresses_and_its_own_network() -> None:
    deployment = deploy(network=NETWORKS["restricted"])
    assert kinds(deployment) == {
        "VirtualNetwork": 1, "Subnet": 2, "NetworkSecurityGroup": 2, "NatGateway": 1, "PublicIPAddress": 1,
        "ManagedNetworkSettingsRule": 8,
    }  # fmt: skip
    assert {public_access(resource) for resource in guarded(deployment)} == {"Enabled"}
    subnets = {subnet.inputs["subnetName"]: subnet for subnet in deployment.of("Subnet")}
    ids = [f"/Subnet/{name}" for name in ("databricks-host", "databricks-container")]
    for account in deployment.of("StorageAccount"):
        rules = account.inputs["networkRuleSet"]
        assert rules["defaultAction"] == "Deny" and rules["bypass"] == "AzureServices"
        assert [rule["iPAddressOrRange"] for rule in rules["ipRules"]] == ["203.0.113.0/24"]
        allowed = [rule["virtualNetworkResourceId"] for rule in rules["virtualNetworkRules"]]
        assert [id_[id_.index("/Subnet/") :] for id_ in allowed] == ids
    acls = deployment.resource("Vault").inputs["properties"]["networkAcls"]
    assert acls["defaultAction"] == "Deny" and acls["ipRules"] == [{"value": "203.0.113.0/24"}]
    registry = deployment.resource("containerregistry:Registry").inputs
    assert registry["sku"] == {"name": "Premium"} and registry["networkRuleSet"]["defaultAction"] == "Deny"
    for subnet in subnets.values():
        services = [endpoint["service"] for endpoint in subnet.inputs["serviceEndpoints"]]
        assert services == ["Microsoft.Storage", "Microsoft.KeyVault"]


def test_the_private_profile_closes_every_service_to_the_internet() -> None:
    deployment = deploy(network=NETWORKS["private"])
    assert kinds(deployment) == {
        "VirtualNetwork": 1, "Subnet": 3, "NetworkSecurityGroup": 3, "SecurityRule": 3, "NatGateway": 1,
        "PublicIPAddress": 1, "PrivateEndpoint": 11, "PrivateDnsZoneGroup": 11, "PrivateZone": 10,
        "VirtualNetworkLink": 10, "ManagedNetworkSettingsRule": 5,
    }  # fmt: skip
    assert {public_access(resource) for resource in guarded(deployment)} == {"Disabled"}
    assert deployment.resource("databricks:Workspace").inputs["requiredNsgRules"] == "NoAzureDatabricksRules"


def test_every_private_service_has_its_endpoint_and_names() -> None:
    deployment = deploy(network=NETWORKS["private"])
    reached = {
        (connection["privateLinkServiceId"].rsplit("/", 1)[-1], *connection["groupIds"])
        for endpoint in deployment.of("PrivateEndpoint")
        for connection in endpoint.inputs["privateLinkServiceConnections"]
    }
    assert reached == {
        ("stdataopsdev", "blob"), ("stdataopsdev", "file"), ("stdataopsdev", "queue"), ("stdataopsdev", "table"),
        ("stdataopsdevtr", "blob"), ("stdataopsdevtr", "dfs"),
        ("kv-dataops-dev", "vault"), ("acrdataopsdev", "registry"), ("aml-dataops-dev", "amlworkspace"),
        ("dbw-dataops-dev", "databricks_ui_api"), ("dbw-dataops-dev", "browser_authentication"),
    }  # fmt: skip
    zones = {zone.inputs["privateZoneName"] for zone in deployment.of("PrivateZone")}
    assert zones == {
        "privatelink.blob.core.windows.net", "privatelink.dfs.core.windows.net", "privatelink.file.core.windows.net",
        "privatelink.queue.core.windows.net", "privatelink.table.core.windows.net",
        "privatelink.vaultcore.azure.net", "privatelink.azurecr.io", "privatelink.api.azureml.ms",
        "privatelink.notebooks.azure.net", "privatelink.azuredatabricks.net",
    }  # fmt: skip
    assert {link.inputs["privateZoneName"] for link in deployment.of("VirtualNetworkLink")} == zones
    for group in deployment.of("PrivateDnsZoneGroup"):
        assert group.inputs["privateDnsZoneConfigs"], group.name
    links = {group.urn for group in deployment.of("PrivateDnsZoneGroup")}
    assert links <= set(deployment.resource("databricks", "runs-provider").depends_on), (
        "its API is reached by these names"
    )


def test_a_hub_s_zones_are_used_where_they_are_named() -> None:
    deployment = deploy(network=f'{{"profile": "private", "dns_zone_group": "{HUB}"}}')
    assert not deployment.of("PrivateZone") and not deployment.of("VirtualNetworkLink")
    ids = {
        config["privateDnsZoneId"]
        for group in deployment.of("PrivateDnsZoneGroup")
        for config in group.inputs["privateDnsZoneConfigs"]
    }
    assert len(ids) == 10
    reached = [link["groupIds"] for endpoint in deployment.of("PrivateEndpoint") for link in _links(endpoint)]
    assert ["databricks_ui_api"] in reached and ["browser_authentication"] not in reached, "the hub has the region's"
    assert all(id_.startswith(f"{HUB}/providers/Microsoft.Network/privateDnsZones/privatelink.") for id_ in ids)


AGENTS = (
    "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/rg-agents/providers/Microsoft.Network"
    "/virtualNetworks/vnet-agents"
)


def test_a_private_stack_is_reached_from_the_agents_network_by_peering_and_by_name() -> None:
    deployment = deploy(network=f'{{"profile": "private", "peered_networks": ["{AGENTS}"]}}')
    own = deployment.resource("VirtualNetwork").inputs["virtualNetworkName"]
    peerings = {
        (peering.inputs["resourceGroupName"], peering.inputs["virtualNetworkName"]): peering
        for peering in deployment.of("VirtualNetworkPeering")
    }
    assert set(peerings) == {("rg-dataops-dev", own), ("rg-agents", "vnet-agents")}
    assert peerings["rg-dataops-dev", own].inputs["remoteVirtualNetwork"] == {"id": AGENTS}
    assert peerings["rg-agents", "vnet-agents"].inputs["remoteVirtualNetwork"]["id"].endswith(f"/{own}")
    urn = peerings["rg-agents", "vnet-agents"].provider.rpartition("::")[0]
    provider = next(resource for resource in deployment if resource.urn == urn)
    assert provider.inputs["subscriptionId"] == "99999999-9999-9999-9999-999999999999"
    zones = {zone.inputs["privateZoneName"] for zone in deployment.of("PrivateZone")}
    linked = [link for link in deployment.of("VirtualNetworkLink") if link.inputs["virtualNetwork"] == {"id": AGENTS}]
    assert {link.inputs["privateZoneName"] for link in linked} == zones and len(linked) == len(zones)


def test_the_owner_of_the_agents_network_may_make_the_return_peering() -> None:
    network = (
        f'{{"profile": "private", "peered_networks": ["{AGENTS}"], "peering": "one_way", "dns_zone_group": "{HUB}"}}'
    )
    deployment = deploy(network=network)
    assert [peering.inputs["remoteVirtualNetwork"] for peering in deployment.of("VirtualNetworkPeering")] == [
        {"id": AGENTS}
    ]
    assert not deployment.of("VirtualNetworkLink"), "the hub links its own zones"


def test_nothing_is_peered_unless_networks_are_named() -> None:
    assert not deploy(network=NETWORKS["private"]).of("VirtualNetworkPeering")


def _links(endpoint: Registered) -> Any:
    return endpoint.inputs["privateLinkServiceConnections"]


@pytest.mark.parametrize("profile", ["restricted", "private"])
def test_clusters_run_in_the_network_and_leave_it_by_one_address(profile: str) -> None:
    deployment = deploy(network=NETWORKS[profile])
    parameters = deployment.resource("databricks:Workspace").inputs["parameters"]
    assert parameters["customVirtualNetworkId"]["value"].endswith("/vnet-dataops-dev")
    assert parameters["customPublicSubnetName"] == {"value": "databricks-host"}
    assert parameters["customPrivateSubnetName"] == {"value": "databricks-container"}
    for subnet in deployment.of("Subnet"):
        assert subnet.inputs["networkSecurityGroup"]["id"] and subnet.inputs["defaultOutboundAccess"] is False
        if subnet.inputs["subnetName"].startswith("databricks-"):
            assert subnet.inputs["natGateway"]["id"].endswith("/network-egress")
            assert [delegation["serviceName"] for delegation in subnet.inputs["delegations"]] == [
                "Microsoft.Databricks/workspaces"
            ]


def test_subnets_are_made_one_after_another() -> None:
    subnets = {subnet.inputs["subnetName"]: subnet for subnet in deploy(network=NETWORKS["private"]).of("Subnet")}
    assert subnets["databricks-host"].urn in subnets["databricks-container"].depends_on
    assert subnets["databricks-container"].urn in subnets["endpoints"].depends_on


TRAINING = {"training-storage-blob", "training-storage-dfs"}
BATCH_ENDPOINTS = {"workspace-storage-queue", "workspace-storage-table"}
OWN = {"workspace-storage-blob", "workspace-storage-file", "keyvault-vault", "registry-registry"}


@pytest.mark.parametrize(
    ("network", "mode", "rules"),
    [
        (NETWORKS["restricted"], "AllowInternetOutbound", TRAINING | BATCH_ENDPOINTS | OWN),
        (NETWORKS["private"], "AllowInternetOutbound", TRAINING | BATCH_ENDPOINTS | {"databricks-databricks-ui-api"}),
        (
            '{"profile": "restricted", "allowed_ips": ["203.0.113.0/24"], "outbound_hosts": ["*.pypi.org"]}',
            "AllowOnlyApprovedOutbound",
            TRAINING | BATCH_ENDPOINTS | {"any-pypi-org", "databricks", "insights"},
        ),
    ],
)
def test_jobs_reach_only_the_services_that_they_need(network: str, mode: str, rules: set[str]) -> None:
    deployment = deploy(network=network)
    assert deployment.resource("machinelearningservices:Workspace").inputs["managedNetwork"]["isolationMode"] == mode
    outbound_rules = deployment.of("ManagedNetworkSettingsRule")
    assert {rule.inputs["ruleName"] for rule in outbound_rules} == rules
    compute = deployment.resource("Compute")
    assert {rule.urn for rule in outbound_rules} <= set(compute.depends_on), "the first node provisions the network"
    assert compute.inputs["properties"]["properties"]["enableNodePublicIp"] is False
    hosts = {
        rule.inputs["properties"]["destination"]
        for rule in outbound_rules
        if rule.inputs["properties"]["type"] == "FQDN"
    }
    telemetry = INGESTION.removeprefix("https://").rstrip("/")
    assert hosts in (set(), {"*.pypi.org", "adb-1234567890123456.7.azuredatabricks.net", telemetry})


def test_the_endpoints_subnet_answers_to_the_network_only() -> None:
    rules = {
        rule.inputs["securityRuleName"]: rule.inputs for rule in deploy(network=NETWORKS["private"]).of("SecurityRule")
    }
    assert len(rules) == 3
    clusters = rules["allow-clusters-to-databricks"]
    assert clusters["sourceAddressPrefixes"] == ["10.20.0.0/24", "10.20.1.0/24"], "the clusters' own subnets"
    assert clusters["destinationPortRanges"] == ["3306", "6666", "8443-8451"] and clusters["protocol"] == "Tcp"
    assert clusters["access"] == "Allow" and clusters["priority"] < rules["deny-the-rest"]["priority"]
    allow, deny = rules["allow-https-from-the-network"], rules["deny-the-rest"]
    assert (allow["access"], allow["sourceAddressPrefix"], allow["destinationPortRange"]) == (
        "Allow",
        "VirtualNetwork",
        "443",
    )
    assert (deny["access"], deny["sourceAddressPrefix"]) == ("Deny", "*") and deny["priority"] > allow["priority"]


def test_databricks_rules_in_the_security_groups_are_ignored() -> None:
    for group in deploy(network=NETWORKS["private"]).of("NetworkSecurityGroup"):
        assert "securityRules" not in group.inputs, "rules in line would take Databricks' own away"


def test_endpoints_of_one_target_are_made_one_after_another() -> None:
    """Azure makes one endpoint of a target at a time; the Databricks workspace's API endpoint comes first."""
    endpoints = {endpoint.name: endpoint for endpoint in deploy(network=NETWORKS["private"])}

    chains = {
        "storage-workspace-lifecycle": ["workspace-storage-blob", "workspace-storage-file", "workspace-storage-queue",
                                        "workspace-storage-table"],
        "storage-training-lifecycle": ["training-storage-blob", "training-storage-dfs"],
        "databricks-workspace": ["databricks-databricks-ui-api", "databricks-browser-authentication"],
    }  # fmt: skip
    for first, labels in chains.items():
        before = endpoints[first]
        for label in labels:
            endpoint = endpoints[f"network-{label}"]
            assert before.urn in {*endpoint.depends_on, *endpoint.reads["privateLinkServiceConnections"]}, label
            before = endpoint


def test_azure_ml_s_own_endpoints_come_after_the_stack_s() -> None:
    deployed = deploy(network=NETWORKS["private"])
    endpoints = {endpoint.urn for endpoint in deployed.of("PrivateEndpoint")}

    rules = deployed.of("ManagedNetworkSettingsRule")

    assert [rule.name for rule in rules if endpoints <= set(rule.depends_on)] == [rules[0].name]
