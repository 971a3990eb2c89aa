"""Requests to an inference server's socket: answers in any pieces, and servers that break off or talk nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from localcloud.azureml.online import upstream
from localcloud.azureml.online.upstream import Answer, UpstreamError


async def _ask(path: Path, pieces: list[bytes], headers: dict[str, str]) -> tuple[Answer | UpstreamError, bytes]:
    """Return the answer of a server that sends `pieces` one by one, or the error, and the received request."""
    received = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        received = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    with contextlib.chdir(path.parent):
        server = await asyncio.start_unix_server(serve, path.name)
    async with server:
        try:
            return await upstream.request(path, "POST", "/score?a=1", headers, b"body"), received
        except UpstreamError as error:
            return error, received


def test_an_answer_in_pieces_is_whole(tmp_path: Path) -> None:
    head = b"HTTP/1.1 424 Failed\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    text = head + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    answer, received = asyncio.run(_ask(tmp_path / "s", pieces, {"content-type": "application/json"}))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.content, answer.headers["content-type"]) == (424, b"abc", "text/plain")
    assert received.startswith(b"POST /score?a=1 HTTP/1.1\r\n") and received.endswith(b"\r\n\r\nbody")
    assert b"content-length: 4\r\n" in received and b"content-type: application/json\r\n" in received


def test_a_socket_may_have_a_longer_path_than_an_address(tmp_path: Path) -> None:
    folder = tmp_path / ("a-long-home-" * 12)
    folder.mkdir()
    answer, _ = asyncio.run(_ask(folder / "s", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], {}))
    assert isinstance(answer, Answer)
    assert answer.status == 200


@pytest.mark.parametrize("reads", [True, False])
def test_a_request_larger_than_the_socket_s_buffers_is_answered_whether_the_server_reads_it_or_not(
    tmp_path: Path, reads: bool
) -> None:
    body = bytes(5_000_000)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = len(await reader.readexactly(len(body))) if reads else len(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes([size % 256]) * 2_000_000)
        await writer.drain()
        writer.close()

    async def run() -> Answer:
        with contextlib.chdir(tmp_path):
            server = await asyncio.start_unix_server(serve, "s")
        async with server, asyncio.timeout(60):
            return await upstream.request(tmp_path / "s", "POST", "/score", {}, body)

    answer = asyncio.run(run())
    assert (answer.status, len(answer.content)) == (200, 2_000_000)


def test_a_request_waits_until_the_server_s_queue_has_room(tmp_path: Path) -> None:
    async def run() -> Answer:
        listener = socket.socket(socket.AF_UNIX)
        with contextlib.chdir(tmp_path):
            listener.bind("s")
            listener.listen(0)
            first = socket.socket(socket.AF_UNIX)
            first.connect("s")  # takes the only place
        waiting = asyncio.create_task(upstream.request(tmp_path / "s", "GET", "/", {}))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done, "it neither fails nor gets through"
        listener.setblocking(False)
        for client in (first, None):
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            with connection:
                if client is None:
                    await asyncio.get_running_loop().sock_sendall(
                        connection, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                    )
                    answer = await waiting
        first.close()
        listener.close()
        return answer

    assert asyncio.run(run()).status == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "too early"),
        (b"SSH-2.0-server\r\n", "not HTTP"),
    ],
)
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, text: bytes, message: str) -> None:
    error, _ = asyncio.run(_ask(tmp_path / "s", [text], {}))
    assert isinstance(error, UpstreamError)
    assert message in str(error)


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="does not answer"):
        asyncio.run(upstream.request(tmp_path / "none", "GET", "/", {}))


def test_a_header_cannot_add_another(tmp_path: Path) -> None:
    error, received = asyncio.run(_ask(tmp_path / "s", [], {"content-type": "text/plain\r\nx-more: 1"}))
    assert isinstance(error, UpstreamError)
    assert "line end" in str(error) and received == b""
