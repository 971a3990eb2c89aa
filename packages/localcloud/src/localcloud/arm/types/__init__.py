"""One module per resource provider or part of one; each registers its types."""

from __future__ import annotations

from localcloud.arm import authorization, subscriptions, tags
from localcloud.arm.deployments import types as deployments
from localcloud.arm.types import (
    alerts,
    budgets,
    databricks,
    dns_zone_groups,
    gateways,
    identities,
    keyvault,
    keyvault_keys,
    keyvault_secrets,
    monitor,
    network_peerings,
    private_dns,
    private_endpoints,
    registries,
    resource_groups,
    security_groups,
    storage,
    virtual_networks,
)
from localcloud.core.context import Context

_MODULES = (
    resource_groups, tags, deployments, authorization, storage, keyvault, keyvault_keys, keyvault_secrets, monitor,
    alerts, budgets, registries, identities, databricks, gateways, security_groups, virtual_networks,
    network_peerings, private_dns, private_endpoints, dns_zone_groups,
)  # fmt: skip


def register_all(ctx: Context) -> None:
    """Everything that ARM itself brings. Microsoft.MachineLearningServices is registered by localcloud.azureml."""
    subscriptions.register(ctx)
    for module in _MODULES:
        module.register(ctx)
