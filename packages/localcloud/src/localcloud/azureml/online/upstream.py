"""Requests to an inference server's socket, one connection each: the server closes it after its answer.

httpx, which localcloud uses elsewhere, needs 1.7 ms of processor time for such a request, and this module 0.3 ms: as
much as the whole answer of a small model. The parser is httptools, as in the gateway's own server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httptools

_BLOCK = 256 * 1024
_LARGEST = 100 * 1024 * 1024
"""Bytes of an answer."""


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


async def request(socket: Path, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
    """Send a request and return the whole answer. Raises UpstreamError.

    `target` is a path with its query, as a client sent them.
    """
    lines = [f"{method} {target} HTTP/1.1", "host: model", "connection: close", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1:
        raise UpstreamError("A header holds a line end.")
    try:
        with _address(socket) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        try:
            writer.write(f"{head}\r\n\r\n".encode("latin-1") + body)
            return await _read(reader)
        finally:
            writer.close()
    except OSError as error:
        raise UpstreamError(f"The server does not answer: {error}") from error


@contextlib.contextmanager
def _address(socket: Path) -> Iterator[str]:
    """Give a path by a descriptor of its folder: an address has at most 107 bytes (unix(7)). Raises OSError."""
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)


async def _read(reader: asyncio.StreamReader) -> Answer:
    reading = _Reading()
    parser = httptools.HttpResponseParser(reading)
    try:
        while not reading.complete:
            block = await reader.read(_BLOCK)
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
