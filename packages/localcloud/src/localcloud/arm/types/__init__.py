"""Modules for resource providers or parts of them; each registers its types."""

from __future__ import annotations

from localcloud.arm import authorization, features, subscriptions, tags
from localcloud.arm.deployments import types as deployments
from localcloud.arm.types import (
    alerts,
    budgets,
    dns_zone_groups,
    gateways,
    identities,
    monitor,
    network_peerings,
    private_dns,
    private_endpoints,
    registries,
    resource_groups,
    security_groups,
    virtual_networks,
)
from localcloud.core.context import Context

_MODULES = (
    resource_groups, tags, features, deployments, authorization, monitor,
    alerts, budgets, registries, identities, gateways, security_groups, virtual_networks,
    network_peerings, private_dns, private_endpoints, dns_zone_groups,
)  # fmt: skip


def register_all(ctx: Context) -> None:
    """Register the types without a service of localcloud; each service registers its own types."""
    subscriptions.register(ctx)
    for module in _MODULES:
        module.register(ctx)
