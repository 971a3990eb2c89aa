"""Resource types of Microsoft.KeyVault."""

from __future__ import annotations

from localcloud.core.context import Context
from localcloud.keyvault.arm import keys, secrets, vaults


def register(ctx: Context) -> None:
    """Register the types and their operations."""
    vaults.register(ctx)
    keys.register(ctx)
    secrets.register(ctx)
