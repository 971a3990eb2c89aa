"""Managed identities of resources: the `identity` block of a body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import TENANT_ID

if TYPE_CHECKING:
    from localcloud.core.context import Context


USER_ASSIGNED = "Microsoft.ManagedIdentity/userAssignedIdentities"


def kinds(identity: Json | None) -> set[str]:
    """{"systemassigned", "userassigned"} of an identity block, in lower case."""
    text = str((identity or {}).get("type") or "None")
    return {part.strip().lower() for part in text.split(",")} - {"none", ""}


def complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Make, keep or drop the system-assigned principal, and show the ids of user-assigned ones.

    Raises ServiceError 400 for an unknown kind or a user-assigned identity that does not exist.
    """
    wanted = kinds(resource.identity)
    if unknown := wanted - {"systemassigned", "userassigned"}:
        raise ServiceError(
            400,
            "InvalidIdentityType",
            f"The identity type '{', '.join(sorted(unknown))}' is not valid for '{resource.id}'. Use 'None', "
            "'SystemAssigned', 'UserAssigned' or 'SystemAssigned,UserAssigned'.",
        )
    before = existing.identity if existing is not None else None
    if resource.identity is None or not wanted:
        _drop_system(ctx, before)
        return
    block: Json = {"type": resource.identity["type"]}
    if "systemassigned" in wanted:
        principal_id = (before or {}).get("principalId")
        if principal_id is None:
            principal_id = ctx.identities.create_principal(resource.name, kind="ServicePrincipal").object_id
        block |= {"principalId": principal_id, "tenantId": TENANT_ID}
    else:
        _drop_system(ctx, before)
    if "userassigned" in wanted:
        block["userAssignedIdentities"] = _user_assigned(ctx, resource)
    resource.identity = block


def forget(ctx: Context, resource: Resource) -> None:
    """Delete the system-assigned principal of a resource that is being deleted."""
    _drop_system(ctx, resource.identity)


def _drop_system(ctx: Context, identity: Json | None) -> None:
    if "systemassigned" in kinds(identity) and identity is not None and identity.get("principalId"):
        ctx.identities.delete_principal(identity["principalId"])


def _user_assigned(ctx: Context, resource: Resource) -> Json:
    named = (resource.identity or {}).get("userAssignedIdentities") or {}
    if not named:
        raise ServiceError(
            400,
            "InvalidIdentityValues",
            f"The identity type 'UserAssigned' of '{resource.id}' needs at least one id in 'userAssignedIdentities'.",
        )
    result: Json = {}
    for id_ in named:
        identity = ctx.resources.get(id_)
        if identity is None or identity.type.lower() != USER_ASSIGNED.lower():
            raise ServiceError(
                400,
                "FailedIdentityOperation",
                f"Identity operation for resource '{resource.id}' failed with error 'Failed to perform resource "
                f"identity operation. The user assigned identity '{id_}' was not found.'.",
            )
        result[id_] = {"principalId": identity.properties["principalId"], "clientId": identity.properties["clientId"]}
    return result
