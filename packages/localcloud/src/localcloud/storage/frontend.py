"""https://ACCOUNT.blob.core.windows.net: who may do what, then on to Azurite. Blobs stream both ways, never kept.

Authorization is decided here (bearer tokens by role, Shared Key by signature and the account's setting, SAS by the
account's setting); Azurite then checks a SAS's own signature and permissions, and takes the rest on the front's word.
What is for the dfs endpoint of an account goes to localcloud.storage.dfs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.resource import Resource
from localcloud.core.streams import body_of, has_body, streamed
from localcloud.storage import batches, delegation, delegation_keys, errors, listing
from localcloud.storage.authorization import ACCOUNT_TYPE, Demand, Gate, check_name, query_of
from localcloud.storage.azurite import HOP_BY_HOP, Azurite
from localcloud.storage.azurite_accounts import StorageFabric, fabric_of
from localcloud.storage.dfs.endpoint import DataLake
from localcloud.storage.dfs.errors import json_response
from localcloud.storage.operations import Target, need_of, target_of

_log = logging.getLogger("localcloud.storage")


class StorageFront:
    """An ASGI application for the blob and dfs hosts of every storage account."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._fabric: StorageFabric = fabric_of(ctx)
        self._azurite = Azurite(ctx, self._fabric)
        self._gate = Gate(ctx)
        self._lake = DataLake(self._gate, self._azurite, self._fabric)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        host = request.headers.get("host", "").split(":")[0].lower()
        lake = host.partition(".")[2].startswith("dfs.")
        try:
            response = await (self._lake.answer(request, host) if lake else self._answer(request, host))
        except ServiceError as error:
            response = self._refusal(error, request, lake=lake)
        except httpx.TransportError as error:
            # Azurite is starting, or went away in the middle: clients retry a 503, as they do on Azure.
            _log.warning("%s %s: Azurite: %r", request.method, request.url.path, error)
            busy = ServiceError(
                503, "ServerBusy", f"The storage emulator does not answer: {error!r}", {"Retry-After": "1"}
            )
            response = self._refusal(busy, request, lake=lake)
        await response(scope, receive, send)

    def _refusal(self, error: ServiceError, request: Request, *, lake: bool) -> Response:
        return (json_response if lake else errors.xml_response)(error, head=request.method == "HEAD")

    async def _answer(self, request: Request, host: str) -> Response:
        account = self._gate.account(host, "blob")
        query = query_of(request.url.query)
        raw_path = request.scope["raw_path"].decode("ascii").split("?")[0]
        target = target_of(unquote(raw_path), query)
        check_name(target)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        if "sig" in query and query.get("sr") == "d":
            raise not_emulated("a directory's shared access signature at the blob endpoint: use the dfs endpoint")
        if query.get("comp") == "batch" and headers.get("authorization", "").lower().startswith("bearer "):
            return await self._batch(request, account, target, headers)
        came = self._gate.enter(
            request, account, raw_path, query, headers,
            lambda: [Demand(target, need_of(request.method, target, query, headers))],
        )  # fmt: skip
        if came.principal is not None and not target.container and query.get("comp") == "userdelegationkey":
            return await delegation.key_response(self._fabric, came.principal, request)
        return await self._forward(
            request, account.name, raw_path, headers, query, trusted=came.trusted, principal=came.principal
        )

    async def _batch(self, request: Request, account: Resource, target: Target, headers: Mapping[str, str]) -> Response:
        principal = self._gate.principal(headers["authorization"], account.name)

        def check(method: str, one: Target, query: Mapping[str, str], own: Mapping[str, str]) -> None:
            check_name(one)
            self._gate.check(principal, account, Demand(one, need_of(method, one, query, own)))

        async def send(method: str, url: str, own: dict[str, str]) -> httpx.Response:
            given = {"x-ms-version": headers.get("x-ms-version", delegation_keys.KEY_VERSION), **own}
            answer = await self._azurite.send(method, f"/{account.name}{url}", given, b"", trusted=True)
            await answer.aread()
            return answer

        if request.method != "POST":
            raise ServiceError(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
        return await batches.answer(request, target.container, check, send)

    async def _forward(
        self,
        request: Request,
        account: str,
        raw_path: str,
        headers: dict[str, str],
        query: Mapping[str, str],
        *,
        trusted: bool,
        principal: Principal | None,
    ) -> Response:
        source = headers.get("x-ms-copy-source")
        if source is not None:
            headers["x-ms-copy-source"] = self._copy_source(source, account, principal)
            headers.pop("x-ms-copy-source-authorization", None)
        headers.pop("x-localcloud-tree", None)
        path = f"/{account}{raw_path}" + (f"?{request.url.query}" if request.url.query else "")
        content = body_of(request) if has_body(request) else b""
        answer = await self._azurite.send(request.method, path, headers, content, trusted=trusted)
        kept = [(n.lower(), v) for n, v in answer.headers.raw if n.decode().lower() not in HOP_BY_HOP]
        if request.method == "GET" and query.get("comp") == "list":
            body = b"".join([chunk async for chunk in streamed(answer)])
            body = listing.rewritten(body, f"{self._azurite.url}/{account}", self._fabric.blob_url(account))
            kept = [(name, value) for name, value in kept if name != b"content-length"]
            kept.append((b"content-length", str(len(body)).encode()))
            response: Response = Response(body, answer.status_code)
        else:
            response = StreamingResponse(streamed(answer), answer.status_code)
        response.raw_headers = [(name, value) for name, value in kept if name != listing.HIDDEN_HEADER]
        return response

    def _copy_source(self, source: str, account: str, principal: Principal | None) -> str:
        """A copy's source as Azurite knows it. One in another account needs its own SAS, or the principal's role."""
        parts = urlsplit(source)
        name, _, service = (parts.hostname or "").partition(".")
        if not service.startswith("blob."):
            raise not_emulated(f"copying from {parts.hostname}")
        found = self._ctx.resources.named(ACCOUNT_TYPE, name)
        if found is None:
            raise ServiceError(
                404, "CannotVerifyCopySource", f"The copy source '{source.split('?')[0]}' does not exist."
            )
        query = parts.query
        check_name(target_of(unquote(parts.path), {}))
        if principal is not None and "sig=" not in query:
            target = target_of(unquote(parts.path), {})
            self._gate.check(principal, found, Demand(target, need_of("GET", target, {}, {})))
            if name != account:
                sas = self._fabric.sas_url(name, target.container, target.blob, permissions="r", hours=1)
                query = "&".join(part for part in (query, sas.partition("?")[2]) if part)
        return f"{self._azurite.url}/{name}{parts.path}" + (f"?{query}" if query else "")
