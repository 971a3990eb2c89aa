"""Whether the engine shows a program's debug messages.

The SDK sends five for each resource. The engine does not show them unless it was started with `--debug`
(pulumi/pkg/backend/display: `payload.Severity == diag.Debug && !opts.Debug`); its logs, its event log and its JSON may
have them. The engine's options are in its command line and in variables; where that cannot be read, and where the
engine is another program than `pulumi`, they are sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_OPTIONS = ("--debug", "--verbose", "--log", "--event-log", "--json", "--tracing", "--otel")
_LETTERS = frozenset("dvj")
"""Short options, also several in one word: -d, -v 9, -j."""
_VARIABLES = "PULUMI_OPTION_"
"""Variables with which the engine's options can be set too."""


def are_shown(engine: int) -> bool:
    """Return whether debug messages of a program can be seen. `engine` is the engine's process id."""
    try:
        program, *words = Path(f"/proc/{engine}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return True
    return Path(program).name != "pulumi" or any(map(_asks, words)) or _is_set(os.environ)


def _asks(word: str) -> bool:
    if word.startswith("--"):
        return word.startswith(_OPTIONS)
    return word.startswith("-") and not _LETTERS.isdisjoint(word)


def _is_set(variables: Iterable[str]) -> bool:
    return any(name.startswith(_VARIABLES) for name in variables)
