"""The CONNECT proxy of `localcloud env`: Azure's host names go to the gateway, everything else is tunnelled untouched.

Outside connections go through the proxy that the machine itself has, if any.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import socket
from urllib.parse import unquote, urlsplit

from localcloud.core.settings import Settings
from localcloud.gateway.hosts import service_of
from localcloud.gateway.upstream import upstream_of

_log = logging.getLogger("localcloud.proxy")
_CHUNK = 256 * 1024
_CONNECT_SECONDS = 30
_HEAD_SECONDS = 30
_HEAD_BYTES = 64 * 1024


class ConnectProxy:
    """Listens on the loopback interface only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._upstream = upstream_of(os.environ, settings.proxy_port)

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._settings.proxy_port, limit=_HEAD_BYTES
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError) as error:
            _log.debug("a tunnel ended: %s", error)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)).decode("latin-1")
        method, _, rest = head.partition(" ")
        target = rest.split(" ", 1)[0]
        if method.upper() != "CONNECT":
            await _answer(writer, 405, "Method Not Allowed", "This proxy takes CONNECT only: use it as HTTPS_PROXY.")
            return
        try:
            far_reader, far_writer = await asyncio.wait_for(self._open(target), _CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            await _answer(writer, 502, "Bad Gateway", f"Cannot connect to {target}: {error}")
            return
        writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        await writer.drain()
        there, back = _pump(reader, writer, far_writer), _pump(far_reader, far_writer, writer)
        await asyncio.gather(there, back, return_exceptions=True)
        far_writer.close()

    async def _open(self, target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = target.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError("give HOST:PORT")
        host = host.strip("[]")
        if service_of(host) is not None and port == "443":
            return await asyncio.open_connection("127.0.0.1", self._settings.gateway_port, limit=_CHUNK)
        if not self._upstream.takes(host):
            return await asyncio.open_connection(host, int(port))
        return await _through(self._upstream.proxy, target)


async def _through(upstream: str, target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(upstream)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = head.split("\r\n", 1)[0]
    if " 200" not in status:
        writer.close()
        raise ConnectionError(f"the machine's own proxy answered {status!r}")
    return reader, writer


async def _pump(reader: asyncio.StreamReader, own_writer: asyncio.StreamWriter, writer: asyncio.StreamWriter) -> None:
    """Forward bytes until the reader's end. `own_writer` belongs to the reader's connection."""
    connection = own_writer.get_extra_info("socket")
    try:
        while data := await reader.read(_CHUNK):
            # urllib3 lets Nagle's algorithm hold a request's body until the proxy has acknowledged its head
            # (`HTTPConnectionPool.__init__`), which Linux would do after 40 ms. The option holds for a moment only.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            writer.write(data)
            await writer.drain()
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: int, reason: str, text: str) -> None:
    body = (text + "\n").encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    await writer.drain()
