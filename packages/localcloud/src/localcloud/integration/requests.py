"""Requests that Azure's services send to addresses of their users: to localcloud's own hosts by its proxy."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from localcloud.core.context import Context

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Requests:
    """Sends requests. Its proxy leads to localcloud for Azure's host names, and anywhere else for all others."""

    def __init__(self, ctx: Context) -> None:
        self._settings = ctx.settings

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        params: Mapping[str, str] | None = None,
        seconds: float,
    ) -> httpx.Response:
        """Return the answer, read whole. Raises httpx.HTTPError when there is none within `seconds` of silence."""
        bundle = self._settings.tls / "bundle.pem"
        tls = ssl.create_default_context(cafile=str(bundle)) if bundle.exists() else ssl.create_default_context()
        direct = urlsplit(url).hostname in _LOOPBACK
        proxy = None if direct else f"http://127.0.0.1:{self._settings.proxy_port}"
        async with httpx.AsyncClient(verify=tls, timeout=seconds, trust_env=False, proxy=proxy) as client:
            return await client.request(method, url, headers=dict(headers), content=body, params=params)
