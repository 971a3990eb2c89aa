"""`logs`: the ends of all logs, and their new lines."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings

_PAUSE_SECONDS = 0.3
_CHUNK = 64 * 1024


def show(settings: Settings, *, follow: bool, lines: int) -> None:
    """Show the logs. Raises LocalcloudError when there are no logs yet."""
    files = sorted(settings.logs.glob("*.log"))
    if not files:
        raise LocalcloudError(f"There are no logs in {settings.logs}: localcloud was never started there.")
    places = {file: _tail(file, lines) for file in files}
    # Ctrl-C is how one stops following.
    with contextlib.suppress(KeyboardInterrupt):
        while follow:
            time.sleep(_PAUSE_SECONDS)
            for file in sorted(settings.logs.glob("*.log")):
                places[file] = _added(file, places.get(file, 0))


def _tail(file: Path, lines: int) -> int:
    """Print the last lines; returns the file's size."""
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _CHUNK))
        text = stream.read().decode(errors="replace")
    _print(file, text.splitlines()[-lines:])
    return size


def _added(file: Path, since: int) -> int:
    size = file.stat().st_size
    if size < since:
        since = 0  # the log began anew
    if size == since:
        return size
    with file.open("rb") as stream:
        stream.seek(since)
        text = stream.read(size - since).decode(errors="replace")
    _print(file, text.splitlines())
    return size


def _print(file: Path, lines: list[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{file.stem:8} {line}\n")
    sys.stdout.flush()
