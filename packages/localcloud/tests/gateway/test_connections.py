"""A connection lives as long as its client makes progress, and no request is read beyond its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from localcloud.gateway.connections import WatchedProtocol
from localcloud.gateway.server import _server

_SILENCE = 0.6
_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


class _Recorder:
    """A transport that counts its writes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        _Quick.writes += 1
        self._transport.write(content)


class _Quick(WatchedProtocol):
    silence_seconds = _SILENCE
    writes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Recorder(transport))  # type: ignore[arg-type]


class _App:
    """Answers with the number of bytes that came.

    /early does not read, /slow does not read for a while, /parts sends its body when `body_may_go`.
    """

    def __init__(self) -> None:
        self.unfinished = threading.Semaphore(0)
        self.body_may_go = threading.Semaphore(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        length = 0
        if scope["path"] == "/slow":
            await asyncio.sleep(_SILENCE * 2)
        while scope["path"] != "/early":
            message = await receive()
            if message["type"] == "http.disconnect":
                self.unfinished.release()
                return
            length += len(message["body"])
            if not message["more_body"]:
                break
        body = str(length).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/parts":
            await asyncio.to_thread(self.body_may_go.acquire)
        await send({"type": "http.response.body", "body": body})


class _Running:
    """The server, in a thread."""

    def __init__(self) -> None:
        self.app = _App()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.app, http=_Quick, ws="none", lifespan="off", log_config=None, timeout_keep_alive=60
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self._thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@pytest.fixture(scope="module")
def running() -> Iterator[_Running]:
    server = _Running()
    yield server
    server.stop()


def _until_closed(client: socket.socket) -> tuple[bytes, float]:
    """Return the bytes from the server, and the seconds until it closed the connection."""
    started, received = time.monotonic(), b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            received += chunk
    return received, time.monotonic() - started


def _answer(client: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, response.read()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"POST / HT", b"408"),
        (_HEAD, b"408"),
        (_HEAD + b"Content-Length: 10\r\n\r\n", b"408"),
        (_HEAD + b"Content-Length: 10\r\n\r\nhalf", b"408"),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", b"408"),
    ],
)
def test_a_half_sent_request_is_closed(running: _Running, sent: bytes, status: bytes) -> None:
    with running.connect() as client:
        client.sendall(sent)
        answer, seconds = _until_closed(client)
    assert answer.partition(b"\r\n")[0][9:12] == status
    assert _SILENCE * 0.9 < seconds < _SILENCE * 4
    if b"\r\n\r\n" in sent:
        assert running.app.unfinished.acquire(timeout=10), "its handler learns that the client is gone"


def test_an_upload_lasts_as_long_as_bytes_arrive(running: _Running) -> None:
    pieces = 12
    with running.connect() as client:
        client.sendall(_HEAD + f"Content-Length: {pieces}\r\n\r\n".encode())
        started = time.monotonic()
        for _ in range(pieces):
            time.sleep(_SILENCE / 3)
            client.sendall(b"x")
        assert time.monotonic() - started > _SILENCE * 3
        assert _answer(client) == (200, b"12")


def test_a_client_is_not_silent_while_the_server_does_not_read(running: _Running) -> None:
    with running.connect() as client:
        client.sendall(_HEAD.replace(b"/ ", b"/slow ") + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"x")
        assert _answer(client) == (200, b"1")


def test_the_rest_of_an_answered_request_is_read_up_to_a_limit(running: _Running) -> None:
    with running.connect() as client:
        client.sendall(_HEAD.replace(b"/ ", b"/early ") + b"Content-Length: 1000000\r\n\r\n")
        assert _answer(client)[0] == 200
        started = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() - started < _SILENCE * 20:
                client.sendall(b"x")
                time.sleep(_SILENCE / 6)


def test_a_connection_between_requests_remains_open(running: _Running) -> None:
    with running.connect() as client:
        for _ in range(2):
            client.sendall(_HEAD + b"Content-Length: 1\r\n\r\nx")
            assert _answer(client) == (200, b"1")
            time.sleep(_SILENCE * 3)


def test_the_head_of_an_answer_goes_with_its_body(running: _Running) -> None:
    with running.connect() as client:
        for _ in range(3):
            before = _Quick.writes
            client.sendall(_HEAD + b"Content-Length: 1\r\n\r\nx")
            assert _answer(client) == (200, b"1")
            assert _Quick.writes == before + 1


def test_a_head_does_not_wait_for_a_body_that_comes_later(running: _Running) -> None:
    with running.connect() as client:
        client.sendall(_HEAD.replace(b"/ ", b"/parts ") + b"Content-Length: 1\r\n\r\nx")
        assert client.recv(65536).endswith(b"\r\n\r\n")
        running.app.body_may_go.release()
        assert client.recv(65536) == b"1"


def test_a_head_without_end_is_refused(running: _Running) -> None:
    with running.connect() as client:
        client.sendall(_HEAD)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for number in range(100):
                client.sendall(f"x-{number}: {'a' * 2000}\r\n".encode())
        answer, _ = _until_closed(client)
    assert answer.startswith(b"HTTP/1.1 431 ") or not answer, "a reset may overtake the answer"
    with running.connect() as client:
        client.sendall(_HEAD + b"x: " + b"a" * 60_000 + b"\r\nContent-Length: 1\r\n\r\nx")
        assert _answer(client)[0] == 200


def test_the_gateways_servers_watch_their_connections() -> None:
    assert _server(None, 1).config.http is WatchedProtocol
    assert WatchedProtocol.silence_seconds == 30
