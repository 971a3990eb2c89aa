"""Address prefixes, with the checks of Microsoft.Network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from localcloud.core.errors import ServiceError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

RESERVED = 5
"""Addresses of every subnet that Azure keeps: network, gateway, two for DNS, broadcast."""


def prefix(text: object, resource_id: str) -> Network:
    """Parse a CIDR block. Raises ServiceError 400 InvalidAddressPrefixFormat, InvalidCIDRNotation."""
    try:
        loose = ipaddress.ip_network(str(text), strict=False)
    except ValueError as error:
        raise ServiceError(
            400,
            "InvalidAddressPrefixFormat",
            f"Address prefix {text} of resource {resource_id} is not formatted correctly. It should follow CIDR "
            "notation, for example 10.0.0.0/24.",
        ) from error
    if loose.network_address != ipaddress.ip_address(str(text).split("/")[0]):
        raise ServiceError(
            400,
            "InvalidCIDRNotation",
            f"The address prefix {text} in resource {resource_id} has an invalid CIDR notation. For the given prefix "
            f"length, the address prefix should be {loose}.",
        )
    return loose


def overlapping(networks: Iterable[Network], others: Iterable[Network]) -> tuple[Network, Network] | None:
    """Return the first pair that shares an address."""
    second = list(others)
    return next((pair for pair in ((a, b) for a in networks for b in second) if pair[0].overlaps(pair[1])), None)


def inside(network: Network, spaces: Iterable[Network]) -> bool:
    """Whether one of `spaces` holds all of `network`."""
    return any(
        space.version == network.version
        and int(space.network_address) <= int(network.network_address)
        and int(network.broadcast_address) <= int(space.broadcast_address)
        for space in spaces
    )


def free_address(networks: Iterable[Network], used: set[str]) -> str | None:
    """Return the lowest free IPv4 address, None when the subnet is full."""
    for network in networks:
        if isinstance(network, ipaddress.IPv4Network):
            first = int(network.network_address) + RESERVED - 1
            for value in range(first, int(network.broadcast_address)):
                if str(ipaddress.IPv4Address(value)) not in used:
                    return str(ipaddress.IPv4Address(value))
    return None
