"""The CONNECT proxy: Azure's names lead to the gateway, other names to their own hosts."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
from dataclasses import replace

import pytest
import requests
from localcloud.gateway.proxy import ConnectProxy
from localcloud.gateway.upstream import Upstream, upstream_of
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud, free_port

_SIOCOUTQ = 0x5411
"""Bytes that were sent and not acknowledged (tcp(7))."""
_ROUNDS = 50
"""More than the packets that Linux acknowledges at once at the beginning of a connection."""


def _connect(port: int, target: str, then: bytes = b"") -> bytes:
    """Send `CONNECT target`, and `then` once it is connected; return the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        received = client.recv(65536)
        if b" 200 " in received.split(b"\r\n")[0] and then:
            client.sendall(then)
            client.shutdown(socket.SHUT_WR)
            while data := client.recv(65536):
                received += data
    return received


def test_other_hosts_are_tunnelled_unchanged(cloud: Cloud) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", cloud.settings.proxy_port), timeout=10) as client:
            client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            far, _ = server.accept()
            with far:
                client.sendall(b"\x16\x03\x01 not http")
                assert far.recv(100) == b"\x16\x03\x01 not http"
                far.sendall(b"pong")
                assert client.recv(100) == b"pong"


def test_forwarded_bytes_are_acknowledged_so_that_no_client_holds_its_next_bytes_back(cloud: Cloud) -> None:
    """A client of urllib3 sends a request's body when its head is acknowledged; Linux would wait for 40 ms."""

    def unacknowledged(client: socket.socket) -> int:
        return int(struct.unpack("i", fcntl.ioctl(client, _SIOCOUTQ, b"\0" * 4))[0])

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", cloud.settings.proxy_port), timeout=10) as client:
            client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            far, _ = server.accept()
            with far:
                left = []
                for _ in range(_ROUNDS):
                    client.sendall(b"head")
                    assert far.recv(100) == b"head"
                    left.append(unacknowledged(client))
                    far.sendall(b"answer")
                    assert client.recv(100) == b"answer"
    assert left == [0] * _ROUNDS


def test_an_unreachable_target_gets_a_502_that_names_it(cloud: Cloud) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = _connect(cloud.settings.proxy_port, f"127.0.0.1:{closed.getsockname()[1]}")
    assert answer.startswith(b"HTTP/1.1 502 ") and b"Cannot connect to 127.0.0.1:" in answer
    assert b"give HOST:PORT" in _connect(cloud.settings.proxy_port, "nonsense")


def test_plain_requests_are_refused_with_how_to_use_it(cloud: Cloud) -> None:
    answer = requests.get(
        "http://nowhere.example/", proxies={"http": f"http://127.0.0.1:{cloud.settings.proxy_port}"}, timeout=10
    )
    assert answer.status_code == 405 and "HTTPS_PROXY" in answer.text


def test_azure_s_hosts_that_are_not_emulated_answer_501(azure: AzureSession) -> None:
    answer = requests.get("https://st.queue.core.windows.net/messages", timeout=10)
    assert answer.status_code == 501
    assert "GET https://st.queue.core.windows.net/messages" in answer.json()["error"]["message"]


def test_other_hosts_are_reached_through_the_machine_s_own_proxy(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The running localcloud's proxy plays the machine's: it reaches management.azure.com."""
    settings = replace(cloud.settings, port=free_port())
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{cloud.settings.proxy_port}")

    async def through() -> tuple[bytes, bytes]:
        proxy = ConnectProxy(settings)
        await proxy.start()
        try:
            ask = asyncio.get_running_loop().run_in_executor
            # Not port 443, so that it is not this proxy's own gateway that answers.
            outside = await ask(None, _connect, settings.proxy_port, "nowhere.invalid:8443")
            return outside, await ask(None, _connect, settings.proxy_port, "127.0.0.1:1")
        finally:
            await proxy.close()

    outside, loopback = asyncio.run(through())
    assert b"the machine's own proxy answered 'HTTP/1.1 502 Bad Gateway'" in outside
    assert b"Cannot connect to 127.0.0.1:1" in loopback and b"own proxy" not in loopback


def test_the_machine_s_proxy_is_known_inside_of_make_env_too() -> None:
    machine = {"https_proxy": "proxy.example:3128", "NO_PROXY": "intern.example"}
    first = upstream_of(machine, own_port=9801)
    assert first == Upstream("http://proxy.example:3128", "intern.example")
    assert first.takes("pypi.org")
    assert not first.takes("pypi.intern.example") and not first.takes("localhost")
    inside = {
        "HTTPS_PROXY": "http://127.0.0.1:9801",
        "NO_PROXY": "localhost",
        "LOCALCLOUD_UPSTREAM_PROXY": first.proxy,
        "LOCALCLOUD_UPSTREAM_NO_PROXY": first.no_proxy,
    }
    assert upstream_of(inside, own_port=9801) == first
    assert not upstream_of({}, own_port=9801).takes("pypi.org")
