"""Microsoft.Network/virtualNetworks/virtualNetworkPeerings: one direction of a peering each.

States: a single direction is Initiated, both are Connected, and the remaining one is Disconnected after the other is
deleted (learn.microsoft.com/azure/virtual-network/virtual-network-manage-peering). Codes and texts of overlapping
address spaces: Azure/ResourceModules#731, microsoft/AzureTRE#4641.
"""

from __future__ import annotations

from localcloud.arm.resource_types import Call, ResourceType
from localcloud.arm.types import addresses
from localcloud.arm.types.network_common import NAME, VERSIONS, bad_request, etag, reference, refers_to
from localcloud.arm.types.virtual_networks import (
    PEERING,
    PEERING_FLAGS,
    PEERING_READ_ONLY,
    VIRTUAL_NETWORK,
    network_of,
    spaces_of,
)
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_MORE = "For more information please refer to https://aka.ms/VnetPeeringInfo"


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check the remote network. Raises ServiceError 400 when it does not exist, is peered already or overlaps."""
    properties = resource.properties
    own = network_of(ctx, resource.id)
    if own is None:
        raise ValueError(f"{resource.id!r} has no virtual network")
    remote = reference(ctx, resource, properties.get("remoteVirtualNetwork"), VIRTUAL_NETWORK)
    if remote is None:
        raise bad_request("InvalidRequestFormat", f"Peering {resource.id} names no remote virtual network.")
    if remote.id.lower() == own.id.lower():
        raise bad_request("InvalidRequestFormat", f"Virtual network {own.id} cannot be peered with itself.")
    if existing is not None and not refers_to(existing.properties["remoteVirtualNetwork"], remote.id):
        raise bad_request(
            "ChangingRemoteVnetNotAllowed",
            f"Changing the remote virtual network of peering {resource.id} is not allowed: delete it and make another.",
        )
    _check_other_peerings(ctx, resource, own, remote)
    _check_overlap(ctx, resource, own, remote)
    properties["remoteVirtualNetwork"] = {"id": remote.id}
    for key, default in PEERING_FLAGS.items():
        if properties.get(key) is None:
            properties[key] = default
    for key in PEERING_READ_ONLY:
        properties.pop(key, None)
    resource.system_data = None


def _check_other_peerings(ctx: Context, resource: Resource, own: Resource, remote: Resource) -> None:
    for other in ctx.resources.children(own.id, PEERING):
        if other.id.lower() != resource.id.lower() and refers_to(other.properties["remoteVirtualNetwork"], remote.id):
            raise bad_request(
                "AnotherPeeringAlreadyReferencesRemoteVnet",
                f"Peering {resource.id} cannot be created because another peering {other.id} already references remote "
                f"virtual network {remote.id}.",
            )


def _check_overlap(ctx: Context, resource: Resource, own: Resource, remote: Resource) -> None:
    """Refuse overlapping address spaces: of the two networks, and of all networks that are peered with one of them."""
    begin = f"Cannot create or update peering {resource.id}. Virtual networks {own.id} and {remote.id} cannot be peered"
    pair = addresses.overlapping(spaces_of(own), spaces_of(remote))
    if pair is not None:
        raise bad_request(
            "VnetAddressSpacesOverlap",
            f"{begin} because their address spaces overlap. Overlapping address prefixes: {pair[0]}, {pair[1]}. "
            f"{_MORE}",
        )
    for side, network, partner in (("first", own, remote), ("second", remote, own)):
        for other in _peered_with(ctx, partner):
            pair = addresses.overlapping(spaces_of(network), spaces_of(other))
            if other.id.lower() == network.id.lower() or pair is None:
                continue
            raise bad_request(
                "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
                f"{begin} because address space of the {side} virtual network overlaps with address space of virtual "
                f"network {other.id} already peered with the {'second' if side == 'first' else 'first'} virtual "
                f"network. Overlapping address prefixes: {pair[1]}. {_MORE}",
            )


def _peered_with(ctx: Context, network: Resource) -> list[Resource]:
    ids = [peer.properties["remoteVirtualNetwork"]["id"] for peer in ctx.resources.children(network.id, PEERING)]
    networks = [ctx.resources.get(id_) for id_ in ids]
    return [peer for peer in networks if peer is not None]


def _reverse(ctx: Context, peering: Resource) -> Resource | None:
    """Return the peering of the other direction."""
    own = network_of(ctx, peering.id)
    remote = peering.properties["remoteVirtualNetwork"]["id"]
    candidates = [] if own is None else ctx.resources.children(remote, PEERING)
    return next(
        (
            candidate
            for candidate in candidates
            if own and refers_to(candidate.properties["remoteVirtualNetwork"], own.id)
        ),
        None,
    )


async def _put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Join both directions. Raises ServiceError 403 LinkedAuthorizationFailed without a right on the remote network.

    The right: learn.microsoft.com/azure/virtual-network/virtual-network-manage-peering#permissions.
    """
    remote = resource.properties["remoteVirtualNetwork"]["id"]
    if not ctx.authorizer.allows(call.principal, f"{VIRTUAL_NETWORK}/peer/action", remote):
        raise ServiceError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}' has permission to "
            f"perform action '{PEERING}/write' on scope '{resource.id}'; however, it does not have permission to "
            f"perform action(s) '{VIRTUAL_NETWORK}/peer/action' on the linked scope(s) '{remote}' (respectively) or "
            "the linked scope(s) are invalid.",
        )
    reverse = _reverse(ctx, resource)
    if reverse is not None:
        reverse.private["connected"] = resource.private["connected"] = True
        ctx.resources.put(reverse)


def render_peering(ctx: Context, resource: Resource) -> Json:
    body = resource.to_json()
    body["etag"] = etag(resource)
    remote = ctx.resources.get(resource.properties["remoteVirtualNetwork"]["id"])
    joined = bool(resource.private.get("connected"))
    state = "Connected" if joined and _reverse(ctx, resource) is not None else "Disconnected" if joined else "Initiated"
    spaces = [] if remote is None else (remote.properties.get("addressSpace") or {}).get("addressPrefixes") or []
    body["properties"] |= {
        "peeringState": state,
        "peeringSyncLevel": {"Connected": "FullyInSync", "Initiated": "RemoteNotInSync"}.get(
            state, "LocalAndRemoteNotInSync"
        ),
        "remoteAddressSpace": {"addressPrefixes": spaces},
        "remoteVirtualNetworkAddressSpace": {"addressPrefixes": spaces},
    }
    return body


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=PEERING,
            api_versions=VERSIONS,
            name=NAME,
            complete=_complete,
            on_put=_put,
            render=render_peering,
            long_running=frozenset({"put", "delete"}),
        )
    )
