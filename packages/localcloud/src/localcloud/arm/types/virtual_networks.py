"""Microsoft.Network/virtualNetworks and their subnets.

Error codes and texts: MicrosoftDocs/azure-docs (common-deployment-errors), hashicorp/terraform-provider-azurerm and
Azure/azure-cli issue threads that quote the service.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from localcloud.arm import resource_types
from localcloud.arm.resource_types import Call, ResourceType
from localcloud.arm.types import addresses
from localcloud.arm.types.gateways import NAT_GATEWAY, ROUTE_TABLE
from localcloud.arm.types.network_common import (
    NAME,
    VERSIONS,
    bad_request,
    etag,
    inline_children,
    reference,
    refers_to,
    render_child,
    sync_children,
)
from localcloud.arm.types.security_groups import SECURITY_GROUP
from localcloud.core.context import Context
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

VIRTUAL_NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET = f"{VIRTUAL_NETWORK}/subnets"
PEERING = f"{VIRTUAL_NETWORK}/virtualNetworkPeerings"
NETWORK_INTERFACE = "Microsoft.Network/networkInterfaces"
PRIVATE_ENDPOINT = "Microsoft.Network/privateEndpoints"
DATABRICKS = "Microsoft.Databricks/workspaces"
_DELEGATIONS = (
    "Microsoft.Databricks/workspaces", "Microsoft.Web/serverFarms", "Microsoft.ContainerInstance/containerGroups",
    "Microsoft.Netapp/volumes", "Microsoft.Sql/managedInstances", "Microsoft.Batch/batchAccounts",
    "Microsoft.MachineLearningServices/workspaces", "Microsoft.App/environments",
    "Microsoft.DBforPostgreSQL/flexibleServers", "Microsoft.DBforMySQL/flexibleServers",
    "Microsoft.Network/dnsResolvers", "Microsoft.DevOpsInfrastructure/pools",
)  # fmt: skip
_REFERENCES = {"networkSecurityGroup": SECURITY_GROUP, "natGateway": NAT_GATEWAY, "routeTable": ROUTE_TABLE}
PEERING_FLAGS: Json = {
    "allowVirtualNetworkAccess": True,
    "allowForwardedTraffic": False,
    "allowGatewayTransit": False,
    "useRemoteGateways": False,
    "doNotVerifyRemoteGateways": False,
    "peerCompleteVnets": True,
}
"""A peering's settings, with the service's defaults for omitted ones."""
PEERING_READ_ONLY = ("peeringState", "peeringSyncLevel", "remoteAddressSpace", "remoteVirtualNetworkAddressSpace")
_SMALLEST_IPV4 = 29
"""A /29 leaves three usable addresses: Azure keeps five of every subnet."""


def prefixes_of(subnet: Resource) -> list[addresses.Network]:
    texts = subnet.properties.get("addressPrefixes") or [subnet.properties.get("addressPrefix")]
    return [addresses.prefix(text, subnet.id) for text in texts if text]


def network_of(ctx: Context, subnet_id: str) -> Resource | None:
    """Return the virtual network that a subnet's id names."""
    return ctx.resources.get(subnet_id.rsplit("/", 2)[0])


def users_of_subnet(ctx: Context, subnet_id: str) -> list[str]:
    """Return the ids of resources in a subnet: network interfaces, Databricks workspaces, compute clusters."""
    subnet_key = subnet_id.lower()
    users = [
        configuration["id"]
        for nic in ctx.resources.list(NETWORK_INTERFACE)
        for configuration in nic.properties.get("ipConfigurations") or []
        if refers_to(configuration["properties"].get("subnet"), subnet_key)
    ]
    for workspace in ctx.resources.list(DATABRICKS):
        if subnet_key in {id_.lower() for id_ in databricks_subnets(workspace)}:
            users.append(workspace.id)
    for compute in ctx.resources.list("Microsoft.MachineLearningServices/workspaces/computes"):
        if refers_to((compute.properties.get("properties") or {}).get("subnet"), subnet_key):
            users.append(compute.id)
    return users


def databricks_subnets(workspace: Resource) -> list[str]:
    """Ids of the two subnets of a workspace in its own network; empty without VNet injection."""
    parameters = workspace.properties.get("parameters") or {}
    names = ("customVirtualNetworkId", "customPublicSubnetName", "customPrivateSubnetName")
    network, *subnets = (str((parameters.get(name) or {}).get("value") or "") for name in names)
    return [f"{network}/subnets/{name}" for name in subnets if network and name]


def spaces_of(network: Resource) -> list[addresses.Network]:
    """Return the address prefixes of a virtual network."""
    space = network.properties.get("addressSpace") or {}
    return [addresses.prefix(text, network.id) for text in space.get("addressPrefixes") or []]


def _complete_network(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check prefixes and subnets; unmentioned subnets stay. Raises ServiceError 400 where they do not fit."""
    properties = resource.properties
    spaces = spaces_of(resource)
    if not spaces and not properties.get("addressSpace", {}).get("ipamPoolPrefixAllocations"):
        raise bad_request(
            "InvalidRequestFormat", f"Virtual network {resource.name} needs at least one prefix in addressSpace."
        )
    for index, space in enumerate(spaces):
        if overlap := addresses.overlapping([space], spaces[:index]):
            raise bad_request(
                "VnetAddressPrefixesOverlap",
                f"Address prefixes {overlap[0]} and {overlap[1]} of virtual network {resource.id} overlap.",
            )
    inline = inline_children(resource, "subnets", SUBNET)
    present = ctx.resources.children(resource.id, SUBNET)
    if inline is not None:
        for index, subnet in enumerate(inline):
            before = next((candidate for candidate in present if candidate.name.lower() == subnet.name.lower()), None)
            _check_subnet(ctx, subnet, before, spaces, inline[:index], resource.location)
        names = {candidate.name.lower() for candidate in inline}
        for dropped in (candidate for candidate in present if candidate.name.lower() not in names):
            check_unused(ctx, dropped)
        resource.private["subnets"] = [
            {"name": candidate.name, "properties": candidate.properties} for candidate in inline
        ]
    else:
        for subnet in present:
            _check_place(subnet, spaces, [])
    properties.setdefault("enableDdosProtection", False)
    _check_inline_peerings(ctx, resource)
    properties["resourceGuid"] = existing.properties["resourceGuid"] if existing is not None else str(uuid.uuid4())
    resource.system_data = None


def _check_inline_peerings(ctx: Context, resource: Resource) -> None:
    """Accept a list that changes nothing, since clients send back the list that they read. Raises ServiceError 501."""
    inline = resource.properties.pop("virtualNetworkPeerings", None)
    if inline is None:
        return
    change = f"a change of virtualNetworkPeerings in the body of {resource.id}"
    present = {peering.name.lower(): peering for peering in ctx.resources.children(resource.id, PEERING)}
    if sorted(str(peering.get("name")).lower() for peering in inline) != sorted(present):
        raise not_emulated(f"{change}: put each peering itself")
    for peering in inline:
        name = str(peering["name"])
        if _peering_settings(peering.get("properties") or {}) != _peering_settings(present[name.lower()].properties):
            raise not_emulated(f"{change}: {name} differs, put the peering itself")


def _peering_settings(properties: Json) -> Json:
    """Return a client's settings of a peering, with defaults for missing ones and the remote's id in lower case.

    Ids compare case-insensitively in ARM.
    """
    skipped = {*PEERING_READ_ONLY, "provisioningState", "resourceGuid"}
    settings = {key: value for key, value in properties.items() if key not in skipped and value is not None}
    remote = (settings.get("remoteVirtualNetwork") or {}).get("id")
    return PEERING_FLAGS | settings | {"remoteVirtualNetwork": str(remote).lower()}


async def _put_network(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    bodies = resource.private.pop("subnets", None)
    if bodies is not None:
        sync_children(ctx, resource, SUBNET, "subnets", bodies)


def _render_network(ctx: Context, resource: Resource) -> Json:
    body = resource.to_json()
    body["etag"] = etag(resource)
    subnets = [_render_subnet(ctx, child) for child in ctx.resources.children(resource.id, SUBNET)]
    body["properties"]["subnets"] = subnets
    body["properties"]["virtualNetworkPeerings"] = []
    peering = resource_types.of(ctx).get(PEERING)
    for child in ctx.resources.children(resource.id, PEERING):
        shown_peering = child.to_json() if peering is None or peering.render is None else peering.render(ctx, child)
        body["properties"]["virtualNetworkPeerings"].append(shown_peering)
    return body


def _check_network_unused(ctx: Context, resource: Resource) -> None:
    for subnet in ctx.resources.children(resource.id, SUBNET):
        check_unused(ctx, subnet)


def _complete_subnet(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    network = network_of(ctx, resource.id)
    if network is None:
        raise ValueError(f"{resource.id!r} has no virtual network")
    others = [
        sibling for sibling in ctx.resources.children(network.id, SUBNET) if sibling.id.lower() != resource.id.lower()
    ]
    _check_subnet(ctx, resource, existing, spaces_of(network), others, network.location)
    resource.system_data = None


def _check_subnet(
    ctx: Context,
    subnet: Resource,
    before: Resource | None,
    spaces: Sequence[addresses.Network],
    others: Sequence[Resource],
    location: str | None,
) -> None:
    """Check the properties of one subnet; set defaults of omitted ones."""
    properties = subnet.properties
    if not properties.get("addressPrefix") and not properties.get("addressPrefixes"):
        raise bad_request("NoAddressPrefixOrPoolProvided", f"No address prefix or pool for subnet {subnet.id}.")
    _check_place(subnet, spaces, others)
    for key, type_ in (
        ("networkSecurityGroup", SECURITY_GROUP),
        ("natGateway", NAT_GATEWAY),
        ("routeTable", ROUTE_TABLE),
    ):
        target = reference(ctx, subnet, properties.get(key), type_)
        if target is not None:
            if target.location != location:
                raise bad_request(
                    "InvalidResourceReference",
                    f"Resource {target.id} referenced by resource {subnet.id} is in region {target.location}, the "
                    f"virtual network in {location}. Please make sure that both resources are in the same region.",
                )
            properties[key] = {"id": target.id}
        else:
            properties.pop(key, None)
    properties["delegations"] = _delegations(subnet)
    _check_change(ctx, subnet, before)
    properties.setdefault("privateEndpointNetworkPolicies", "Disabled")
    properties.setdefault("privateLinkServiceNetworkPolicies", "Enabled")
    for service in properties.get("serviceEndpoints") or []:
        service["provisioningState"] = "Succeeded"
    for key in ("ipConfigurations", "privateEndpoints", "purpose"):
        properties.pop(key, None)


def _check_place(subnet: Resource, spaces: Sequence[addresses.Network], others: Sequence[Resource]) -> None:
    """Check a range. Raises 400 NetcfgSubnetRangeOutsideVnet, NetcfgSubnetRangesOverlap, NetcfgInvalidSubnet."""
    network = subnet.id.split("/")[8]
    own = prefixes_of(subnet)
    if not all(addresses.inside(prefix, spaces) for prefix in own):
        raise bad_request(
            "NetcfgSubnetRangeOutsideVnet",
            f"Subnet '{subnet.name}' is not valid because its IP address range is outside the IP address range of "
            f"virtual network '{network}'.",
        )
    for other in others:
        if addresses.overlapping(own, prefixes_of(other)):
            raise bad_request(
                "NetcfgSubnetRangesOverlap",
                f"Subnet '{subnet.name}' is not valid because its IP address range overlaps with that of an existing "
                f"subnet in virtual network '{network}'.",
            )
    if any(prefix.version == 4 and prefix.prefixlen > _SMALLEST_IPV4 for prefix in own):
        raise bad_request("NetcfgInvalidSubnet", f"Subnet '{subnet.name}' is not valid in virtual network '{network}'.")


def _delegations(subnet: Resource) -> list[Json]:
    result = []
    for delegation in subnet.properties.get("delegations") or []:
        id_ = f"{subnet.id}/delegations/{delegation.get('name')}"
        service = str((delegation.get("properties") or {}).get("serviceName") or "")
        known = {name.lower(): name for name in _DELEGATIONS}
        if service.lower() not in known:
            raise bad_request(
                "InvalidServiceNameOnDelegation",
                f"The service name {service} specified on delegation {id_} is not valid. Valid value(s) are: "
                f"{','.join(_DELEGATIONS)}.",
            )
        result.append(
            {
                "name": delegation.get("name"),
                "id": id_,
                "properties": {
                    "provisioningState": "Succeeded",
                    "serviceName": known[service.lower()],
                    "actions": ["Microsoft.Network/virtualNetworks/subnets/join/action"],
                },
                "type": f"{SUBNET}/delegations",
            }
        )
    if len(result) > 1:
        raise bad_request("SubnetCannotHaveMultipleDelegations", f"Subnet {subnet.id} has more than one delegation.")
    return result


def services_of(subnet: Resource) -> list[str]:
    """Names of the services that a subnet is delegated to."""
    return [delegation["properties"]["serviceName"] for delegation in subnet.properties.get("delegations") or []]


def _check_change(ctx: Context, subnet: Resource, before: Resource | None) -> None:
    """Refuse changes that the resources in the subnet do not allow."""
    if before is None:
        return
    users = users_of_subnet(ctx, subnet.id)
    if not users:
        return
    if prefixes_of(before) != prefixes_of(subnet):
        raise bad_request(
            "InUseSubnetCannotBeUpdated", f"Subnet {subnet.name} is in use and cannot be updated: {users[0]} is in it."
        )
    if services_of(before) != services_of(subnet):
        raise bad_request(
            "SubnetDelegationsCannotChangeWhenSubnetUsedByResource",
            f"Delegations of subnet {subnet.id} cannot be changed from [{', '.join(services_of(before))}] to "
            f"[{', '.join(services_of(subnet))}] because it is being used by the resource {users[0]}.",
        )
    injected = any(DATABRICKS.lower() in user.lower() for user in users)
    if injected and before.properties.get("networkSecurityGroup") and not subnet.properties.get("networkSecurityGroup"):
        raise bad_request(
            "NetworkSecurityGroupCannotBeRemovedDueToNipOnSubnet",
            f"Network security group of subnet {subnet.id} cannot be removed: a network intent policy of {users[0]} "
            "needs it.",
        )


def check_unused(ctx: Context, subnet: Resource) -> None:
    """Refuse to delete a subnet in use. Raises ServiceError 400 InUseSubnetCannotBeDeleted."""
    users = users_of_subnet(ctx, subnet.id)
    if users:
        raise bad_request(
            "InUseSubnetCannotBeDeleted",
            f"Subnet {subnet.name} is in use by {', '.join(users)} and cannot be deleted. In order to delete the "
            "subnet, delete all the resources within the subnet. See aka.ms/deletesubnet.",
        )


def _render_subnet(ctx: Context, resource: Resource) -> Json:
    body = render_child(resource)
    endpoints = [
        user for user in ctx.resources.list(PRIVATE_ENDPOINT) if refers_to(user.properties["subnet"], resource.id)
    ]
    if endpoints:
        body["properties"]["privateEndpoints"] = [{"id": user.id} for user in endpoints]
        body["properties"]["purpose"] = "PrivateEndpoints"
    configurations = [user for user in users_of_subnet(ctx, resource.id) if "/ipConfigurations/" in user]
    if configurations:
        body["properties"]["ipConfigurations"] = [{"id": user} for user in configurations]
    return body


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=VIRTUAL_NETWORK,
            api_versions=VERSIONS,
            name=NAME,
            tracked=True,
            required=("properties.addressSpace",),
            complete=_complete_network,
            on_put=_put_network,
            check_delete=_check_network_unused,
            render=_render_network,
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type=SUBNET,
            api_versions=VERSIONS,
            name=NAME,
            complete=_complete_subnet,
            check_delete=check_unused,
            render=_render_subnet,
            long_running=frozenset({"put", "delete"}),
        ),
    )
