"""Microsoft.MachineLearningServices/workspaces: their linked resources, their datastores, and soft delete.

A deleted workspace holds its name for 14 days unless it is deleted with forceToPurge=true, as in Azure
(learn.microsoft.com "Recover workspace data while soft deleted").
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from localcloud.arm import ids
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml import datastores, hosts
from localcloud.azureml.common import API_VERSIONS, WORKSPACE, user_error
from localcloud.azureml.managed_network import principals_of
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.core.settings import TENANT_ID

_SCHEMA = "CREATE TABLE IF NOT EXISTS azureml_deleted_workspaces (id_key TEXT PRIMARY KEY, deleted TEXT NOT NULL);"
_LINKED = {
    "storageAccount": "Microsoft.Storage/storageAccounts",
    "keyVault": "Microsoft.KeyVault/vaults",
    "applicationInsights": "Microsoft.Insights/components",
    "containerRegistry": "Microsoft.ContainerRegistry/registries",
}
_READ_FIRST = ("keyVault", "storageAccount", "containerRegistry", "applicationInsights")
_REQUIRED = ("storageAccount", "keyVault")
_AUTH_MODES = ("AccessKey", "Identity", "UserDelegationSAS")


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    before = existing.properties if existing is not None else {}
    if existing is None:
        _check_not_deleted(ctx, resource.id)
    for name in _REQUIRED:
        if not properties.get(name):
            raise user_error(f"Missing dependent resources in workspace json: {name}.", code="ValidationError")
    for name, type_ in _LINKED.items():
        _check_linked(ctx, name, type_, properties.get(name))
    mode = properties.get("systemDatastoresAuthMode") or before.get("systemDatastoresAuthMode") or "AccessKey"
    properties["systemDatastoresAuthMode"] = mode
    if str(mode).lower() not in {known.lower() for known in _AUTH_MODES}:
        raise user_error(
            f"systemDatastoresAuthMode '{mode}' is not valid: use {', '.join(_AUTH_MODES)}.", code="ValidationError"
        )
    account = ctx.resources.get(str(properties["storageAccount"]))
    if account is not None and account.properties.get("isHnsEnabled"):
        raise user_error(
            f"The storage account '{account.name}' has a hierarchical namespace, which a workspace's default storage "
            "account cannot have.",
            code="ValidationError",
        )
    if not resource.identity:
        raise user_error("Workspace identity is required: use SystemAssigned or UserAssigned.", code="ValidationError")
    resource.sku = resource.sku or {"name": "Basic", "tier": "Basic"}
    resource.kind = resource.kind or "Default"
    if resource.kind.lower() != "default":
        raise not_emulated(f"Azure ML workspaces of kind '{resource.kind}': localcloud has the default kind")
    properties["workspaceId"] = before.get("workspaceId") or str(uuid.uuid4())
    properties["creationTime"] = before.get("creationTime") or now()
    properties |= hosts.addresses_json(ctx, resource)
    properties["tenantId"] = TENANT_ID
    properties["storageHnsEnabled"] = False
    for name, default in (
        ("hbiWorkspace", False), ("publicNetworkAccess", "Enabled"),
        ("v1LegacyMode", False), ("enableDataIsolation", False), ("privateEndpointConnections", []),
        ("allowPublicAccessWhenBehindVnet", False), ("description", ""), ("privateLinkCount", 0),
        ("managedNetwork", {"isolationMode": "Disabled"}),
    ):  # fmt: skip
        if properties.get(name) is None:
            properties[name] = default


def _check_linked(ctx: Context, name: str, type_: str, id_: Any) -> None:
    if not id_:
        return
    existing = ctx.resources.get(str(id_))
    if existing is None or existing.type.lower() != type_.lower():
        raise user_error(f"The {name} '{id_}' of the workspace does not exist or is not a {type_}.", code="BadRequest")


def _check_not_deleted(ctx: Context, id_: str) -> None:
    row = ctx.database.row("SELECT deleted FROM azureml_deleted_workspaces WHERE id_key = ?", (id_.lower(),))
    if row is None:
        return
    group = ctx.resources.get("/".join(id_.split("/")[:5]))
    # A deleted resource group purges the soft-deleted workspaces in it: a new group of its name starts empty.
    if group is None or str((group.system_data or {}).get("createdAt", "")) < row["deleted"]:
        raise ServiceError(
            400, "BadRequest", "Soft-deleted workspace exists. Please purge or recover it. https://aka.ms/wsoftdelete"
        )


async def _on_put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    if existing is None or existing.state != "Succeeded":
        _check_identity(ctx, resource)
    ctx.start_tracking()
    await asyncio.to_thread(datastores.ensure_system_datastores, ctx, resource)


def _check_identity(ctx: Context, resource: Resource) -> None:
    """Refuse a workspace whose own user-assigned identity cannot read the workspace's linked resources.

    The service signs in as that identity within the first seconds, so that roles of the same age have no effect yet.
    It names one missing action at a time, the vault's first. The words are quoted from a user's first deployment; the
    code is the same as of the workspace's other failures (Azure/ResourceModules#3596). A system-assigned identity gets
    its roles from the service itself.
    """
    if "systemassigned" in str((resource.identity or {}).get("type", "")).lower():
        return
    for name in _READ_FIRST:
        target = ctx.resources.get(str(resource.properties.get(name) or ""))
        if target is None:
            continue
        for principal in (ctx.identities.by_object_id(id_) for id_ in principals_of(ctx, resource)):
            action = f"{target.type}/read"
            if principal is not None and not ctx.authorizer.allows(principal, action, target.id):
                raise ServiceError(
                    400,
                    "BadRequest",
                    "User assigned identity doesn't have enough permissions. The client "
                    f"'{principal.app_id}' with object id '{principal.object_id}' does not have authorization to "
                    f"perform action '{action}' over scope '{target.id}' or the scope is invalid. If access was "
                    "recently granted, please refresh your credentials.",
                )


async def _on_delete(ctx: Context, resource: Resource, call: Call) -> None:
    if call.query.get("forceToPurge", "").lower() == "true":
        return
    ctx.database.execute(
        "INSERT OR REPLACE INTO azureml_deleted_workspaces VALUES (?, ?)", (resource.id.lower(), now())
    )


async def _purge(ctx: Context, id_: str, call: Call) -> bool:
    """forceToPurge=true also purges a workspace that is soft-deleted already."""
    if call.query.get("forceToPurge", "").lower() != "true":
        return False
    return ctx.database.execute("DELETE FROM azureml_deleted_workspaces WHERE id_key = ?", (id_.lower(),)) > 0


async def _list(ctx: Context, parent: str, call: Call) -> list[Resource]:
    """`kind` selects some kinds: "hub,project"."""
    if ids.parse(parent) is None:
        resources = ctx.resources.list(WORKSPACE, parent)
    else:
        resources = ctx.resources.children(parent, WORKSPACE)
    kinds = {kind.strip().lower() for kind in call.query.get("kind", "").split(",")} - {""}
    return [workspace for workspace in resources if not kinds or str(workspace.kind).lower() in kinds]


def _render(ctx: Context, resource: Resource) -> Json:
    """Return the workspace as ARM shows it: its hosts change when it gets a private endpoint."""
    body = resource.to_json()
    body["properties"] = body["properties"] | hosts.addresses_json(ctx, resource)
    return body


async def _list_keys(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    """Return the account's key only where shared keys may be used: with Identity there is nothing to hand out."""
    account = ctx.resources.get(str(resource.properties["storageAccount"]))
    keys = account.private.get("keys") if account is not None else None
    shared = account is not None and account.properties.get("allowSharedKeyAccess") is not False
    return {
        "userStorageKey": keys[0] if keys and shared else None,
        "userStorageResourceId": resource.properties["storageAccount"],
        "userStorageArmId": resource.properties["storageAccount"],  # the name of it in later versions of the API
        "appInsightsInstrumentationKey": None,
        "containerRegistryCredentials": None,
        "notebookAccessKeys": None,
    }


async def _resync_keys(ctx: Context, resource: Resource, body: Json, call: Call) -> None:
    """Keys are read at each request, so only the datastores need an update."""
    await asyncio.to_thread(datastores.ensure_system_datastores, ctx, resource)


def register(ctx: Context) -> None:
    ctx.database.script(_SCHEMA)
    ctx.types.register(
        ResourceType(
            type=WORKSPACE,
            api_versions=API_VERSIONS,
            name=NameRule(
                r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}",
                "The workspace name '{name}' is invalid: use 3 to 33 letters, digits, hyphens and underscores, "
                "starting with a letter or digit.",
                "ValidationError",
            ),
            tracked=True,
            immutable=("properties.storageAccount", "properties.keyVault", "properties.hbiWorkspace"),
            immutable_code="BadRequest",
            immutable_message="The property '{property}' of a workspace cannot be changed.",
            complete=_complete,
            render=_render,
            on_put=_on_put,
            on_delete=_on_delete,
            purge=_purge,
            list_in=_list,
            long_running=frozenset({"put", "delete"}),
            create_status=202,
            actions={"listKeys": _list_keys, "resyncKeys": _resync_keys},
        )
    )
