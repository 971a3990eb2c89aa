"""Microsoft.ContainerRegistry/registries/replications: the regions of a Premium registry, its own among them."""

from __future__ import annotations

from localcloud.arm import ids
from localcloud.arm.resource_types import NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now

REPLICATION = "Microsoft.ContainerRegistry/registries/replications"
_NAME = NameRule(
    r"[A-Za-z0-9]{5,50}",
    "The replication name '{name}' is invalid. Replication names must be 5 to 50 alphanumeric characters.",
)


def keep_home(ctx: Context, registry: Resource) -> None:
    """Add the replication of its own region to a Premium registry; remove it from a registry of another tier.

    Clients leave it out by its location: terraform-provider-azurerm, `container_registry_resource.go`.
    """
    location = registry.location or ""
    id_ = f"{registry.id}/replications/{location}"
    if (registry.sku or {}).get("name") != "Premium":
        ctx.resources.delete(id_)
    elif ctx.resources.get(id_) is None:
        home = Resource(id=id_, type=REPLICATION, name=location, location=location, tags={}, properties=_ready({}))
        ctx.resources.put(home)


def _ready(properties: Json) -> Json:
    defaults = {"regionEndpointEnabled": True, "zoneRedundancy": "Disabled"}
    status = {"displayStatus": "Ready", "timestamp": now()}
    return defaults | properties | {"status": status, "provisioningState": "Succeeded"}


def _registry(ctx: Context, replication: Resource) -> Resource | None:
    rid = ids.parse(replication.id)
    return None if rid is None else ctx.resources.get(rid.parent)


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Refuse properties that only Premium registries have. No public source quotes Azure's code."""
    registry = _registry(ctx, resource)
    tier = (registry.sku or {}).get("name") if registry is not None else None
    if tier != "Premium":
        raise ServiceError(
            400,
            "ReplicationNotSupported",
            f"The requested feature geo-replication is not supported for the SKU {tier}.",
        )
    resource.properties = _ready(resource.properties)


def _check_delete(ctx: Context, resource: Resource) -> None:
    registry = _registry(ctx, resource)
    if registry is not None and registry.location == resource.location:
        raise ServiceError(
            409, "Conflict", f"The replication '{resource.name}' is in the registry's own region and cannot be deleted."
        )


def register(ctx: Context, api_versions: tuple[str, ...]) -> None:
    """Register the type with the versions of registries."""
    ctx.types.register(
        ResourceType(
            type=REPLICATION,
            api_versions=api_versions,
            name=_NAME,
            tracked=True,
            immutable=("properties.zoneRedundancy",),
            complete=_complete,
            check_delete=_check_delete,
            long_running=frozenset({"create", "delete"}),
        )
    )
