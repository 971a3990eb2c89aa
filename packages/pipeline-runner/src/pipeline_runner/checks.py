"""An environment's checks before a stage: approval and exclusive lock.

Source: learn.microsoft.com "Define approvals and checks": a rejected approval fails the stage; one that nobody
answers in time skips it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline_runner.errors import RehearsalError
from pipeline_runner.results import Result


@dataclass(frozen=True)
class Check:
    """`timeout` in minutes; 0 means that no approval is needed."""

    approval: bool = False
    timeout: int = 43200
    exclusive_lock: bool = False


@dataclass(frozen=True)
class Approvals:
    """How approvals are answered: `yes` grants all; those of the environments in `expired` and `rejected` end so."""

    yes: bool = False
    expired: frozenset[str] = field(default=frozenset())
    rejected: frozenset[str] = field(default=frozenset())

    def ask(self, environment: str, stage: str, minutes: int) -> tuple[Result, str]:
        """Return the result that the stage has if it may not run, else SUCCEEDED; and what happened in words."""
        if environment in self.expired:
            return Result.SKIPPED, f"approval of {environment} expired after {minutes} minutes"
        if environment in self.rejected:
            return Result.FAILED, f"approval of {environment} was rejected"
        if self.yes:
            return Result.SUCCEEDED, f"{environment} approved by --yes"
        if not sys.stdin.isatty():
            raise RehearsalError(
                f"Stage {stage} waits for an approval of {environment}: answer at a terminal, or give --yes."
            )
        sys.stdout.write(f"  Stage {stage} deploys to {environment}. Approve? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return Result.SUCCEEDED, f"{environment} approved at the terminal"
        return Result.FAILED, f"approval of {environment} was rejected at the terminal"


@contextlib.contextmanager
def exclusive(home: Path, environment: str, build: int, behavior: str, wait: float) -> Iterator[None]:
    """Hold the environment's lock for a stage. `sequential` waits up to `wait` seconds for who has it.

    Raises RehearsalError naming the holder when it does not become free, or at once for `runLatest`.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(home / f"{environment}.lock"), home / f"{environment}.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = _holder(note)
        sys.stdout.write(f"  {environment} is locked by {holder}: waiting for it ({behavior}).\n")
        sys.stdout.flush()
        try:
            lock.acquire(timeout=wait if behavior == "sequential" else 0)
        except Timeout as error:
            raise RehearsalError(f"The exclusive lock of {environment} is held by {holder}.") from error
    try:
        note.write_text(json.dumps({"build": build, "process": os.getpid()}), encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    try:
        held = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "another run"  # between taking the lock and writing the note
    return f"build {held['build']} (process {held['process']})"
