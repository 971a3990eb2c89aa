"""Reports blobs that clients created to the services that listen, such as Event Grid.

Operations that create a blob: learn.microsoft.com/azure/event-grid/event-schema-blob-storage ("Microsoft.Storage.
BlobCreated"). The dfs endpoint of an account without a hierarchical namespace has no events (same page). Blobs that
localcloud's own services write straight into Azurite are not reported.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from urllib.parse import quote

import httpx
from starlette.requests import Request
from starlette.responses import Response

from localcloud.core.blob_events import BlobCreated
from localcloud.core.context import Context
from localcloud.core.resource import Resource, now
from localcloud.storage.addresses import Target, path_of
from localcloud.storage.azurite import Azurite

_VERSION = "2024-11-04"
_UNREPORTED_CONTAINERS = frozenset({"$logs", "$blobchangefeed"})


class CreatedBlobs:
    """Looks at answers of writes."""

    def __init__(self, ctx: Context, azurite: Azurite) -> None:
        self._ctx, self._azurite = ctx, azurite

    def written(
        self,
        request: Request,
        account: Resource,
        target: Target,
        query: Mapping[str, str],
        response: Response,
        *,
        copies: bool,
    ) -> None:
        """Report the blob that a request at the blob endpoint created, if any."""
        comp = query.get("comp", "")
        if request.method != "PUT" or not target.blob or comp not in {"", "blocklist"}:
            return
        api = "PutBlockList" if comp else "CopyBlob" if copies else "PutBlob"
        self._report(request, account, target, api, response, lake=False)

    def in_lake(self, request: Request, account: Resource, target: Target, api: str, response: Response) -> None:
        """Report the blob that a request at the dfs endpoint created."""
        if account.properties.get("isHnsEnabled"):
            self._report(request, account, target, api, response, lake=True)

    def _report(
        self, request: Request, account: Resource, target: Target, api: str, response: Response, *, lake: bool
    ) -> None:
        if response.status_code not in {200, 201, 202} or target.container in _UNREPORTED_CONTAINERS:
            return
        if any(listener.wants(account.id) for listener in self._ctx.blob_listeners):
            request_id = response.headers.get("x-ms-request-id") or str(uuid.uuid4())
            client_id = request.headers.get("x-ms-client-request-id")
            work = self._tell(account, target, api, now(), request_id, client_id, lake=lake)
            self._ctx.tasks.start(work, f"event of {api}")

    async def _tell(
        self,
        account: Resource,
        target: Target,
        api: str,
        time: str,
        request_id: str,
        client_id: str | None,
        *,
        lake: bool,
    ) -> None:
        properties = await self._properties(account, target)
        if properties is None:
            return  # deleted already
        endpoint = "dfs" if lake else "blob"
        path = quote(f"{target.container}/{target.blob}", safe="/~")
        event = BlobCreated(
            account_id=account.id,
            time=time,
            container=target.container,
            blob=target.blob,
            api=api,
            etag=properties.get("etag", ""),
            content_type=properties.get("content-type", "application/octet-stream"),
            content_length=int(properties.get("content-length", "0")),
            blob_type=properties.get("x-ms-blob-type", "BlockBlob"),
            url=f"https://{account.name}.{endpoint}.core.windows.net/{path}",
            request_id=request_id,
            client_request_id=client_id,
            lake=lake,
        )
        for listener in self._ctx.blob_listeners:
            listener.created(event)

    async def _properties(self, account: Resource, target: Target) -> httpx.Headers | None:
        headers = {"x-ms-version": _VERSION}
        answer = await self._azurite.send("HEAD", path_of(account.name, target), headers, b"", trusted=True)
        await answer.aclose()
        return answer.headers if answer.status_code == 200 else None
