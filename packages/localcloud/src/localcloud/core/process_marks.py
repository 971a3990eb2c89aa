"""Marks of processes that a localcloud started: `start` and `stop` find a killed one's processes by these files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

from localcloud.core.settings import Settings


def children_folder(settings: Settings) -> Path:
    """Return the folder with a mark for each supervised process."""
    return settings.home / "children"


def write_mark(mark: Path, pid: int) -> None:
    """Write a mark: a process id and the process's start, because process ids are used again."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it exited at once
        fresh = mark.with_suffix(f".{os.getpid()}")
        fresh.write_text(f"{pid} {psutil.Process(pid).create_time()}")
        fresh.replace(mark)


def marked(mark: Path) -> psutil.Process | None:
    """Return the process that a mark names, None when it has ended."""
    try:
        pid, created = mark.read_text().split()
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(created)) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return process if same else None
