"""Requests to Azurite's blob service, which trusts the front's authorization: streaming both ways."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping

import httpx
from httpcore._async.http11 import AsyncHTTP11Connection

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.storage.azurite_accounts import StorageFabric

HOP_BY_HOP = frozenset(
    {
        "connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_FAILED = 500
_ERROR = re.compile("<Message>(.*?)\n?(?:RequestId.*)?</Message>", re.DOTALL)
_log = logging.getLogger("localcloud.storage")
_READ_BYTES = 256 * 1024
"""The most that asyncio reads from a socket at once. Each part that is passed on costs the same, large or small."""
AsyncHTTP11Connection.READ_NUM_BYTES = _READ_BYTES  # httpx has no option for it; httpcore's own is 64 KiB
_FRONT = "x-localcloud-front"
_NEVER_SENT = frozenset({_FRONT, "x-http-method"})
"""A client's forged mark of the front, and the method that Azurite would use in place of the authorized one."""


class Azurite:
    """Client of Azurite's blob service."""

    def __init__(self, ctx: Context, fabric: StorageFabric) -> None:
        self._fabric = fabric
        self.url = f"http://127.0.0.1:{ctx.settings.azurite_port}"
        # Retries are for the moments in which Azurite starts: nothing was sent then. Node closes a connection that
        # was idle for five seconds, in which a request may be on its way: no connection is used that long.
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                retries=5, limits=httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=2)
            ),
            timeout=httpx.Timeout(300, connect=10),
        )
        ctx.on_stop.append(self._client.aclose)

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: AsyncIterator[bytes] | bytes,
        *,
        trusted: bool,
    ) -> httpx.Response:
        """Return the answer with its body still to be read: `streamed` or aread(). `path` has its query.

        Raises ServiceError 400 or 501 where Azurite fails: it has no words for input that it did not expect.
        """
        sent = {name: value for name, value in headers.items() if name.lower() not in _NEVER_SENT}
        if trusted:
            sent.pop("authorization", None)
            sent[_FRONT] = self._fabric.secret
        # Metadata may be of ISO-8859-1, which httpx does not write by itself.
        raw = [(name.encode("latin-1"), value.strip().encode("latin-1")) for name, value in sent.items()]
        request = self._client.build_request(method, f"{self.url}{path}", headers=raw, content=content)
        if content == b"" and method in {"PUT", "POST"}:
            request.headers["content-length"] = "0"
        answer = await self._client.send(request, stream=True)
        if answer.status_code == _FAILED:
            raise await _refusal(method, path, answer)
        return answer


async def _refusal(method: str, path: str, answer: httpx.Response) -> ServiceError:
    body = await answer.aread()
    await answer.aclose()
    match = _ERROR.search(body.decode("utf-8", "replace"))
    detail = match[1] if match else ""
    code = answer.headers.get("x-ms-error-code", "")
    operation = f"{method} {path.partition('?')[0]}"
    _log.warning("Azurite failed: %s: %s", operation, body[:2000])
    if code == "FeatureNotSupported":
        return not_emulated(f"{operation}: {detail or code}")
    return ServiceError(400, "InvalidInput", f"One of the request inputs is not valid. {detail}".rstrip())
