"""workspaces/models and workspaces/models/versions as ARM types."""

from __future__ import annotations

from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml.assets import content, filtered
from localcloud.azureml.common import ASSET_VERSIONS, user_error, workspace_of
from localcloud.azureml.mlflow.models import CONTAINER, VERSION, Models, workspace_for
from localcloud.core.context import Context
from localcloud.core.resource import Resource

_TYPES = ("custom_model", "mlflow_model", "triton_model")
_DERIVED = {"jobName", "flavors", "modelType", "modelUri"}
_NAME = NameRule(
    r"[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}",
    "Model name '{name}' is invalid: use letters, digits, '-', '_' and '.', at most 255, beginning with a letter or "
    "digit.",
    "UserError",
)
_VERSION = NameRule(
    r"[1-9][0-9]{0,8}|1[0-9]{9}",
    "Model version '{name}' is invalid: it must be a positive whole number below 2000000000, as in MLflow's registry.",
    "UserError",
)


class ModelTypes:
    """The hooks of both types."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def register(self, ctx: Context) -> None:
        ctx.types.register(
            ResourceType(
                type=CONTAINER, api_versions=ASSET_VERSIONS, name=_NAME, complete=_complete_container,
                on_put=self._put_container, on_delete=self._delete, read=self._read, list_in=self._list_containers,
            ),
            ResourceType(
                type=VERSION, api_versions=ASSET_VERSIONS, name=_VERSION, parent_required=False,
                required=("properties",), complete=_complete_version, on_put=self._put_version,
                on_delete=self._delete, read=self._read, list_in=self._list_versions,
            ),
        )  # fmt: skip

    async def _read(self, ctx: Context, id_: str) -> Resource | None:
        workspace, parsed = workspace_for(ctx, id_)
        if parsed.type.lower() == CONTAINER.lower():
            return await self._models.container(workspace, parsed.name)
        if not parsed.name.isdigit():
            return None
        return await self._models.version(workspace, id_.split("/")[-3], parsed.name)

    async def _list_containers(self, ctx: Context, parent: str, call: Call) -> list[Resource]:
        return filtered(await self._models.containers(workspace_of(ctx, parent)), call.query)

    async def _list_versions(self, ctx: Context, parent: str, call: Call) -> list[Resource]:
        """Newest first; filters version, description, listViewType, tags."""
        versions = filtered(
            await self._models.versions(workspace_of(ctx, parent), parent.rsplit("/", 1)[-1]), call.query
        )
        if version_filter := call.query.get("version"):
            versions = [version for version in versions if version.name == version_filter]
        if stage := call.query.get("stage"):
            versions = [version for version in versions if version.properties.get("stage") == stage]
        return versions

    async def _put_container(self, ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
        await self._models.put_container(workspace_of(ctx, resource.id), resource)

    async def _put_version(self, ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
        await self._models.put_version(workspace_of(ctx, resource.id), resource, existing)

    async def _delete(self, ctx: Context, resource: Resource, call: Call) -> None:
        if ctx.resources.get(resource.id.split("/models/")[0]) is not None:
            await self._models.delete(workspace_of(ctx, resource.id), resource)


def _complete_container(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    properties["isArchived"] = bool(properties.get("isArchived"))
    for name in ("tags", "properties"):
        properties[name] = dict(properties.get(name) or {})


def _complete_version(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    _complete_container(ctx, resource, existing)
    properties["isAnonymous"] = bool(properties.get("isAnonymous"))
    name = resource.id.split("/")[-3]
    if existing is not None:
        before, after = content(existing.properties), content(properties)
        changed = {key for key, value in after.items() if key in _DERIVED and value and before.get(key) != value}
        if "modelUri" in changed and _same_place(str(before.get("modelUri")), str(after["modelUri"])):
            changed -= {"modelUri"}
        if changed - {"flavors"}:
            raise user_error(
                f"The model '{name}' with version '{resource.name}' already exists and its "
                f"{', '.join(sorted(changed))} cannot be changed. Register a new version.",
                409,
                "Conflict",
            )
        for key in _DERIVED:
            properties[key] = before.get(key)
        return
    if not properties.get("modelUri"):
        raise user_error(f"The property 'modelUri' of model '{name}' is required.")
    kind = properties.setdefault("modelType", "custom_model") or "custom_model"
    if kind not in _TYPES:
        raise user_error(f"modelType '{kind}' is not valid: use {', '.join(_TYPES)}.")
    properties["modelType"] = kind
    properties["flavors"] = properties.get("flavors") or {}


def _same_place(uri: str, other: str) -> bool:
    """Letter case and the short or long form of a datastore's address do not matter."""
    return uri.lower().rsplit("/datastores/", 1)[-1].strip("/") == other.lower().rsplit("/datastores/", 1)[-1].strip(
        "/"
    )
