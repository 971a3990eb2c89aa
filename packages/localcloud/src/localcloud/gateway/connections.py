"""Connections of the gateway's servers: a connection is closed when its client stops in the middle of a request.

uvicorn limits neither the size of a request's head nor the duration of a request. Progress counts here, not the time
for a whole request: an upload may take hours as long as bytes come.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

SILENCE_SECONDS = 30.0
_CHECKS = 6
"""Interval of checks of a connection: it ends between 30 and 35 seconds after the last byte."""
_LARGEST_HEAD = 64 * 1024
_HEAD_BEGINS = b"HTTP/1.1 "
_LARGEST_JOINED = 16 * 1024
"""Bytes of a body's part that is copied: one TLS record."""


class _Part(Enum):
    NOTHING = "nothing yet"
    HEAD = "head"
    BODY = "body"
    WHOLE = "whole request"


class _JoiningTransport:
    """A transport that sends the head of an answer together with the first part of its body.

    uvicorn writes them one after the other: each is a TLS record and a packet, for which the client wakes up. A head
    whose body does not follow at once goes alone.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        if not self._head and content.startswith(_HEAD_BEGINS):
            self._head = content
            self._loop.call_soon(self._send_head)
            return
        if self._head and len(content) <= _LARGEST_JOINED:
            content, self._head = self._head + content, b""
        self._send_head()
        self._transport.write(content)

    def close(self) -> None:
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


class WatchedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a bound on a request's head and on a client's silence."""

    silence_seconds = SILENCE_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._part = _Part.NOTHING
        self._head_bytes = 0
        self._silent_checks = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_JoiningTransport(transport, self.loop))  # type: ignore[arg-type]
        self._check_later()

    def data_received(self, data: bytes) -> None:
        if not self._is_answered_early():
            self._silent_checks = 0
        super().data_received(data)
        if self._part is _Part.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part, self._head_bytes = _Part.HEAD, 0

    def on_headers_complete(self) -> None:
        self._part = _Part.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._part = _Part.WHOLE
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._silent_checks = 0
        super().on_response_complete()

    def _is_answered_early(self) -> bool:
        """Return whether the rest of a request comes that has its answer: uvicorn reads and drops it."""
        return self._part is _Part.BODY and self.cycle is not None and self.cycle.response_complete

    def _waits_for_client(self) -> bool:
        if self._part is not _Part.BODY or self.cycle is None:
            return self._part is not _Part.WHOLE
        if self.cycle.response_complete:
            return True
        # The handler is slower than its client, or has not read the body yet.
        return not self.flow.read_paused and not self.cycle.waiting_for_100_continue

    def _check_later(self) -> None:
        self.loop.call_later(self.silence_seconds / _CHECKS, self._check)

    def _check(self) -> None:
        if self.transport.is_closing():
            return
        self._silent_checks = self._silent_checks + 1 if self._waits_for_client() else 0
        if self._silent_checks > _CHECKS:
            self._refuse(408)
        else:
            self._check_later()

    def _refuse(self, status: int) -> None:
        """End the connection, with an answer where a request has begun that has none."""
        begun = self._part in {_Part.HEAD, _Part.BODY}
        answered = self._part is _Part.BODY and self.cycle is not None and self.cycle.response_started
        if begun and not answered:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
