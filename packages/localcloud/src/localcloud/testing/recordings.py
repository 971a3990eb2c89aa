"""Recorded requests of other people's programs, sent again: tests need no installation of the program.

A recording is a JSON file: the client's name and version, and for each command its requests, each with the status that
the client was answered with or the list of statuses that its source accepts. {subscription}, {tenant}, {client},
{principal}, {group}, {name}, {uuid}, {since} and {until} stand for values of the run. A request with "keep": "vault"
keeps its JSON answer: {vault.properties.vaultUri} in later requests is a value of it. The text "{#workspace}" in a
body represents a number of the run. Polling of operations is left out: the player follows `Location` itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession

_SCOPES = {
    "management.azure.com": "https://management.azure.com/.default",
    "graph.microsoft.com": "https://graph.microsoft.com/.default",
    "vault.azure.net": "https://vault.azure.net/.default",
    "core.windows.net": "https://storage.azure.com/.default",
    "azuredatabricks.net": "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default",
}
_KEPT = re.compile(r"\{(\w+)\.([\w.]+)\}")


@dataclass(frozen=True)
class RecordedRequest:
    """`body` is JSON, or the text of a body that is none. `keep` names the answer for later requests."""

    method: str
    url: str
    status: int | list[int]
    body: Any = None
    keep: str = ""


@dataclass(frozen=True)
class RecordedCommand:
    """A command of a client and its requests in order."""

    command: str
    requests: tuple[RecordedRequest, ...]

    @property
    def words(self) -> str:
        """Return the command without its program and its options: "acr credential show"."""
        words = self.command.split()[1:]
        return " ".join(words[: next((index for index, word in enumerate(words) if word.startswith("-")), len(words))])


def read(file: Path) -> list[RecordedCommand]:
    """Return the commands of a recording."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return [
        RecordedCommand(command["command"], tuple(RecordedRequest(**request) for request in command["requests"]))
        for command in content["commands"]
    ]


class Player:
    """Sends recorded requests as the deployer."""

    def __init__(self, azure: AzureSession, values: Mapping[str, str]) -> None:
        self._azure = azure
        self._values = {
            "subscription": azure.subscription_id, "tenant": azure.tenant_id, "principal": azure.object_id, **values,
        }  # fmt: skip
        self._kept: dict[str, Json] = {}

    def play(self, command: RecordedCommand) -> list[Json]:
        """Send a command's requests; return the JSON answers. Raises AssertionError at another status."""
        return [self._send(command, request) for request in command.requests]

    def _send(self, command: RecordedCommand, request: RecordedRequest) -> Json:
        url = self._filled(request.url)
        body = request.body if isinstance(request.body, str) or request.body is None else json.dumps(request.body)
        host = str(urlsplit(url).hostname)
        scope = next(scope for suffix, scope in _SCOPES.items() if host.endswith(suffix))
        headers = {"Authorization": f"Bearer {self._azure.credential.get_token(scope).token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if host.endswith("core.windows.net"):
            headers["x-ms-version"] = "2025-07-05"
        answer = requests.request(
            request.method, url, data=None if body is None else self._filled(body).encode(), headers=headers, timeout=60
        )
        accepted = request.status if isinstance(request.status, list) else [request.status]
        assert answer.status_code in accepted, (
            f"`{command.command}`: {request.method} {url} answered {answer.status_code}, not {request.status}: "
            f"{answer.text[:500]}"
        )
        if request.method != "GET" and "Location" in answer.headers:
            self._azure.finish(answer)
        is_json = "json" in answer.headers.get("Content-Type", "") and answer.text
        content: Json = answer.json() if is_json else {}
        if request.keep:
            self._kept[request.keep] = content
        return content

    def _filled(self, text: str) -> str:
        for name, value in self._values.items():
            text = text.replace(f'"{{#{name}}}"', value).replace(f"{{{name}}}", value)
        return _KEPT.sub(lambda match: str(_value(self._kept[match[1]], match[2])), text)


def _value(content: Json, path: str) -> Any:
    """Return the value of a dotted path. Raises KeyError where the answer has none."""
    value: Any = content
    for name in path.split("."):
        value = value[name]
    return value
