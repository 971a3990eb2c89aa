"""The copy of a workspace's model, data or environment into a registry (`models.share` and its like of azure-ai-ml)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from localcloud.arm import resource_types, rules
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.azureml import assets, environment_builds, paths, registries, registry_storage
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.storage.azurite_accounts import fabric_of

_SOURCE = re.compile(
    r"azureml://locations/([^/]+)/workspaces/([^/]+)/(models|data|environments)/([^/]+)/versions/([^/]+)", re.IGNORECASE
)


async def _import(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> None:
    """Copy an asset, with its files, description, tags and properties. The caller must be able to read it.

    Raises 404 for a source that does not exist, 409 for a destination that does.
    """
    registry = registries.named(ctx, parameters["registry"])
    asset_properties = body.get("properties") or {}
    source = _SOURCE.fullmatch(str(asset_properties.get("sourceAssetId") or ""))
    if source is None:
        raise user_error(
            f"sourceAssetId '{asset_properties.get('sourceAssetId')}' is not valid: use azureml://locations/LOCATION/workspaces/"
            "WORKSPACE-ID/KIND/NAME/versions/VERSION with a KIND of models, data or environments."
        )
    workspace, kind = _workspace(ctx, source[2]), source[3].lower()
    asset_id = f"{workspace.id}/{kind}/{source[4]}/versions/{source[5]}"
    rules.authorize(ctx, call.principal, f"{WORKSPACE}/{kind}/versions/read", asset_id)
    type_ = resource_types.of(ctx).get(f"{WORKSPACE}/{kind}/versions")
    read = type_.read if type_ is not None else None
    asset = await read(ctx, asset_id) if read is not None else ctx.resources.get(asset_id)
    if asset is None:
        raise user_error(f"The {assets.singular(kind)} '{source[0]}' was not found.", 404, "NotFound")
    name, version = (
        str(asset_properties.get("destinationName") or source[4]),
        str(asset_properties.get("destinationVersion") or source[5]),
    )
    assets.NAME.check(name)
    assets.VERSION.check(version)
    if registry_storage.find(ctx, registry, kind, name, version) is not None:
        raise registry_storage.exists_already(kind, name, version)
    properties = {key: value for key, value in asset.properties.items() if key not in {"jobName", "stage"}}
    if kind in registry_storage.FILES:
        place = registry_storage.place(registry, kind, name, version)
        properties[registry_storage.FILES[kind]] = await asyncio.to_thread(_copy, ctx, workspace, asset, kind, place)
    stamp = now()
    author = {"By": call.principal.app_id, "ByType": "Application", "At": stamp}
    copied = Resource(
        id=f"{registry.id}/{kind}/{name}/versions/{version}", type=f"{registries.TYPE}/{kind}/versions", name=version,
        properties=properties | {"isArchived": False, "provisioningState": "Succeeded"},
        system_data={f"{verb}{key}": value for verb in ("created", "lastModified") for key, value in author.items()},
    )  # fmt: skip
    if kind == "environments":
        environment_builds.admit(copied)
    await assets.put_version(ctx, copied, None, call)
    ctx.resources.put(copied)


def _workspace(ctx: Context, number: str) -> Resource:
    for workspace in ctx.resources.list(WORKSPACE):
        if workspace.properties.get("workspaceId") == number.lower():
            return workspace
    raise user_error(f"There is no workspace with the id '{number}'.", 404, "NotFound")


def _copy(ctx: Context, workspace: Resource, asset: Resource, kind: str, place: tuple[str, str]) -> str:
    """Copy the asset's files into (account, container); the address of the copy."""
    uri = str(asset.properties[registry_storage.FILES[kind]])
    kept = asset.private.get("place")
    if kept is not None:
        origin = paths.BlobPath(kept["account"], kept["container"], kept["path"])
    else:
        origin = paths.blob_path(ctx, workspace, uri)
    account, container = place
    fabric_of(ctx).put_container(account, container, None, {})
    folder = origin.path.rstrip("/")
    base, _, last = folder.rpartition("/")
    source = ctx.storage.service_client(origin.account).get_container_client(origin.container)
    target = ctx.storage.service_client(account).get_container_client(container)
    blobs = [blob for blob in source.list_blobs(name_starts_with=folder) if _below(blob.name, folder)]
    if not blobs:
        raise user_error(f"The {assets.singular(kind)} has no files at '{uri}'.", 404, "NotFound")
    for blob in blobs:
        target.upload_blob(
            blob.name[len(base) :].lstrip("/"), source.download_blob(blob.name).chunks(), length=blob.size,
            overwrite=True,
        )  # fmt: skip
    return ctx.storage.blob_url(account, container, last)


def _below(name: str, folder: str) -> bool:
    return not folder or name == folder or name.startswith(f"{folder}/")


def register(ctx: Context) -> None:
    ctx.types.register_routes(
        ProviderRoute(
            method="POST", template=f"{registry_storage.ROOT}/import",
            permission=f"{registry_storage.PERMISSION}/write", handler=_import, api_versions=registry_storage.VERSIONS,
        )
    )  # fmt: skip
