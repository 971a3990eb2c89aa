"""Requests to Azurite's blob service, which take the front's word for who may: streaming both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx

from localcloud.core.context import Context
from localcloud.storage.azurite_accounts import StorageFabric

HOP_BY_HOP = frozenset(
    {
        "connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_FRONT = "x-localcloud-front"


class Azurite:
    def __init__(self, ctx: Context, fabric: StorageFabric) -> None:
        self._fabric = fabric
        self.url = f"http://127.0.0.1:{ctx.settings.azurite_port}"
        # Retries are for the moments in which Azurite starts or has closed an idle connection: nothing was sent then.
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                retries=5, limits=httpx.Limits(max_connections=256, max_keepalive_connections=64)
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
        """`path` is percent-encoded, with its query. The answer's body is still to be read: `streamed` or aread()."""
        given = {name: value for name, value in headers.items() if name.lower() != _FRONT}
        if trusted:
            given.pop("authorization", None)
            given[_FRONT] = self._fabric.secret
        # Metadata may be of ISO-8859-1, which httpx does not write by itself.
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]
        request = self._client.build_request(method, f"{self.url}{path}", headers=raw, content=content)
        if content == b"" and method in {"PUT", "POST"}:
            request.headers["content-length"] = "0"
        return await self._client.send(request, stream=True)
