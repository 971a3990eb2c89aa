"""Output for people: text from data, models and logs reaches the terminal as text."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

_WIDTH = 120
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_IGNORED = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]*"
"""Printable letters that the agent may not see: it searches by the rules of a language (`IndexOf` of a string)."""
_COMMAND = re.compile(rf"#{_IGNORED}#(?={_IGNORED}(?:v{_IGNORED}s{_IGNORED}o{_IGNORED})?\[)", re.IGNORECASE)


def console(stderr: bool = False) -> Console:
    """Return a console that is wide enough for addresses without a terminal."""
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) > 0 else _WIDTH
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else width)


@contextmanager
def quiet_uploads() -> Iterator[None]:
    """Leave out the output of azure-ai-ml's uploads, which no option stops.

    They end with a colour code on standard error (`_artifacts/_blob_storage_helper.py`, `_gen2_storage_helper.py`).
    """
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@contextmanager
def quiet_polling() -> Iterator[None]:
    """Leave out the dots that azure-ai-ml prints while it waits, in the midst of lines and of JSON.

    No option stops them (`_utils/_azureml_polling.py`).
    """
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def cell(text: str) -> Text:
    """Return a table's cell with the plain text: no markup, no emoji, no control characters."""
    return Text(plain(text))


def say(text: str) -> None:
    """Print a line for people, whose parts may come from data, models and tags."""
    typer.echo(plain(text, lines=True))


def as_json(value: Any) -> str:
    """Return a value as JSON in which no line is a command to Azure Pipelines: one # of two is an escape sequence."""
    return json.dumps(value, indent=2).replace("##", "#\\u0023")


def plain(text: str, *, lines: bool = False) -> str:
    """Return a text without control characters and without commands to Azure Pipelines; `lines` keeps line breaks.

    The agent searches for `##vso[` and `##[` in each line of a log (microsoft/azure-pipelines-agent,
    src/Microsoft.VisualStudio.Services.Agent/Command.cs).
    """
    kept = "\n\t" if lines else ""
    visible = "".join(letter if letter.isprintable() or letter in kept else _REPLACEMENT for letter in text)
    return _COMMAND.sub("## ", visible)
