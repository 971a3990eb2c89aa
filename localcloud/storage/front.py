"""https://ACCOUNT.blob.core.windows.net: who may do what, then on to Azurite. Blobs stream both ways, never kept.

Authorization is decided here (bearer tokens by role, Shared Key by signature and the account's setting, SAS by the
account's setting); Azurite then checks a SAS's own signature and permissions, and takes the rest on the front's word.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from localcloud.arm import private_link
from localcloud.arm.store import Resource
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.storage import batches, delegation, errors, listing, sharedkey
from localcloud.storage.fabric import StorageFabric, fabric_of
from localcloud.storage.operations import Target, attributes_of, need_of, target_of

_log = logging.getLogger("localcloud.storage")
_ACCOUNT_TYPE = "Microsoft.Storage/storageAccounts"
_HOP_BY_HOP = frozenset(
    {
        "connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_ABFS = "Azure Blob FS"
"""In the User-Agent of Hadoop's driver, which is at the dfs endpoint on Azure: what holds there counts here."""
_LONGEST_NAME = 1024
_CHALLENGE_SINCE = "2019-12-12"
"""From this x-ms-version on, an anonymous request gets a bearer challenge."""


class StorageFront:
    """An ASGI application for the blob and dfs hosts of every storage account."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._fabric: StorageFabric = fabric_of(ctx)
        self._azurite = f"http://127.0.0.1:{ctx.settings.azurite_port}"
        # Retries are for the moments in which Azurite starts or has closed an idle connection: nothing was sent then.
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                retries=5, limits=httpx.Limits(max_connections=256, max_keepalive_connections=64)
            ),
            timeout=httpx.Timeout(300, connect=10),
        )
        ctx.on_stop.append(self._client.aclose)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ServiceError as error:
            response = errors.xml_response(error, head=request.method == "HEAD")
        except httpx.TransportError as error:
            # Azurite is starting, or went away in the middle: clients retry a 503, as they do on Azure.
            _log.warning("%s %s: Azurite: %r", request.method, request.url.path, error)
            response = errors.xml_response(
                ServiceError(
                    503, "ServerBusy", f"The storage emulator does not answer: {error!r}", {"Retry-After": "1"}
                ),
                head=request.method == "HEAD",
            )
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        host = request.headers.get("host", "").split(":")[0].lower()
        account_name, _, service = host.partition(".")
        if not service.startswith("blob."):
            raise not_emulated(
                f"{host}: of Data Lake Storage only the blob endpoint exists, which ABFS uses with "
                "fs.azure.fns.account.service.type=BLOB"
            )
        account = self._ctx.resources.named(_ACCOUNT_TYPE, account_name)
        if account is None or account.state != "Succeeded":
            raise errors.no_account(account_name, host)
        endpoint = "dfs" if _ABFS in request.headers.get("user-agent", "") else "blob"
        if private_link.refused(self._ctx, account, endpoint):
            raise errors.network_refused()
        query = _query_of(request.url.query)
        raw_path = request.scope["raw_path"].decode("ascii").split("?")[0]
        target = target_of(unquote(raw_path), query)
        _check_name(target)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        if query.get("comp") == "batch" and headers.get("authorization", "").lower().startswith("bearer "):
            return await self._batch(request, account, target, headers)
        trusted, principal = self._authorize(request, account, raw_path, target, query, headers)
        if endpoint == "dfs" and self._keeps_out_dfs(account):
            raise errors.endpoint_unsupported()
        if principal is not None and not target.container and query.get("comp") == "userdelegationkey":
            return await delegation.key_response(self._fabric, principal, request)
        return await self._forward(
            request, account_name, raw_path, headers, query, trusted=trusted, principal=principal
        )

    async def _batch(self, request: Request, account: Resource, target: Target, headers: Mapping[str, str]) -> Response:
        principal = self._principal(headers["authorization"], account.name)

        def check(method: str, one: Target, query: Mapping[str, str], own: Mapping[str, str]) -> None:
            _check_name(one)
            self._check_role(principal, account, method, one, query, own)

        async def send(method: str, url: str, own: dict[str, str]) -> httpx.Response:
            given = {"x-ms-version": headers.get("x-ms-version", delegation.KEY_VERSION), **own}
            given["x-localcloud-front"] = self._fabric.secret
            if method == "PUT":
                given["content-length"] = "0"
            return await self._client.request(method, f"{self._azurite}/{account.name}{url}", headers=given)

        if request.method != "POST":
            raise ServiceError(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
        return await batches.answer(request, target.container, check, send)

    def _keeps_out_dfs(self, account: Resource) -> bool:
        """Soft delete closes the dfs endpoint of an account without a hierarchical namespace."""
        if account.properties.get("isHnsEnabled"):
            return False
        service = self._ctx.resources.get(f"{account.id}/blobServices/default")
        return service is not None and bool((service.properties.get("deleteRetentionPolicy") or {}).get("enabled"))

    def _authorize(
        self,
        request: Request,
        account: Resource,
        raw_path: str,
        target: Target,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> tuple[bool, Principal | None]:
        """(whether Azurite need not check any more, the principal of a bearer token). Raises ServiceError."""
        authorization = headers.get("authorization", "")
        scheme, _, credential = authorization.partition(" ")
        keys_allowed = account.properties.get("allowSharedKeyAccess") is not False
        if scheme.lower() == "bearer":
            principal = self._principal(authorization, account.name)
            self._check_role(principal, account, request.method, target, query, headers)
            return True, principal
        if scheme == "SharedKey":
            if not keys_allowed:
                raise errors.key_refused()
            name, _, signature = credential.partition(":")
            text = sharedkey.string_to_sign(request.method, account.name, raw_path, request.url.query, headers)
            if name != account.name or not sharedkey.holds(signature, text, account.private["keys"]):
                raise errors.authentication_failed(f"The server computed the string to sign: {text!r}.")
            return True, None
        if scheme:
            raise errors.authentication_failed(f"The scheme {scheme!r} is not one of Bearer and SharedKey.")
        if "sig" in query:
            self._check_sas(account, target, request.method, query, headers, keys_allowed=keys_allowed)
            return False, None
        public = bool(account.properties.get("allowBlobPublicAccess"))
        if not public or request.method not in {"GET", "HEAD"}:
            challenge = headers.get("x-ms-version", "") >= _CHALLENGE_SINCE
            raise errors.not_signed_in(public=public, challenge=challenge)
        return False, None

    def _principal(self, authorization: str, account: str) -> Principal:
        hosts = ("https://storage.azure.com", f"https://{account}.blob.core.windows.net")
        audiences = frozenset(host + end for host in hosts for end in ("", "/"))
        try:
            return self._ctx.identities.authenticate(authorization, audiences)
        except ServiceError as error:
            raise errors.bad_token(error.message) from error

    def _check_role(
        self,
        principal: Principal,
        account: Resource,
        method: str,
        target: Target,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> None:
        need = need_of(method, target, query, headers)
        scope = account.id
        if target.container:
            scope = f"{account.id}/blobServices/default/containers/{target.container}"
        seen = attributes_of(target)
        if not any(
            self._ctx.authorizer.allows(principal, action, scope, data=need.data, attributes=seen)
            for action in need.actions
        ):
            raise errors.permission_mismatch()

    def _check_sas(
        self,
        account: Resource,
        target: Target,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        keys_allowed: bool,
    ) -> None:
        """Without shared keys only user delegation SAS hold, and those no further than their principal's own roles."""
        object_id = query.get("skoid")
        if object_id is None:
            if not keys_allowed:
                raise errors.key_refused()
            return
        if object_id == delegation.SERVICE_OBJECT_ID:
            return
        principal = self._ctx.identities.by_object_id(object_id)
        if principal is None:
            raise errors.authentication_failed(f"The principal {object_id} of the user delegation key does not exist.")
        self._check_role(principal, account, method, target, query, headers)

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
        headers.pop("x-localcloud-front", None)
        if trusted:
            headers.pop("authorization", None)
            headers["x-localcloud-front"] = self._fabric.secret
        source = headers.get("x-ms-copy-source")
        if source is not None:
            headers["x-ms-copy-source"] = self._copy_source(source, account, principal)
            headers.pop("x-ms-copy-source-authorization", None)
        url = f"{self._azurite}/{account}{raw_path}" + (f"?{request.url.query}" if request.url.query else "")
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        upstream = self._client.build_request(
            request.method, url, headers=headers, content=_body(request) if has_body else b""
        )
        if not has_body and request.method in {"PUT", "POST"}:
            upstream.headers["content-length"] = "0"
        answer = await self._client.send(upstream, stream=True)
        kept = [(n.lower(), v) for n, v in answer.headers.raw if n.decode().lower() not in _HOP_BY_HOP]
        if request.method == "GET" and query.get("comp") == "list":
            body = b"".join([chunk async for chunk in _stream(answer)])
            body = listing.rewritten(body, f"{self._azurite}/{account}", self._fabric.blob_url(account))
            kept = [(name, value) for name, value in kept if name != b"content-length"]
            kept.append((b"content-length", str(len(body)).encode()))
            response: Response = Response(body, answer.status_code)
        else:
            response = StreamingResponse(_stream(answer), answer.status_code)
        response.raw_headers = kept
        return response

    def _copy_source(self, source: str, account: str, principal: Principal | None) -> str:
        """A copy's source as Azurite knows it. One in another account needs its own SAS, or the principal's role."""
        parts = urlsplit(source)
        name, _, service = (parts.hostname or "").partition(".")
        if not service.startswith("blob."):
            raise not_emulated(f"copying from {parts.hostname}")
        found = self._ctx.resources.named(_ACCOUNT_TYPE, name)
        if found is None:
            raise ServiceError(
                404, "CannotVerifyCopySource", f"The copy source '{source.split('?')[0]}' does not exist."
            )
        query = parts.query
        if principal is not None and "sig=" not in query:
            target = target_of(unquote(parts.path), {})
            self._check_role(principal, found, "GET", target, {}, {})
            if name != account:
                sas = self._fabric.sas_url(name, target.container, target.blob, permissions="r", hours=1)
                query = "&".join(part for part in (query, sas.partition("?")[2]) if part)
        return f"{self._azurite}/{name}{parts.path}" + (f"?{query}" if query else "")


def _check_name(target: Target) -> None:
    """Names that Azure does not take and Azurite would keep, and then could not list."""
    if len(target.blob) > _LONGEST_NAME:
        raise ServiceError(
            400,
            "OutOfRangeInput",
            f"One of the request inputs is out of range: a blob's name has at most {_LONGEST_NAME} characters.",
        )
    if any(ord(one) < 0x20 for one in target.blob):
        raise ServiceError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


def _query_of(text: str) -> dict[str, str]:
    """Parameters by lower-case name. A repeated one is refused: the front and Azurite could take different ones."""
    pairs = [(name.lower(), value) for name, value in parse_qsl(text, keep_blank_values=True)]
    query = dict(pairs)
    if len(query) != len(pairs):
        repeated = sorted({name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1})
        raise ServiceError(
            400,
            "InvalidQueryParameterValue",
            f"Value for one of the query parameters specified in the request URI is invalid: {', '.join(repeated)} is "
            "given more than once.",
        )
    return query


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The answer's bytes as they come; Azurite is let go of when the client goes away."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


async def _body(request: Request) -> AsyncIterator[bytes]:
    """The request's bytes as they come. A client that goes away ends the upload at Azurite too."""
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect as error:
        raise httpx.ReadError("the client closed the connection") from error
