"""Storage of a registry's assets: a container for each version, opened by a SAS to upload or download.

Source: azure-ai-ml `_utils/_registry_utils.py` (its requests and answers), the ARM specification's registry codes,
data and models (startPendingUpload).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.azureml import assets, registries
from localcloud.azureml.common import user_error
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.storage.azurite_accounts import fabric_of

DATA_PLANE = "2021-10-01-dataplanepreview"
VERSIONS = (*registries.VERSIONS, DATA_PLANE)
PERMISSION = f"{registries.TYPE}/assets"
ROOT = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{registries.TYPE}/{{registry}}"
FILES = {"codes": "codeUri", "data": "dataUri", "models": "modelUri"}
"""Kinds of assets that have files, and the property with their address."""
_ID = re.compile(r"azureml://registries/([^/]+)/([^/]+)/([^/]+)/versions/([^/]+)", re.IGNORECASE)
_KINDS = (*FILES, "environments", "components")


def place(registry: Resource, kind: str, name: str, version: str) -> tuple[str, str]:
    """Return the (account, container) of a version, which never change."""
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"{registry.id}/{kind}/{name}/{version}".lower())
    return registries.account_of(registry), f"{registry.name.lower().replace('_', '-')[:20].rstrip('-')}-{number}"


def check_uri(registry: Resource, kind: str, name: str, address: Any) -> str:
    """Return the address of a version's files, without a query. Raises 400 for files that are not in the registry."""
    uri = urlsplit(str(address or ""))
    if uri.hostname != f"{registries.account_of(registry)}.blob.core.windows.net":
        raise user_error(
            f"{FILES[kind]} '{address}' of {assets.singular(kind)} '{name}' is not in the storage of registry "
            f"'{registry.name}': upload the files to where tempdatarefs or startPendingUpload says."
        )
    return uri._replace(query="", fragment="").geturl()


def find(ctx: Context, registry: Resource, kind: str, name: str, version: str) -> Resource | None:
    return ctx.resources.get(f"{registry.id}/{kind}/{name}/versions/{version}")


def exists_already(kind: str, name: str, version: str) -> Exception:
    message = f"The {assets.singular(kind)} '{name}' with version '{version}' exists in the registry."
    return user_error(message, 409, "Conflict")


def _requested_version(parameters: Mapping[str, str], body: Json, kind: str | None) -> tuple[str, str, str]:
    """(kind, name, version). The data plane's addresses leave the kind to assetId. Raises 400 where both disagree."""
    name, version = parameters["name"], parameters["version"]
    if kind is None:
        asset_id = str(body.get("assetId") or "")
        match = _ID.fullmatch(asset_id)
        expected = (parameters["registry"].lower(), name.lower(), version.lower())
        if match is None or match[2].lower() not in _KINDS or expected != (
            match[1].lower(), match[3].lower(), match[4].lower(),
        ):  # fmt: skip
            raise user_error(
                f"assetId '{asset_id}' is not valid: use azureml://registries/{parameters['registry']}/KIND/{name}/versions/"
                f"{version} with a KIND of {', '.join(_KINDS)}."
            )
        kind = match[2].lower()
    assets.NAME.check(name)
    assets.VERSION.check(version)
    return kind, name, version


async def _upload(ctx: Context, parameters: Mapping[str, str], body: Json, kind: str | None) -> Json:
    """Return the address to upload a new version to. Raises 409 for a version that exists."""
    registry = registries.named(ctx, parameters["registry"])
    kind, name, version = _requested_version(parameters, body, kind)
    if find(ctx, registry, kind, name, version) is not None:
        raise exists_already(kind, name, version)
    account, container = place(registry, kind, name, version)
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
    """Return a SAS for reading a version's files. Raises 404 for a version that does not exist or has no files."""
    registry = registries.named(ctx, parameters["registry"])
    kind, name, version = _requested_version(parameters, body, None)
    asset = find(ctx, registry, kind, name, version)
    uri = str(asset.properties.get(FILES.get(kind, "")) or "") if asset is not None else ""
    if not uri:
        raise user_error(
            f"The {assets.singular(kind)} '{name}' with version '{version}' is not in the registry.", 404, "NotFound"
        )
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
    existing = ctx.resources.named("Microsoft.Storage/storageAccounts", account)
    return "" if existing is None else existing.id


def _uploader(kind: str | None) -> Any:
    async def handler(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        return await _upload(ctx, parameters, body, kind)

    return handler


def register(ctx: Context) -> None:
    version = "{name}/versions/{version}"
    routes = [
        ("PUT", f"tempdatarefs/{version}", "write", _uploader(None)),
        ("POST", f"datarefs/{version}", "read", _download),
        *(("POST", f"{kind}/{version}/startPendingUpload", "write", _uploader(kind)) for kind in FILES),
    ]
    for method, tail, action, handler in routes:
        ctx.types.register_routes(
            ProviderRoute(
                method=method, template=f"{ROOT}/{tail}", permission=f"{PERMISSION}/{action}", handler=handler,
                api_versions=VERSIONS,
            )
        )  # fmt: skip
