"""Content of a subscription before its first stack: the state account and its container, as ordinary ARM resources."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from localcloud.arm import ids
from localcloud.arm.authorization import Authorization
from localcloud.arm.resource_types import Call
from localcloud.arm.resources import Resources
from localcloud.core.context import Context, Principal
from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import SUBSCRIPTION_ID

_LOCATION = "westeurope"
_AZURITE_SECONDS = 60


async def ensure_state(ctx: Context, resources: Resources, deployer: Principal) -> None:
    """Assign its roles to the deployer; create missing objects. Do nothing when all exist.

    Wait for Azurite. Raises LocalcloudError when it does not answer within a minute.
    """
    state = ctx.settings.state
    subscription = f"/subscriptions/{SUBSCRIPTION_ID}"
    group = f"{subscription}/resourceGroups/{state.group}"
    account = ids.in_group(SUBSCRIPTION_ID, state.group, "Microsoft.Storage/storageAccounts", state.account)
    authorization = Authorization(ctx.resources)
    # They equal the roles of the bootstrap's operator on Azure, who assigns roles without a condition, and defines
    # some.
    for role in ("Contributor", "User Access Administrator"):
        authorization.assign(deployer, role, subscription)
    authorization.assign(deployer, "Storage Blob Data Contributor", account)
    ctx.resources.registrations.register(["Microsoft.Storage"])  # like the maker of a state account on Azure
    if ctx.resources.get(group) is None:
        await _put(ctx, resources, deployer, group, "2024-03-01", {"location": _LOCATION})
    if ctx.resources.get(account) is None:
        body = {
            "location": _LOCATION,
            "kind": "StorageV2",
            "sku": {"name": "Standard_LRS"},
            "properties": {
                "allowSharedKeyAccess": False,
                "allowBlobPublicAccess": False,
                "minimumTlsVersion": "TLS1_2",
            },
        }
        await _put(ctx, resources, deployer, account, "2024-01-01", body)
        await resources.operations.idle()
        versioning = {"properties": {"isVersioningEnabled": True}}
        await _put(ctx, resources, deployer, f"{account}/blobServices/default", "2024-01-01", versioning)
    await _azurite_answers(ctx)
    container = f"{account}/blobServices/default/containers/{state.container}"
    if await resources.find(container) is None:
        await _put(ctx, resources, deployer, container, "2024-01-01", {"properties": {}})


async def _put(
    ctx: Context, resources: Resources, deployer: Principal, id_: str, version: str, body: dict[str, Any]
) -> None:
    rid = ids.parse(id_)
    if rid is None:
        raise ValueError(f"{id_!r} is not a resource id")
    await resources.put(rid, body, Call(deployer, version, ctx.settings.gateway_url))


async def _azurite_answers(ctx: Context) -> None:
    deadline = time.monotonic() + _AZURITE_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", ctx.settings.azurite_port)
        except OSError as error:
            if time.monotonic() > deadline:
                raise LocalcloudError(
                    f"Azurite does not answer on 127.0.0.1:{ctx.settings.azurite_port}: "
                    f"see {ctx.settings.logs}/azurite.log."
                ) from error
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
