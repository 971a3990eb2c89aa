"""Assets in a registry: models, data, environments, components and the code of these. A version never changes.

Source: azure-ai-ml `_utils/_registry_utils.py`, the ARM specification's registries/*, the role AzureML Registry User
(the actions).
"""

from __future__ import annotations

from typing import Any

from localcloud.arm.resource_types import Call, ResourceType
from localcloud.azureml import assets, environment_builds, registries, registry_storage, specs
from localcloud.azureml.common import user_error
from localcloud.core.context import Context
from localcloud.core.resource import Resource

_MODEL_TYPES = ("custom_model", "mlflow_model", "triton_model")


class AssetType(ResourceType):
    """Assets of a registry, under the one permission registries/assets."""

    @property
    def permission(self) -> str:
        return registry_storage.PERMISSION


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    kind, name = resource.type.split("/")[-2], resource.id.split("/")[-3]
    assets.set_defaults(properties)
    if kind == "models":
        properties["flavors"] = properties.get("flavors") or {}
    if existing is not None:
        if existing.properties.get("isAnonymous"):
            resource.properties = dict(existing.properties)
            return
        assets.check_unchanged(resource, existing, assets.singular(kind))
        return
    registry = registries.named(ctx, resource.id.split("/")[8])
    if kind in registry_storage.FILES:
        where = registry_storage.FILES[kind]
        properties[where] = registry_storage.check_uri(registry, kind, name, properties.get(where))
    if kind == "models":
        type_ = properties["modelType"] = properties.get("modelType") or "custom_model"
        if type_ not in _MODEL_TYPES:
            raise user_error(f"modelType '{type_}' is not valid: use {', '.join(_MODEL_TYPES)}.")
    else:
        specs.complete(ctx, resource, kind, registry)
    if kind == "environments":
        environment_builds.admit(resource)


async def _list_versions(ctx: Context, parent: str, call: Call) -> list[Resource]:
    kind = parent.rstrip("/").rsplit("/", 2)[1]
    resources = assets.filtered(ctx.resources.children(parent, f"{registries.TYPE}/{kind}/versions"), call.query)
    return sorted(resources, key=lambda version: str((version.system_data or {}).get("createdAt", "")), reverse=True)


def _lister(kind: str) -> Any:
    async def list_in(ctx: Context, parent: str, call: Call) -> list[Resource]:
        resources = assets.filtered(ctx.resources.children(parent, f"{registries.TYPE}/{kind}"), call.query)
        return [
            container for container in resources if "latestVersion" in container.properties
        ]  # anonymous assets are not listed

    return list_in


def register(ctx: Context) -> None:
    for kind in (*assets.KINDS, "models"):
        ctx.types.register(
            AssetType(
                type=f"{registries.TYPE}/{kind}", api_versions=registry_storage.VERSIONS, name=assets.NAME,
                complete=assets.complete_container, list_in=_lister(kind),
            ),
            AssetType(
                type=f"{registries.TYPE}/{kind}/versions", api_versions=registry_storage.VERSIONS, name=assets.VERSION,
                parent_required=False, required=("properties",), complete=_complete, on_put=assets.put_version,
                on_delete=assets.delete_version, list_in=_list_versions,
            ),
        )  # fmt: skip
