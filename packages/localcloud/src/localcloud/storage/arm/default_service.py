"""A service of a storage account as an ARM resource: one of each kind is there from the start, named 'default'."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from localcloud.arm.exclusive import parent_of
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.resource import Resource

Read = Callable[[Context, str], Awaitable[Resource | None]]
Complete = Callable[[Context, Resource, Resource | None], None]


def default_service(
    type_: str, kind: str, api_versions: tuple[str, ...], *, read: Read, complete: Complete
) -> ResourceType:
    """Return the type of a service of a `kind`, such as blob. `read` shows Azure's defaults until it is set."""
    segment = type_.rsplit("/", 1)[-1]

    async def list_in(ctx: Context, parent: str, call: Call) -> list[Resource]:
        service = await read(ctx, f"{parent}/{segment}/default")
        return [] if service is None else [service]

    return ResourceType(
        type=type_,
        api_versions=api_versions,
        name=NameRule("default", f"The {kind} service is named 'default', not '{{name}}'."),
        complete=complete,
        on_put=_put,
        read=read,
        list_in=list_in,
        locks=parent_of(1),
        create_status=200,
        provisioning_state=False,
    )


async def _put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    ctx.resources.put(resource)
