"""Access to a service that is closed to the internet: private endpoints, their DNS, and firewall rules.

On Azure a private path needs three things: an approved private endpoint for the sub-resource, a private DNS zone of
the right name with its record, and a link of that zone to the network of the caller. localcloud's callers are in the
network of the endpoint (docs/adr/0010), or in the network of LOCALCLOUD_CLIENT_NETWORK, which then has to be peered
with the endpoint's. With all three they are inside, without one of them they come from the internet, with the address
`client_address()`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from localcloud.arm import ids
from localcloud.core.context import Context
from localcloud.core.errors import ConfigurationError
from localcloud.core.resource import Resource

CONNECTIONS = "privateEndpointConnections"
VARIABLE = "LOCALCLOUD_CLIENT_ADDRESS"
NETWORK_VARIABLE = "LOCALCLOUD_CLIENT_NETWORK"
_DEFAULT_ADDRESS = "203.0.113.10"
"""Address of TEST-NET-3 (RFC 5737): public to every firewall, and unused."""
_ENDPOINT = "Microsoft.Network/privateEndpoints"
_ZONE_GROUP = f"{_ENDPOINT}/privateDnsZoneGroups"
_LINK = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
_PEERING = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings"


@dataclass(frozen=True)
class SubResource:
    """A group id of a target type, and the private DNS zones that its names resolve in."""

    group: str
    zones: tuple[str, ...]


# learn.microsoft.com/azure/private-link/private-endpoint-overview and private-endpoint-dns (public Azure).
SUB_RESOURCES: dict[str, tuple[SubResource, ...]] = {
    "microsoft.storage/storageaccounts": tuple(
        SubResource(kind, (f"privatelink.{kind}.core.windows.net",))
        for kind in ("blob", "dfs", "file", "queue", "table", "web")
    ),
    "microsoft.keyvault/vaults": (SubResource("vault", ("privatelink.vaultcore.azure.net",)),),
    "microsoft.containerregistry/registries": (SubResource("registry", ("privatelink.azurecr.io",)),),
    "microsoft.machinelearningservices/workspaces": (
        SubResource("amlworkspace", ("privatelink.api.azureml.ms", "privatelink.notebooks.azure.net")),
    ),
    "microsoft.machinelearningservices/registries": (SubResource("amlregistry", ("privatelink.api.azureml.ms",)),),
    "microsoft.databricks/workspaces": (
        SubResource("databricks_ui_api", ("privatelink.azuredatabricks.net",)),
        SubResource("browser_authentication", ("privatelink.azuredatabricks.net",)),
    ),
}


def client_address() -> str:
    """LOCALCLOUD_CLIENT_ADDRESS: the public address that firewalls see localcloud's callers come from.

    Raises ConfigurationError when it is not an IPv4 address.
    """
    text = os.environ.get(VARIABLE) or _DEFAULT_ADDRESS
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise ConfigurationError(f"{VARIABLE} is {text!r}: give one IPv4 address, such as 198.51.100.7.") from error


def client_network() -> str | None:
    """LOCALCLOUD_CLIENT_NETWORK: ARM id of the virtual network of localcloud's callers, such as a build agent's.

    It is None where it is not set: callers are in the network of each private endpoint. Raises ConfigurationError.
    """
    text = os.environ.get(NETWORK_VARIABLE)
    if not text:
        return None
    parsed = ids.parse(text)
    if parsed is None or parsed.type.lower() != "microsoft.network/virtualnetworks":
        raise ConfigurationError(f"{NETWORK_VARIABLE} is {text!r}: give the ARM id of a virtual network.")
    return parsed.key


def in_rules(address: str, rules: Iterable[object]) -> bool:
    """Whether one of a firewall's rules ([{"value": "203.0.113.0/24"}]) holds the address."""
    own = ipaddress.ip_address(address)
    values = (str(rule.get("value") or "") for rule in rules if isinstance(rule, dict))
    return any(own in ipaddress.ip_network(value, strict=False) for value in values if value)


def is_private(ctx: Context, target: Resource, group: str) -> bool:
    """Whether callers reach a sub-resource of `target` through an approved private endpoint, names included."""
    zones = next(
        (sub_resource.zones for sub_resource in SUB_RESOURCES[target.type.lower()] if sub_resource.group == group), ()
    )
    return any(
        _approved(connection, group) and _resolves(ctx, connection, zones)
        for connection in ctx.resources.children(target.id, f"{target.type}/{CONNECTIONS}")
    )


def has_endpoint(ctx: Context, target: Resource, group: str) -> bool:
    """Whether an approved private endpoint in a customer's own network leads to a sub-resource, even without names."""
    for connection in ctx.resources.children(target.id, f"{target.type}/{CONNECTIONS}"):
        endpoint = ctx.resources.get(connection.properties["privateEndpoint"]["id"])
        if _approved(connection, group) and endpoint is not None and "subnet" in endpoint.properties:
            return True
    return False


def is_closed(target: Resource) -> bool:
    """Whether a target's public network access is off altogether."""
    return str(target.properties.get("publicNetworkAccess", "")).lower() == "disabled"


def show_connections(ctx: Context, target: Resource, body: dict[str, Any]) -> None:
    """Put a target's connections into its body, as every service with private link shows them."""
    if target.type.lower() in SUB_RESOURCES and isinstance(body.get("properties"), dict):
        connections = ctx.resources.children(target.id, f"{target.type}/{CONNECTIONS}")
        body["properties"][CONNECTIONS] = [connection.to_json() for connection in connections]


def _approved(connection: Resource, group: str) -> bool:
    state = connection.properties["privateLinkServiceConnectionState"]["status"]
    return state == "Approved" and group in connection.properties["groupIds"]


def _resolves(ctx: Context, connection: Resource, zones: tuple[str, ...]) -> bool:
    endpoint = ctx.resources.get(connection.properties["privateEndpoint"]["id"])
    if endpoint is None or "subnet" not in endpoint.properties:
        return False  # of Azure ML's managed network: a way in for its jobs only
    network = endpoint.properties["subnet"]["id"].rsplit("/", 2)[0].lower()
    home = client_network() or network
    if home != network and not _peered(ctx, home, network):
        return False
    names = set()
    for group in ctx.resources.children(endpoint.id, _ZONE_GROUP):
        for config in group.properties.get("privateDnsZoneConfigs") or []:
            zone = str(config["properties"]["privateDnsZoneId"])
            links = ctx.resources.children(zone, _LINK)
            if any(str(link.properties["virtualNetwork"]["id"]).lower() == home for link in links):
                names.add(zone.rsplit("/", 1)[-1].lower())
    return set(zones) <= names


def _peered(ctx: Context, network: str, other: str) -> bool:
    """Whether two virtual networks are peered in both directions, which lets packets flow."""

    def peers(id_: str) -> set[str]:
        return {
            str(peering.properties["remoteVirtualNetwork"]["id"]).lower()
            for peering in ctx.resources.children(id_, _PEERING)
            if peering.properties.get("allowVirtualNetworkAccess")
        }

    return other in peers(network) and network in peers(other)


def refused(ctx: Context, target: Resource, group: str) -> bool:
    """Whether the target's public access and firewall keep localcloud's callers out.

    Each service writes its own error. Azure ML has its rules in ipAllowlist, a container registry in networkRuleSet,
    the others in networkAcls.
    """
    properties = target.properties
    acls = properties.get("networkAcls") or properties.get("networkRuleSet") or {}
    disabled = is_closed(target)
    rules = [*(acls.get("ipRules") or []), *({"value": address} for address in properties.get("ipAllowlist") or [])]
    closed = disabled or acls.get("defaultAction") == "Deny" or bool(properties.get("ipAllowlist"))
    if not closed or is_private(ctx, target, group):
        return False
    return disabled or not in_rules(client_address(), rules)
