"""Models in a registry: uploads, downloads, and the copy of a workspace's model into it (`models.share`).

Source: azure-ai-ml `_utils/_registry_utils.py` (what it sends and reads), the role AzureML Registry User (the actions).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from localcloud.arm import rules
from localcloud.arm.registry import Call, ProviderRoute, ResourceType
from localcloud.arm.store import Resource, now
from localcloud.azureml import assets, paths, registries
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.core.context import Context
from localcloud.storage.fabric import fabric_of

Json = dict[str, Any]

DATA_PLANE = "2021-10-01-dataplanepreview"
CONTAINER = f"{registries.TYPE}/models"
VERSION = f"{CONTAINER}/versions"
_ASSETS = f"{registries.TYPE}/assets"
_ROOT = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{registries.TYPE}/{{registry}}"
_SOURCE = re.compile(r"azureml://locations/([^/]+)/workspaces/([^/]+)/models/([^/]+)/versions/([^/]+)", re.IGNORECASE)
_TYPES = ("custom_model", "mlflow_model", "triton_model")


class AssetType(ResourceType):
    """All assets of a registry are under one permission, registries/assets."""

    @property
    def permission(self) -> str:
        return _ASSETS


def _place(registry: Resource, name: str, version: str) -> tuple[str, str]:
    """(account, container) of a version: the same whenever it is asked for."""
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"{registry.id}/models/{name}/{version}".lower())
    return registries.account_of(registry), f"{registry.name.lower().replace('_', '-')[:20].rstrip('-')}-{number}"


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    name = resource.id.split("/")[-3]
    assets.set_defaults(properties)
    properties["flavors"] = properties.get("flavors") or {}
    if existing is not None:
        assets.check_unchanged(resource, existing, "model")
        return
    registry = registries.named(ctx, resource.id.split("/")[8])
    uri = urlsplit(str(properties.get("modelUri") or ""))
    if uri.hostname != f"{registries.account_of(registry)}.blob.core.windows.net":
        raise user_error(
            f"modelUri '{properties.get('modelUri')}' of model '{name}' is not in the storage of registry "
            f"'{registry.name}': upload the files to where tempdatarefs or startPendingUpload says."
        )
    properties["modelUri"] = uri._replace(query="", fragment="").geturl()
    kind = properties["modelType"] = properties.get("modelType") or "custom_model"
    if kind not in _TYPES:
        raise user_error(f"modelType '{kind}' is not valid: use {', '.join(_TYPES)}.")


async def _list_versions(ctx: Context, parent: str, call: Call) -> list[Resource]:
    found = assets.filtered(ctx.resources.children(parent, VERSION), call.query)
    return sorted(found, key=lambda one: str((one.system_data or {}).get("createdAt", "")), reverse=True)


async def _list_containers(ctx: Context, parent: str, call: Call) -> list[Resource]:
    return assets.filtered(ctx.resources.children(parent, CONTAINER), call.query)


async def _upload(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Where to upload a new version to. Raises 409 for a version that exists."""
    registry = registries.named(ctx, parameters["registry"])
    name, version = parameters["name"], parameters["version"]
    assets.NAME.check(name)
    assets.VERSION.check(version)
    if ctx.resources.get(f"{registry.id}/models/{name}/versions/{version}") is not None:
        raise user_error(f"The model '{name}' with version '{version}' exists in the registry.", 409, "Conflict")
    account, container = _place(registry, name, version)
    await asyncio.to_thread(fabric_of(ctx).put_container, account, container, None, {})
    return {
        "blobReferenceForConsumption": {
            "blobUri": ctx.storage.blob_url(account, container),
            "storageAccountArmId": _account_id(ctx, account),
            "credential": {
                "credentialType": "SAS",
                "sasUri": ctx.storage.sas_url(account, container, permissions="racwl", hours=8),
            },
        },
        "temporaryDataReferenceId": container, "temporaryDataReferenceType": "TemporaryBlobReference",
        "pendingUploadId": container, "pendingUploadType": "TemporaryBlobReference",
    }  # fmt: skip


async def _download(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """A SAS for reading a version's files. Raises 404 for a version that does not exist."""
    registry = registries.named(ctx, parameters["registry"])
    name, version = parameters["name"], parameters["version"]
    found = ctx.resources.get(f"{registry.id}/models/{name}/versions/{version}")
    if found is None:
        raise user_error(f"The model '{name}' with version '{version}' is not in the registry.", 404, "NotFound")
    uri = str(found.properties["modelUri"])
    account, container = str(urlsplit(uri).hostname).split(".")[0], urlsplit(uri).path.strip("/").split("/")[0]
    return {
        "blobReferenceForConsumption": {
            "blobUri": uri,
            "storageAccountArmId": _account_id(ctx, account),
            "credential": {
                "credentialType": "SAS", "sasUri": ctx.storage.sas_url(account, container, permissions="rl"),
            },
        }
    }  # fmt: skip


def _account_id(ctx: Context, account: str) -> str:
    found = ctx.resources.named("Microsoft.Storage/storageAccounts", account)
    return "" if found is None else found.id


async def _import(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> None:
    """Copy a workspace's model, with its files, description, tags and properties. The caller must be able to read it.

    Raises 404 for a source that does not exist, 409 for a destination that does.
    """
    registry = registries.named(ctx, parameters["registry"])
    asked = body.get("properties") or {}
    source = _SOURCE.fullmatch(str(asked.get("sourceAssetId") or ""))
    if source is None:
        raise user_error(
            f"sourceAssetId '{asked.get('sourceAssetId')}' is not valid: use "
            "azureml://locations/LOCATION/workspaces/WORKSPACE-ID/models/NAME/versions/VERSION."
        )
    workspace = _workspace(ctx, source[2])
    model_id = f"{workspace.id}/models/{source[3]}/versions/{source[4]}"
    rules.authorize(ctx, call.principal, f"{WORKSPACE}/models/versions/read", model_id)
    type_ = ctx.types.get(f"{WORKSPACE}/models/versions")
    model = await type_.read(ctx, model_id) if type_ is not None and type_.read is not None else None
    if model is None:
        raise user_error(f"The model '{source[0]}' was not found.", 404, "NotFound")
    name, version = str(asked.get("destinationName") or source[3]), str(asked.get("destinationVersion") or source[4])
    assets.NAME.check(name)
    assets.VERSION.check(version)
    id_ = f"{registry.id}/models/{name}/versions/{version}"
    if ctx.resources.get(id_) is not None:
        raise user_error(f"The model '{name}' with version '{version}' exists in the registry.", 409, "Conflict")
    uri = await asyncio.to_thread(_copy, ctx, workspace, model, registry, name, version)
    stamp = now()
    who = {"By": call.principal.app_id, "ByType": "Application", "At": stamp}
    kept = {key: value for key, value in model.properties.items() if key not in {"jobName", "stage"}}
    copied = Resource(
        id=id_, type=VERSION, name=version,
        properties=kept | {"modelUri": uri, "isArchived": False, "provisioningState": "Succeeded"},
        system_data={f"{verb}{key}": value for verb in ("created", "lastModified") for key, value in who.items()},
    )  # fmt: skip
    await assets.put_version(ctx, copied, None, call)
    ctx.resources.put(copied)


def _workspace(ctx: Context, number: str) -> Resource:
    for one in ctx.resources.list(WORKSPACE):
        if one.properties.get("workspaceId") == number.lower():
            return one
    raise user_error(f"There is no workspace with the id '{number}'.", 404, "NotFound")


def _copy(ctx: Context, workspace: Resource, model: Resource, registry: Resource, name: str, version: str) -> str:
    """Copy the model's files; the address of the copy."""
    place = model.private.get("place")
    if place is not None:
        origin = paths.BlobPath(place["account"], place["container"], place["path"])
    else:
        origin = paths.blob_path(ctx, workspace, str(model.properties["modelUri"]))
    account, container = _place(registry, name, version)
    fabric_of(ctx).put_container(account, container, None, {})
    folder = origin.path.rstrip("/")
    base, _, last = folder.rpartition("/")
    source = ctx.storage.service_client(origin.account).get_container_client(origin.container)
    target = ctx.storage.service_client(account).get_container_client(container)
    blobs = [blob for blob in source.list_blobs(name_starts_with=folder) if _below(blob.name, folder)]
    if not blobs:
        raise user_error(f"The model has no files at '{model.properties['modelUri']}'.", 404, "NotFound")
    for blob in blobs:
        target.upload_blob(
            blob.name[len(base) :].lstrip("/"), source.download_blob(blob.name).chunks(), length=blob.size,
            overwrite=True,
        )  # fmt: skip
    return ctx.storage.blob_url(account, container, last)


def _below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


def register(ctx: Context) -> None:
    versions = (*registries.VERSIONS, DATA_PLANE)
    ctx.types.register(
        AssetType(
            type=CONTAINER, api_versions=versions, name=assets.NAME, complete=assets.complete_container,
            list_in=_list_containers,
        ),
        AssetType(
            type=VERSION, api_versions=versions, name=assets.VERSION, parent_required=False, required=("properties",),
            complete=_complete, on_put=assets.put_version, on_delete=assets.delete_version, list_in=_list_versions,
        ),
    )  # fmt: skip
    version = "{name}/versions/{version}"
    for method, tail, action, handler in (
        ("PUT", f"tempdatarefs/{version}", "write", _upload),
        ("POST", f"models/{version}/startPendingUpload", "write", _upload),
        ("POST", f"datarefs/{version}", "read", _download),
        ("POST", "import", "write", _import),
    ):
        ctx.types.register_routes(
            ProviderRoute(
                method=method, template=f"{_ROOT}/{tail}", permission=f"{_ASSETS}/{action}", handler=handler,
                api_versions=versions,
            )
        )  # fmt: skip
