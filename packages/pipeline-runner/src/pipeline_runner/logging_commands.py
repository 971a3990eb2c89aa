"""Logging commands: lines `##vso[area.action name=value;…]text` in a step's output, as an agent reads them.

Source: learn.microsoft.com "Logging commands".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LINE = re.compile(r"##vso\[(?P<area>\w+)\.(?P<action>\w+)\s*(?P<properties>[^\]]*)\](?P<text>.*)$")
_ESCAPES = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%"))


@dataclass(frozen=True)
class Command:
    """A logging command. `name` is area.action in lower case."""

    name: str
    properties: Mapping[str, str]
    text: str


def read(line: str) -> Command | None:
    """Return the command on a line, None when there is none."""
    match = _LINE.search(line)
    if match is None:
        return None
    pairs = (pair.partition("=") for pair in match["properties"].split(";") if pair.strip())
    properties = {name.strip().lower(): _plain(value.strip()) for name, _, value in pairs}
    return Command(f"{match['area']}.{match['action']}".lower(), properties, _plain(match["text"]))


def _plain(text: str) -> str:
    for escape, character in _ESCAPES:
        text = text.replace(escape, character)
    return text
