"""Virtual networks, subnets and security groups by azure-mgmt-network, and the service's refusals."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.network import NetworkManagementClient
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.networks import NETWORK, REGION, make_network, path, subnet


@pytest.fixture(scope="session")
def client(azure: AzureSession) -> NetworkManagementClient:
    return NetworkManagementClient(azure.credential, azure.subscription_id)


def test_the_client_makes_a_network_with_delegated_subnets_behind_a_group(
    client: NetworkManagementClient, group: str
) -> None:
    name = group.rsplit("/", 1)[-1]
    nsg_body: Any = {"location": REGION, "properties": {"securityRules": []}}
    nsg = client.network_security_groups.begin_create_or_update(name, "nsg-dbw", nsg_body).result()
    network: Any = {"location": REGION, "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}}}
    client.virtual_networks.begin_create_or_update(name, "vnet", network).result()
    delegation = {"name": "databricks", "properties": {"serviceName": "Microsoft.Databricks/workspaces"}}
    body: Any = {
        "properties": {
            "addressPrefix": "10.1.1.0/24", "networkSecurityGroup": {"id": nsg.id}, "delegations": [delegation],
        }
    }  # fmt: skip
    created = client.subnets.begin_create_or_update(name, "vnet", "snet-host", body).result()
    assert created.delegations is not None and created.delegations[0].provisioning_state == "Succeeded"
    read_again = client.virtual_networks.get(name, "vnet")
    assert read_again.subnets is not None and [subnet.name for subnet in read_again.subnets] == ["snet-host"]
    assert "DenyAllInBound" in [rule.name for rule in client.default_security_rules.list(name, "nsg-dbw")]
    with pytest.raises(HttpResponseError) as refused:
        client.network_security_groups.begin_delete(name, "nsg-dbw").result()
    assert refused.value.error is not None and refused.value.error.code == "InUseNetworkSecurityGroupCannotBeDeleted"


def test_subnets_remain_without_a_list_and_are_deleted_by_an_empty_one(azure: AzureSession, group: str) -> None:
    id_ = make_network(azure, group, subnet("a", "10.20.1.0/24"), subnet("b", "10.20.2.0/24"))
    body: Any = {"location": REGION, "properties": {"addressSpace": {"addressPrefixes": ["10.20.0.0/16"]}}}
    assert len(azure.put(id_, NETWORK, body)["properties"]["subnets"]) == 2
    body["properties"]["subnets"] = []
    assert azure.put(id_, NETWORK, body)["properties"]["subnets"] == []


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("10.20.1.128/25", "NetcfgSubnetRangesOverlap"),
        ("10.21.0.0/24", "NetcfgSubnetRangeOutsideVnet"),
        ("10.20.3.7/24", "InvalidCIDRNotation"),
        ("10.20.3.0/30", "NetcfgInvalidSubnet"),
        ("not-an-address", "InvalidAddressPrefixFormat"),
    ],
)
def test_a_subnet_that_does_not_fit_is_refused(azure: AzureSession, group: str, prefix: str, code: str) -> None:
    id_ = make_network(azure, group, subnet("taken", "10.20.1.0/24"))
    answer = azure.arm("PUT", f"{id_}/subnets/new", NETWORK, {"properties": {"addressPrefix": prefix}})
    status, actual_code, message = error_of(answer)
    assert (status, actual_code) == (400, code), message


def test_a_delegation_to_an_unknown_service_names_the_known_ones(azure: AzureSession, group: str) -> None:
    id_ = make_network(azure, group)
    delegation = {"name": "x", "properties": {"serviceName": "Microsoft.Databricks/clusters"}}
    body = {"properties": {"addressPrefix": "10.20.1.0/24", "delegations": [delegation]}}
    status, code, message = error_of(azure.arm("PUT", f"{id_}/subnets/new", NETWORK, body))
    assert (status, code) == (400, "InvalidServiceNameOnDelegation")
    assert "Microsoft.Databricks/workspaces" in message


def test_a_group_that_does_not_exist_cannot_guard_a_subnet(azure: AzureSession, group: str) -> None:
    id_ = make_network(azure, group)
    nsg = path(group, "networkSecurityGroups", "missing")
    body = {"properties": {"addressPrefix": "10.20.1.0/24", "networkSecurityGroup": {"id": nsg}}}
    status, code, message = error_of(azure.arm("PUT", f"{id_}/subnets/new", NETWORK, body))
    assert (status, code) == (400, "InvalidResourceReference") and nsg in message


def _rule(name: str, priority: int, **changes: str) -> dict[str, object]:
    return {
        "name": name,
        "properties": {
            "priority": priority, "direction": "Inbound", "access": "Deny", "protocol": "*", "sourcePortRange": "*",
            "destinationPortRange": "*", "sourceAddressPrefix": "Internet", "destinationAddressPrefix": "*", **changes,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([_rule("a", 100), _rule("b", 100)], "SecurityRuleConflict"),
        ([_rule("a", 50)], "SecurityRuleInvalidPriority"),
        ([_rule("a", 100, access="Maybe")], "SecurityRuleInvalidAccess"),
        ([_rule("a", 100, sourcePortRange="")], "SecurityRuleParameterNotSpecified"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(
    azure: AzureSession, group: str, rules: list[dict[str, object]], code: str
) -> None:
    body = {"location": REGION, "properties": {"securityRules": rules}}
    answer = azure.arm("PUT", path(group, "networkSecurityGroups", "nsg"), NETWORK, body)
    assert error_of(answer)[:2] == (400, code)


def test_the_same_priority_may_be_used_in_both_directions(azure: AzureSession, group: str) -> None:
    rules = [_rule("in", 100), _rule("out", 100, direction="Outbound")]
    id_ = path(group, "networkSecurityGroups", unique("nsg"))
    content = azure.put(id_, NETWORK, {"location": REGION, "properties": {"securityRules": rules}})
    assert [rule["name"] for rule in content["properties"]["securityRules"]] == ["in", "out"]
    assert len(content["properties"]["defaultSecurityRules"]) == 6


def test_a_network_leaves_by_its_nat_gateway(azure: AzureSession, group: str) -> None:
    address = path(group, "publicIPAddresses", "pip")
    gateway = path(group, "natGateways", "nat")
    azure.put(address, NETWORK, {"location": REGION, "sku": {"name": "Standard"}, "properties": {}})
    azure.put(
        gateway, NETWORK,
        {"location": REGION, "sku": {"name": "Standard"}, "properties": {"publicIpAddresses": [{"id": address}]}},
    )  # fmt: skip
    network = make_network(azure, group, subnet("out", "10.20.1.0/24", natGateway={"id": gateway}))
    assert azure.arm("GET", gateway, NETWORK).json()["properties"]["subnets"] == [{"id": f"{network}/subnets/out"}]
    assert error_of(azure.arm("DELETE", gateway, NETWORK))[:2] == (400, "InUseNatGatewayCannotBeDeleted")
    assert error_of(azure.arm("DELETE", address, NETWORK))[:2] == (400, "PublicIPAddressCannotBeDeleted")
