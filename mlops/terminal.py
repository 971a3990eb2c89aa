"""Output for people: text from data, models and logs reaches the terminal as text."""

from __future__ import annotations

import os
import re
import sys

from rich.console import Console
from rich.text import Text

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_COMMAND = re.compile(r"##(?=(?:vso)?\[)")


def console(stderr: bool = False) -> Console:
    """Return a console that is wide enough for addresses where there is no terminal to ask."""
    return Console(stderr=stderr, width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")))


def cell(text: str) -> Text:
    """Return a table's cell with the text as it is: no markup, no emoji, no control characters."""
    return Text(plain(text))


def plain(text: str, *, lines: bool = False) -> str:
    """Return a text without control characters and without commands to Azure Pipelines; `lines` keeps line breaks.

    The agent looks for `##vso[` and `##[` in each line of a log (microsoft/azure-pipelines-agent,
    src/Microsoft.VisualStudio.Services.Agent/Command.cs).
    """
    kept = "\n\t" if lines else ""
    shown = "".join(letter if letter.isprintable() or letter in kept else _REPLACEMENT for letter in text)
    return _COMMAND.sub("## ", shown)
