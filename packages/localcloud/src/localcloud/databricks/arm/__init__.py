"""Resource types of Microsoft.Databricks."""

from __future__ import annotations

from localcloud.core.context import Context
from localcloud.databricks.arm import workspaces


def register(ctx: Context) -> None:
    """Register the types and their operations."""
    workspaces.register(ctx)
