"""The frame of the tests' HTTP services: a server on a port of its own, where one function answers every request."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import trustme


@dataclass(frozen=True)
class Request:
    """HTTP request as a handler of a test gets it."""

    method: str
    path: str
    """Path without its percent signs."""
    query: dict[str, list[str]]
    headers: Message
    content: bytes


@dataclass(frozen=True)
class Response:
    """HTTP response of a handler of a test."""

    status: int
    media: str
    content: str
    headers: dict[str, str] = field(default_factory=dict)


class Service:
    """Service that answers while entered, by https with a certificate for localhost; `url` ends without a slash."""

    def __init__(self, answer: Callable[[Request], Response], certificate: trustme.LeafCert | None = None) -> None:
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self._server.server_port}"

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    answer: Callable[[Request], Response]

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the log off the test's standard error."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, unquote(address.path), parse_qs(address.query), self.headers, sent)
        response = type(self).answer(request)
        content = response.content.encode()
        self.send_response(response.status)
        self.send_header("Content-Type", response.media)
        self.send_header("Content-Length", str(len(content)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
