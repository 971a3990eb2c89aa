"""One module per resource provider; each registers its types."""

from __future__ import annotations

from localcloud.arm import authorization, subscriptions
from localcloud.arm.types import databricks, identities, keyvault, monitor, registries, resource_groups, storage
from localcloud.core.context import Context


def register_all(ctx: Context) -> None:
    """Everything that ARM itself brings. Microsoft.MachineLearningServices is registered by localcloud.azureml."""
    subscriptions.register(ctx)
    for module in (resource_groups, authorization, storage, keyvault, monitor, registries, identities, databricks):
        module.register(ctx)
