"""Microsoft.Databricks: workspaces and access connectors, as ARM sees them.

The content of a workspace is in localcloud.databricks.
"""

from __future__ import annotations

import hashlib

from localcloud.arm import ids
from localcloud.arm.exclusive import itself
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.databricks.arm import workspace_network as databricks_network
from localcloud.databricks.unity.regions import MetastoreRegions
from localcloud.databricks.workspace_removal import WorkspaceRemoval

WORKSPACE = "Microsoft.Databricks/workspaces"
_VERSIONS = (
    "2018-04-01", "2021-04-01-preview", "2022-04-01-preview", "2023-02-01", "2023-09-15-preview", "2024-05-01",
    "2024-09-01-preview", "2025-03-01-preview", "2025-08-01-preview", "2025-10-01-preview", "2026-01-01",
)  # fmt: skip
_COMPUTE_MODE_SINCE = "2025-08-01-preview"


def _number(resource_id: str) -> int:
    """Return a stable workspace id of 16 digits: the host name is the same when the workspace is made again."""
    digest = hashlib.sha256(resource_id.lower().encode()).digest()
    return 10**15 + int.from_bytes(digest[:8], "big") % (9 * 10**15)


def _invalid(message: str) -> ServiceError:
    return ServiceError(400, "ApplianceInvalidParameters", message)


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    sku = str((resource.sku or {}).get("name", "standard")).lower()
    if sku not in {"standard", "premium", "trial"}:
        raise _invalid(
            f"The SKU '{sku}' of Databricks workspace '{resource.name}' is not valid: use premium or standard."
        )
    resource.sku = {"name": sku}
    before = existing.properties if existing is not None else {}
    mode = properties.get("computeMode") or before.get("computeMode")
    if mode is None and resource.private["apiVersion"] >= _COMPUTE_MODE_SINCE:
        raise _invalid("The property 'computeMode' is required: use Hybrid or Serverless.")
    mode = mode or "Hybrid"
    if mode not in {"Hybrid", "Serverless"}:
        raise _invalid(f"computeMode '{mode}' is not valid: use Hybrid or Serverless.")
    properties["computeMode"] = mode
    group = properties.get("managedResourceGroupId") or before.get("managedResourceGroupId")
    if mode == "Hybrid" and not group:
        raise _invalid("The property 'managedResourceGroupId' is required when computeMode is Hybrid.")
    if group:
        named = ids.parse(group) if isinstance(group, str) else None
        if named is None or named.type != ids.RESOURCE_GROUP_TYPE or not group.startswith("/"):
            raise _invalid(f"managedResourceGroupId {group!r} is not the id of a resource group.")
        properties["managedResourceGroupId"] = group
        own = "/".join(resource.id.split("/")[:5])
        if str(group).lower() == own.lower():
            raise ServiceError(
                400,
                "ApplicationManagedResourceGroupInvalid",
                f"The managed resource group '{group}' cannot be the resource group of the workspace itself.",
            )
    properties["parameters"] = _parameters(properties.get("parameters") or {}, resource)
    number = _number(resource.id)
    properties["workspaceId"] = str(number)
    properties["workspaceUrl"] = f"adb-{number}.{number % 20}.azuredatabricks.net"
    properties["createdDateTime"] = before.get("createdDateTime") or now()
    properties.setdefault("publicNetworkAccess", "Enabled")
    properties.setdefault("requiredNsgRules", "AllRules")
    if properties["publicNetworkAccess"] == "Disabled" and properties["requiredNsgRules"] == "AllRules":
        raise _invalid(
            "requiredNsgRules must be NoAzureDatabricksRules or NoAzureServiceRules when publicNetworkAccess is "
            f"Disabled; workspace '{resource.name}' has AllRules."
        )
    databricks_network.check(ctx, resource)
    properties.setdefault("authorizations", [])
    regions = ctx.offered.get(MetastoreRegions)
    properties["isUcEnabled"] = regions is not None and regions.has(str(resource.location))


def _complete_connector(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Keep the identity as for every resource (localcloud.arm.identity): only workspaces' own storage refers to it."""
    resource.properties["referedBy"] = []


def _parameters(requested: Json, resource: Resource) -> Json:
    """Return the parameters with their types, as {"type": "Bool", "value": true}."""
    if resource.sku == {"name": "trial"}:
        requested = {k: v for k, v in requested.items() if k != "requireInfrastructureEncryption"}
    defaults: Json = {
        "enableNoPublicIp": {"value": True},
        "prepareEncryption": {"value": False},
        "requireInfrastructureEncryption": {"value": False},
        "storageAccountName": {"value": f"dbstorage{hashlib.sha256(resource.id.lower().encode()).hexdigest()[:13]}"},
        "storageAccountSkuName": {"value": "Standard_ZRS"},
    }
    result: Json = {}
    for name, entry in (defaults | requested).items():
        if not isinstance(entry, dict) or "value" not in entry:
            raise _invalid(f"The parameter '{name}' must be an object with a 'value', not {entry!r}.")
        value = entry["value"]
        kind = "Bool" if isinstance(value, bool) else "Object" if isinstance(value, dict) else "String"
        result[name] = {"type": kind, "value": value}
    return result


def _is_managed_by(group: Resource, workspace: Resource) -> bool:
    return str(group.extra.get("managedBy", "")).lower() == workspace.id.lower()


async def _on_put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Make the managed resource group, owned by the workspace, and add the rules to the subnets' groups."""
    group = resource.properties.get("managedResourceGroupId")
    managed_group = ctx.resources.get(group) if group else None
    if existing is None and managed_group is not None and not _is_managed_by(managed_group, resource):
        # The words are in pulumi/pulumi-azure-native#3643.
        raise ServiceError(
            409,
            "ApplianceProvisioningFailed",
            f"The managed resource group '{group}' already exists. Please specify a new non-existent managed resource "
            "group",
        )
    databricks_network.claim(ctx, resource)
    if existing is None and group and managed_group is None:
        ctx.resources.put(
            Resource(
                id=group,
                type="Microsoft.Resources/resourceGroups",
                name=group.rsplit("/", 1)[-1],
                location=resource.location,
                tags=dict(resource.tags or {}),
                properties={"provisioningState": "Succeeded"},
                extra={"managedBy": resource.id},
            )
        )


async def _on_delete(ctx: Context, resource: Resource, call: Call) -> None:
    databricks_network.release(ctx, resource)
    removal: WorkspaceRemoval | None = ctx.offered.get(WorkspaceRemoval)
    if removal is not None:
        await removal.remove(resource)
    group = resource.properties.get("managedResourceGroupId")
    managed_group = ctx.resources.get(group) if group else None
    if managed_group is not None and _is_managed_by(managed_group, resource):
        for below in ctx.resources.below(managed_group.id):
            ctx.resources.delete(below.id)
        ctx.resources.delete(managed_group.id)


def register(ctx: Context) -> None:
    name = NameRule(
        r"[A-Za-z0-9_-]{3,64}",
        "The Databricks resource name '{name}' is invalid: use 3 to 64 letters, digits, hyphens and underscores.",
    )
    ctx.types.register(
        ResourceType(
            type=WORKSPACE,
            api_versions=_VERSIONS,
            name=name,
            tracked=True,
            immutable=(
                "properties.managedResourceGroupId", "properties.computeMode",
                "properties.parameters.customVirtualNetworkId", "properties.parameters.storageAccountName",
                "properties.parameters.requireInfrastructureEncryption",
            ),
            complete=_complete,
            on_put=_on_put,
            on_delete=_on_delete,
            locks=itself,
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type="Microsoft.Databricks/accessConnectors",
            api_versions=(
                "2022-04-01-preview", "2022-10-01-preview", "2023-05-01", "2024-05-01", "2024-09-01-preview",
                "2025-03-01-preview", "2025-08-01-preview", "2025-10-01-preview", "2026-01-01",
            ),
            name=name,
            tracked=True,
            complete=_complete_connector,
            long_running=frozenset({"put", "delete"}),
        ),
    )  # fmt: skip
