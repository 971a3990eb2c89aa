"""Requests to an inference server's socket, one connection each: the server closes it after its answer.

httpx, which localcloud uses elsewhere, needs 1.7 ms of processor time for such a request, asyncio's streams 0.3 ms, and
the socket itself 0.1 ms: a connection to it is there at once, and so is the room for a request of usual size. The
parser is httptools, as in the gateway's own server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httptools

_BLOCK = 256 * 1024
_LARGEST = 100 * 1024 * 1024
"""Bytes of an answer."""
_PAUSE_SECONDS = 0.01
_LONGEST_ADDRESS = 107
"""Bytes (unix(7))."""


class UpstreamError(Exception):
    """The server did not answer, or not in HTTP."""


@dataclass
class Answer:
    """A response: `headers` by name in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""


class _Reading:
    """Callbacks of httptools' parser."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.complete = False
        self._content = bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._content += body
        if len(self._content) > _LARGEST:
            raise UpstreamError(f"The answer has more than {_LARGEST} bytes.")

    def on_message_complete(self) -> None:
        self.answer.content = bytes(self._content)
        self.complete = True


async def request(path: Path, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
    """Send a request to the socket at a path, and return the whole answer. Raises UpstreamError.

    `target` is a path with its query, as a client sent them.
    """
    lines = [f"{method} {target} HTTP/1.1", "host: model", "connection: close", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1:
        raise UpstreamError("A header holds a line end.")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            await _connect(connection, path)
            return await _exchange(connection, f"{head}\r\n\r\n".encode("latin-1") + body)
    except OSError as error:
        raise UpstreamError(f"The server does not answer: {error}") from error


async def _connect(connection: socket.socket, path: Path) -> None:
    with _address(path) as address:
        while True:
            try:
                connection.connect(address)
            except BlockingIOError:  # more connections wait to be accepted than the server lets (connect(2))
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """Yield the address of a path: a long one by a descriptor of its folder. Raises OSError."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def _exchange(connection: socket.socket, content: bytes) -> Answer:
    """Send a request and read its answer, which may come before all of the request is sent."""
    sent = connection.send(content)
    if sent == len(content):
        return await _read(connection)
    loop = asyncio.get_running_loop()
    rest = loop.create_task(loop.sock_sendall(connection, memoryview(content)[sent:]))
    try:
        return await _read(connection)
    finally:
        rest.cancel()
        await asyncio.gather(rest, return_exceptions=True)


async def _read(connection: socket.socket) -> Answer:
    loop = asyncio.get_running_loop()
    reading = _Reading()
    parser = httptools.HttpResponseParser(reading)
    try:
        while not reading.complete:
            block = await loop.sock_recv(connection, _BLOCK)
            if not block:
                break
            parser.feed_data(block)
    except httptools.HttpParserCallbackError as error:
        raise UpstreamError(str(error.__context__ or error)) from error
    except httptools.HttpParserError as error:
        raise UpstreamError(f"The answer is not HTTP: {error}") from error
    if not reading.complete:
        raise UpstreamError("The server ended its answer too early.")
    reading.answer.status = parser.get_status_code()
    return reading.answer
