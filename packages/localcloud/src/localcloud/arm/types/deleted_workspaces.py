"""Deleted Log Analytics workspaces: recoverable for 14 days by creating them again, unless deleted with force.

Source: learn.microsoft.com/azure/azure-monitor/logs/delete-workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from localcloud.arm import ids
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID

_TYPE = "Microsoft.OperationalInsights/deletedWorkspaces"
_KEPT = timedelta(days=14)
_VERSIONS = ("2020-08-01", "2020-10-01", "2021-06-01", "2021-12-01-preview", "2022-10-01", "2023-09-01", "2025-02-01",
             "2025-07-01")  # fmt: skip


def _id(workspace: Resource) -> str:
    rid = ids.parse(workspace.id)
    group = "" if rid is None else rid.resource_group
    # A group and a workspace of it have no comma in their names: the pair is one segment.
    return f"/subscriptions/{SUBSCRIPTION_ID}/providers/{_TYPE}/{group},{workspace.name}"


def keep(ctx: Context, workspace: Resource, call: Call) -> None:
    """Remember a workspace that is being deleted; forget it where the deletion has force=true."""
    if call.query.get("force", "").lower() == "true":
        ctx.resources.delete(_id(workspace))
        return
    private = {"deleted": datetime.now(UTC).isoformat(), "body": workspace.to_json(), "keys": workspace.private["keys"]}
    ctx.resources.put(Resource(id=_id(workspace), type=_TYPE, name=workspace.name, private=private))


def recoverable(ctx: Context, workspace: Resource) -> Resource | None:
    """Return the deleted workspace of the same name and resource group."""
    deleted = ctx.resources.get(_id(workspace))
    return deleted if deleted is not None and _is_kept(deleted) else None


def forget(ctx: Context, workspace: Resource) -> None:
    """Drop the record of a workspace that exists again."""
    ctx.resources.delete(_id(workspace))


def _is_kept(deleted: Resource) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(deleted.private["deleted"]) < _KEPT


async def _list(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    group = parameters.get("group", "").lower()
    workspaces = []
    for deleted in ctx.resources.list(_TYPE):
        rid = ids.parse(str(deleted.private["body"]["id"]))
        if _is_kept(deleted) and rid is not None and group in {"", rid.resource_group.lower()}:
            workspaces.append(deleted.private["body"])
    return {"value": workspaces}


def register(ctx: Context) -> None:
    """Register the lists of a subscription and of a resource group."""
    ctx.types.register_routes(
        *(
            ProviderRoute(
                method="GET", template=f"{scope}/providers/{_TYPE}", permission=f"{_TYPE}/read", handler=_list,
                api_versions=_VERSIONS,
            )
            for scope in ("/subscriptions/{subscription}", "/subscriptions/{subscription}/resourceGroups/{group}")
        )
    )  # fmt: skip
