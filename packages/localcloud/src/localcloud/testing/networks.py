"""Bodies and paths that the tests of networks share."""

from __future__ import annotations

from typing import Any

from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, unique

NETWORK = "2024-05-01"
DNS = "2024-06-01"
REGION = "westeurope"


def path(group: str, type_: str, name: str) -> str:
    return f"{group}/providers/Microsoft.Network/{type_}/{name}"


def make_network(azure: AzureSession, group: str, *subnets: Json, space: str = "10.20.0.0/16") -> str:
    """Return the id of a virtual network with subnets."""
    id_ = path(group, "virtualNetworks", unique("vnet"))
    body = {
        "location": REGION,
        "properties": {"addressSpace": {"addressPrefixes": [space]}, "subnets": list(subnets)},
    }
    azure.put(id_, NETWORK, body)
    return id_


def subnet(name: str, prefix: str, **properties: Any) -> Json:
    return {"name": name, "properties": {"addressPrefix": prefix, **properties}}


def make_account(azure: AzureSession, group: str, **properties: Any) -> str:
    """Return the id of a storage account."""
    id_ = f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}"
    body = {"location": REGION, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": properties}
    azure.put(id_, "2024-01-01", body)
    return id_


def endpoint_body(subnet_id: str, target: str, group_id: str, **properties: Any) -> Json:
    connection = {"name": "link", "properties": {"privateLinkServiceId": target, "groupIds": [group_id]}}
    return {
        "location": REGION,
        "properties": {"subnet": {"id": subnet_id}, "privateLinkServiceConnections": [connection], **properties},
    }


def make_private_path(azure: AzureSession, group: str, subnet_id: str, target: str, group_id: str, zone: str) -> Json:
    """Endpoint, zone, link and zone group, as a stack declares them; their ids by name."""
    endpoint = path(group, "privateEndpoints", unique("pe"))
    zone_id = path(group, "privateDnsZones", zone)
    network = subnet_id.rsplit("/", 2)[0]
    azure.put(endpoint, NETWORK, endpoint_body(subnet_id, target, group_id))
    azure.put(zone_id, DNS, {"location": "global"})
    link = f"{zone_id}/virtualNetworkLinks/link"
    azure.put(
        link, DNS,
        {"location": "global", "properties": {"virtualNetwork": {"id": network}, "registrationEnabled": False}},
    )  # fmt: skip
    config = {"name": "zone", "properties": {"privateDnsZoneId": zone_id}}
    zone_group = f"{endpoint}/privateDnsZoneGroups/default"
    azure.put(zone_group, NETWORK, {"properties": {"privateDnsZoneConfigs": [config]}})
    return {"endpoint": endpoint, "zone": zone_id, "link": link, "zone_group": zone_group}
