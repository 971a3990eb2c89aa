"""Resource types of Microsoft.Storage."""

from __future__ import annotations

from localcloud.core.context import Context
from localcloud.storage.arm import accounts, file_service


def register(ctx: Context) -> None:
    """Register the types and their operations."""
    accounts.register(ctx)
    file_service.register(ctx, accounts.API_VERSIONS)
