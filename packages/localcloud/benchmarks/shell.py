"""Commands as a user types them, in a shell that evaluated `make env`."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MAKEFILE_S = {
    "LOCALCLOUD_HOME": str(ROOT / ".localcloud"),
    "LOCALCLOUD_CACHE": str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataopsml"),
    "LOCALCLOUD_STATE_GROUP": "rg-dataopsml-state",
    "LOCALCLOUD_STATE_ACCOUNT": "stdataopsmlstate",
    "LOCALCLOUD_STATE_CONTAINER": "state-local",
}
"""Variables that the Makefile sets, for benchmarks that are started without it."""
_EXPORT = re.compile(r"^export (\w+)='(.*)'$")


class CommandFailed(Exception):
    """A benchmark's command exited with another code than 0; its output is the message."""


def run(*argv: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return its output. Raises CommandFailed."""
    completed = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if completed.returncode:
        raise CommandFailed(f"{' '.join(argv)} ended with {completed.returncode}:\n{completed.stdout}")
    return completed.stdout


@cache
def shell_environment() -> dict[str, str]:
    """Return the variables that `eval "$(make env)"` sets."""
    return exported(run("make", "env"))


def exported(text: str) -> dict[str, str]:
    """Return the variables of `export NAME='value'` lines."""
    return {match[1]: match[2] for line in text.splitlines() if (match := _EXPORT.match(line))}
