"""A webhook of this machine, which the alerts of a rehearsal's prod stack are posted to."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PATH = "/alerts"
_LONGEST = 1_000_000
"""Bytes of a request."""


def new_address() -> str:
    """Return the address of a webhook on a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"https://localhost:{probe.getsockname()[1]}{_PATH}"


class Webhook:
    """The alerts that came so far, in Azure's common alert schema."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []

    def of_alert(self, guid: str) -> dict[str, Any] | None:
        """Return the essentials of an alert that came, None when it did not."""
        for alert in self.alerts:
            essentials: dict[str, Any] = alert["data"]["essentials"]
            if str(essentials["alertId"]).endswith(f"/{guid}") and essentials["monitorCondition"] == "Fired":
                return essentials
        return None


@contextmanager
def listening(address: str, certificate: Path) -> Iterator[Webhook]:
    """Take alerts at an address of this machine. `certificate`: PEM file with a key and a certificate for localhost.

    Raises OSError when another process has the port.
    """
    webhook = Webhook()
    port = int(address.rsplit(":", 1)[1].removesuffix(_PATH))
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(webhook))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()


def _handler(webhook: Webhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != _PATH or not 0 < length <= _LONGEST:
                self.send_error(400)
                return
            webhook.alerts.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the terminal for the rehearsal."""

    return Handler
