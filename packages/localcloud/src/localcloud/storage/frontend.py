"""https://ACCOUNT.blob.core.windows.net: authorization, then on to Azurite. Blobs stream both ways, unstored.

Authorization is decided here (bearer tokens by role, Shared Key by signature and the account's setting, SAS by the
account's setting); Azurite then checks a SAS's own signature and permissions, and trusts the front with the rest.
Requests to the dfs endpoint of an account go to localcloud.storage.dfs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.resource import Resource
from localcloud.core.streams import body_of, has_body, streamed
from localcloud.storage import batches, delegation, delegation_keys, errors, listing
from localcloud.storage.addresses import (
    Target,
    check_name,
    endpoint_of,
    path_of,
    query_of,
    query_text,
    raw_path_of,
    raw_query_of,
    target_of,
)
from localcloud.storage.authorization import Demand, Entry, Gate
from localcloud.storage.azurite import HOP_BY_HOP, Azurite
from localcloud.storage.azurite_accounts import StorageFabric, fabric_of
from localcloud.storage.copy_sources import CopySources
from localcloud.storage.created_blobs import CreatedBlobs
from localcloud.storage.dfs.blobs import TREE
from localcloud.storage.dfs.endpoint import DataLake
from localcloud.storage.dfs.errors import json_response
from localcloud.storage.operations import need_of

_FROM_URL = frozenset({"appendblock", "block", "incrementalcopy", "page"})
_log = logging.getLogger("localcloud.storage")


class StorageFront:
    """An ASGI application for the blob and dfs hosts of every storage account."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._fabric: StorageFabric = fabric_of(ctx)
        self._azurite = Azurite(ctx, self._fabric)
        self._gate = Gate(ctx)
        self._copy_sources = CopySources(ctx, self._gate, self._azurite, self._fabric)
        self._created_blobs = CreatedBlobs(ctx, self._azurite)
        self._lake = DataLake(self._gate, self._azurite, self._fabric, self._created_blobs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        host = request.headers.get("host", "").split(":")[0].lower()
        lake = (endpoint_of(host) or ("", ""))[1] == "dfs"
        try:
            response = await (self._lake.answer(request, host) if lake else self._answer(request, host))
        except ServiceError as error:
            response = self._refusal(error, request, lake=lake)
        except httpx.TransportError as error:
            # Azurite is starting, or stopped in the middle: clients retry a 503, as they do on Azure.
            _log.warning("%s %s: Azurite: %r", request.method, request.scope["path"], error)
            busy = ServiceError(
                503, "ServerBusy", f"The storage emulator does not answer: {error!r}", {"Retry-After": "1"}
            )
            response = self._refusal(busy, request, lake=lake)
        await response(scope, receive, send)

    def _refusal(self, error: ServiceError, request: Request, *, lake: bool) -> Response:
        return (json_response if lake else errors.xml_response)(error, head=request.method == "HEAD")

    async def _answer(self, request: Request, host: str) -> Response:
        account = self._gate.account(host, "blob")
        query = query_of(raw_query_of(request))
        raw_path = raw_path_of(request)
        target = target_of(raw_path, query)
        check_name(target)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        if "sig" in query and query.get("sr") == "d":
            raise not_emulated("a directory's shared access signature at the blob endpoint: use the dfs endpoint")
        if "versionid" in query:
            raise not_emulated("a blob's earlier versions (versionid)")
        if query.get("comp") == "batch":
            return await self._batch(request, account, target, headers)
        entry = self._gate.enter(
            request, account, raw_path, query, headers,
            lambda: [Demand(target, need_of(request.method, target, query, headers))],
        )  # fmt: skip
        if entry.principal is not None and not target.container and query.get("comp") == "userdelegationkey":
            return await delegation.key_response(self._fabric, entry.principal, request)
        copies = "x-ms-copy-source" in headers
        response = await self._forward(request, account.name, target, query, headers, entry)
        self._created_blobs.written(request, account, target, query, response, copies=copies)
        return response

    async def _batch(self, request: Request, account: Resource, target: Target, headers: Mapping[str, str]) -> Response:
        if not headers.get("authorization", "").lower().startswith("bearer "):
            raise not_emulated("a batch without a bearer token")
        principal = self._gate.principal(headers["authorization"], account.name)

        def check(method: str, part: Target, query: Mapping[str, str], own: Mapping[str, str]) -> None:
            check_name(part)
            self._gate.check(principal, account, Demand(part, need_of(method, part, query, own)))

        async def send(method: str, part: Target, query: Mapping[str, str], own: dict[str, str]) -> httpx.Response:
            versioned = {"x-ms-version": headers.get("x-ms-version", delegation_keys.KEY_VERSION), **own}
            path = path_of(account.name, part) + query_text(query)
            answer = await self._azurite.send(method, path, versioned, b"", trusted=True)
            await answer.aread()
            return answer

        if request.method != "POST":
            raise ServiceError(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
        return await batches.answer(request, target.container, check, send)

    async def _forward(
        self,
        request: Request,
        account: str,
        target: Target,
        query: Mapping[str, str],
        headers: dict[str, str],
        entry: Entry,
    ) -> Response:
        await self._name_operation(request.method, query, headers, account, entry)
        headers.pop(TREE, None)
        path = path_of(account, target) + query_text(query)
        content = body_of(request) if has_body(request) else b""
        answer = await self._azurite.send(request.method, path, headers, content, trusted=entry.trusted)
        kept = [(name.lower(), value) for name, value in answer.headers.raw if name.decode().lower() not in HOP_BY_HOP]
        if request.method == "GET" and query.get("comp") == "list":
            body = b"".join([chunk async for chunk in streamed(answer)])
            start = query.get("startfrom", "") if target.container else ""
            body = listing.rewritten(body, f"{self._azurite.url}/{account}", self._fabric.blob_url(account), start)
            kept = [(name, value) for name, value in kept if name != b"content-length"]
            kept.append((b"content-length", str(len(body)).encode()))
            response: Response = Response(body, answer.status_code)
        else:
            response = StreamingResponse(streamed(answer), answer.status_code)
        response.raw_headers = [(name, value) for name, value in kept if name != listing.HIDDEN_HEADER]
        return response

    async def _name_operation(
        self, method: str, query: Mapping[str, str], headers: dict[str, str], account: str, entry: Entry
    ) -> None:
        """Leave only the headers that belong to the authorized operation.

        Azurite chooses the operation with the most matching parameters and headers: with comp=tags and x-ms-blob-type
        it would write the blob itself.
        """
        source = headers.pop("x-ms-copy-source", None)
        headers.pop("x-ms-copy-source-authorization", None)
        comp = query.get("comp", "")
        if method != "PUT" or comp:
            headers.pop("x-ms-blob-type", None)
            headers.pop("x-ms-requires-sync", None)
        if source is None or method != "PUT":
            return
        if comp in _FROM_URL:
            raise not_emulated(f"PUT comp={comp} from a URL (x-ms-copy-source)")
        if not comp:
            headers["x-ms-copy-source"] = await self._copy_sources.for_azurite(source, account, entry)
