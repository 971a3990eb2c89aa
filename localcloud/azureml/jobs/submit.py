"""Submission of a job: from ARM's PUT, and from what runs jobs on its own account, such as batch endpoints."""

from __future__ import annotations

from typing import Any

from localcloud.arm.store import Resource
from localcloud.core.context import Context, Principal
from localcloud.core.errors import not_emulated

Json = dict[str, Any]


async def submit(ctx: Context, workspace: Resource, name: str, body: Json, principal: Principal) -> Resource:
    """Check a JobBase body ({"properties": …}), keep it, and start it. Raises ServiceError to refuse."""
    raise not_emulated(f"job {name}")
