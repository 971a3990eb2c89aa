"""localcloud's gateway that writes down each request with a JSON body.

    python -m tests.integration.referee.recording FILE

It is the real one, with one ASGI layer in front: the records are the requests on the wire.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from localcloud.core.settings import load_settings
from localcloud.gateway import server
from localcloud.gateway.app import Gateway
from starlette.types import Message, Receive, Scope, Send

_CHANGES = frozenset({"PUT", "POST", "PATCH"})


class Recording(Gateway):
    """A line of JSON for each request: method, host, path, api-version, body, and the answer's status."""

    file: Path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _CHANGES:
            await super().__call__(scope, receive, send)
            return
        content = bytearray()
        status = 0

        async def listened() -> Message:
            message = await receive()
            content.extend(message.get("body", b""))
            return message

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await super().__call__(scope, listened, answered)
        self._write(scope, bytes(content), status)

    def _write(self, scope: Scope, content: bytes, status: int) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if b"json" not in headers.get(b"content-type", b"") or not content:
            return
        entry: dict[str, Any] = {
            "method": scope["method"], "host": headers.get(b"host", b"").decode(), "path": scope["path"],
            "query": scope["query_string"].decode(), "body": json.loads(content), "status": status,
        }  # fmt: skip
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    Recording.file = Path(sys.argv[1])
    with mock.patch.object(server, "Gateway", Recording):
        server.run(load_settings())
