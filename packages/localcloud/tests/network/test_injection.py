"""Databricks in a virtual network of the user, and the managed network of Azure ML."""

from __future__ import annotations

from typing import Any

import pytest
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.networks import NETWORK, REGION, make_account, make_network, path, subnet

_DELEGATION = {"name": "databricks", "properties": {"serviceName": "Microsoft.Databricks/workspaces"}}


def _network(azure: AzureSession, group: str, **host: Any) -> tuple[str, str]:
    """Return the ids of a network with the subnets host and container, and of their security group."""
    nsg = path(group, "networkSecurityGroups", unique("nsg"))
    azure.put(nsg, NETWORK, {"location": REGION, "properties": {}})
    ready = {"delegations": [_DELEGATION], "networkSecurityGroup": {"id": nsg}}
    network = make_network(
        azure, group, subnet("host", host.pop("prefix", "10.20.1.0/24"), **{**ready, **host}),
        subnet("container", "10.20.2.0/24", **ready),
    )  # fmt: skip
    return network, nsg


def _workspace(group: str, network: str, **changes: Any) -> Any:
    values = {
        "enableNoPublicIp": True, "customVirtualNetworkId": network, "customPublicSubnetName": "host",
        "customPrivateSubnetName": "container", **changes,
    }  # fmt: skip
    properties = {
        "computeMode": "Hybrid", "managedResourceGroupId": f"{group}-{unique('m')}",
        "parameters": {name: {"value": value} for name, value in values.items() if value is not None},
    }  # fmt: skip
    return {"location": REGION, "sku": {"name": "premium"}, "properties": properties}


def _id(group: str) -> str:
    return f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}"


def test_a_workspace_holds_its_subnets_and_keeps_its_rules_in_their_group(azure: AzureSession, group: str) -> None:
    network, nsg = _network(azure, group)
    id_ = _id(group)
    azure.put(id_, "2026-01-01", _workspace(group, network))
    rules = azure.arm("GET", nsg, NETWORK).json()["properties"]["securityRules"]
    names = [rule["name"].rsplit("-to-", 1)[-1] for rule in rules]
    assert names == ["databricks-webapp", "eventhub", "sql", "storage", "worker-inbound", "worker-outbound"]
    assert error_of(azure.arm("DELETE", f"{network}/subnets/host", NETWORK))[:2] == (400, "InUseSubnetCannotBeDeleted")
    bare = {"properties": {"addressPrefix": "10.20.1.0/24", "delegations": [_DELEGATION]}}
    status, code, _ = error_of(azure.arm("PUT", f"{network}/subnets/host", NETWORK, bare))
    assert (status, code) == (400, "NetworkSecurityGroupCannotBeRemovedDueToNipOnSubnet")
    other = azure.arm("PUT", _id(group), "2026-01-01", _workspace(group, network))
    assert other.status_code == 400 and "a subnet serves one workspace" in other.json()["error"]["message"]
    azure.finish(azure.arm("DELETE", id_, "2026-01-01"))
    assert azure.arm("GET", nsg, NETWORK).json()["properties"]["securityRules"] == []


@pytest.mark.parametrize(
    ("host", "changes", "message"),
    [
        ({"delegations": []}, {}, "must be delegated to Microsoft.Databricks/workspaces"),
        ({"networkSecurityGroup": None}, {}, "must have a network security group"),
        ({"prefix": "10.20.1.0/27"}, {}, "needs at least a /26"),
        ({}, {"customPublicSubnetName": None}, "customPublicSubnetName is missing"),
        ({}, {"customPublicSubnetName": "container"}, "needs two subnets"),
        ({}, {"customPrivateSubnetName": "nowhere"}, "was not found"),
    ],
)
def test_subnets_that_databricks_cannot_use_are_refused(
    azure: AzureSession, group: str, host: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    network, _ = _network(azure, group, **host)
    answer = azure.arm("PUT", _id(group), "2026-01-01", _workspace(group, network, **changes))
    status, code, text = error_of(answer)
    assert (status, code) == (400, "ApplianceInvalidParameters") and message in text


def test_disabled_public_access_requires_the_matching_network_rules(azure: AzureSession, group: str) -> None:
    network, _ = _network(azure, group)
    body = _workspace(group, network)
    body["properties"]["publicNetworkAccess"] = "Disabled"
    refused = azure.arm("PUT", _id(group), "2026-01-01", body)
    assert refused.status_code == 400 and "requiredNsgRules must be" in refused.json()["error"]["message"]


def _machine_learning(azure: AzureSession, group: str, mode: str) -> tuple[str, str]:
    """Return the ids of a workspace and of its identity's principal."""
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}"
    principal = azure.put(identity, "2023-01-31", {"location": REGION})["properties"]["principalId"]
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv-')}"
    sku = {"family": "A", "name": "standard"}
    properties = {"tenantId": azure.tenant_id, "sku": sku, "enableRbacAuthorization": True}
    azure.put(vault, "2024-11-01", {"location": REGION, "properties": properties})
    account = make_account(azure, group)
    for scope in (vault, account):
        azure.assign(scope, "Contributor", principal)
    id_ = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{unique('aml-')}"
    body = {
        "location": REGION,
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}},
        "properties": {
            "storageAccount": account, "keyVault": vault,
            "primaryUserAssignedIdentity": identity, "managedNetwork": {"isolationMode": mode},
        },
    }  # fmt: skip
    azure.put(id_, "2025-12-01", body)
    return id_, principal


def test_a_managed_endpoint_needs_the_workspaces_identity_to_approve_it(azure: AzureSession, group: str) -> None:
    workspace, principal = _machine_learning(azure, group, "AllowInternetOutbound")
    account = make_account(azure, group)
    destination = {"serviceResourceId": account, "subresourceTarget": "blob"}
    body = {"properties": {"type": "PrivateEndpoint", "destination": destination}}
    rule = f"{workspace}/outboundRules/training"
    refused = azure.arm("PUT", rule, "2025-12-01", body)
    assert refused.status_code == 202
    outcome = refused.headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com").split("?")[0]
    assert azure.arm("GET", outcome, "2025-12-01").json()["error"]["code"] == "AuthorizationFailed"
    azure.assign(account, "Azure AI Enterprise Network Connection Approver", principal)
    azure.finish(azure.arm("DELETE", rule, "2025-12-01"))
    azure.put(rule, "2025-12-01", body)
    connections = azure.arm("GET", account, "2024-01-01").json()["properties"]["privateEndpointConnections"]
    assert [connection["properties"]["privateEndpoint"]["id"] for connection in connections] == [rule]


@pytest.mark.parametrize(
    ("mode", "properties", "message"),
    [
        ("Disabled", {"type": "FQDN", "destination": "pypi.org"}, "has no managed network"),
        ("AllowInternetOutbound", {"type": "FQDN", "destination": "pypi.org"}, "AllowOnlyApprovedOutbound"),
        ("AllowOnlyApprovedOutbound", {"type": "FQDN", "destination": "https://pypi.org"}, "is not a host name"),
        ("AllowOnlyApprovedOutbound", {"type": "PrivateEndpoint", "destination": {}}, "does not exist"),
    ],
)
def test_rules_without_a_valid_destination_are_refused(
    azure: AzureSession, group: str, mode: str, properties: dict[str, Any], message: str
) -> None:
    workspace, _ = _machine_learning(azure, group, mode)
    answer = azure.arm("PUT", f"{workspace}/outboundRules/rule", "2025-12-01", {"properties": properties})
    assert answer.status_code == 400 and message in answer.json()["error"]["message"]
