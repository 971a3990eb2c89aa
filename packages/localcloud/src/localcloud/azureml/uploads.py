"""Places to upload the content of an asset: a fresh container of the workspace's account, opened by a SAS."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.azureml.common import WORKSPACE, user_error, workspace_of
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.storage.azurite_accounts import fabric_of

_ROOT = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + WORKSPACE.replace(
    "/workspaces", "/workspaces/{workspace}"
)


async def _start(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call, kind: str) -> Json:
    """POST {kind}/NAME/versions/VERSION/startPendingUpload. The version need not exist yet."""
    wanted = body.get("pendingUploadType", "TemporaryBlobReference")
    if wanted != "TemporaryBlobReference":
        raise user_error(f"pendingUploadType '{wanted}' is not valid: use TemporaryBlobReference.")
    id_ = _ROOT.format(**{key: parameters[key] for key in ("subscription", "group", "workspace")})
    workspace = workspace_of(ctx, id_)
    account = str(workspace.properties["storageAccount"]).rsplit("/", 1)[-1]
    upload = uuid.uuid4()
    # Azure ML's form of name: the workspace's number, and a unique part.
    container = f"{str(workspace.properties['workspaceId'])[:8]}-{upload}"
    await asyncio.to_thread(fabric_of(ctx).put_container, account, container, None, {})
    sas = ctx.storage.sas_url(account, container, permissions="racwl", hours=8)
    return {
        "blobReferenceForConsumption": {
            "blobUri": ctx.storage.blob_url(account, container),
            "credential": {"credentialType": "SAS", "sasUri": sas},
            "storageAccountArmId": workspace.properties["storageAccount"],
        },
        "pendingUploadId": str(upload),
        "pendingUploadType": "TemporaryBlobReference",
    }


def register(ctx: Context) -> None:
    for kind in ("codes", "data", "models"):
        ctx.types.register_routes(
            ProviderRoute(
                method="POST",
                template=f"{_ROOT}/{kind}/{{name}}/versions/{{version}}/startPendingUpload",
                permission=f"{WORKSPACE}/{kind}/versions/write",
                handler=_handler(kind),
            )
        )


def _handler(kind: str) -> Any:
    async def handler(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        return await _start(ctx, parameters, body, call, kind)

    return handler
