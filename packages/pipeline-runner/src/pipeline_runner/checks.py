"""Checks of an environment before a stage: approval and exclusive lock.

Source: learn.microsoft.com "Define approvals and checks": a rejected approval fails the stage; one without an answer
in time skips it.
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
from pydantic import BaseModel, ConfigDict

from pipeline_runner.errors import RunnerError
from pipeline_runner.results import Result


class Check(BaseModel):
    """The checks of one environment. `timeout` of the approval in minutes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approval: bool = False
    timeout: int = 43200
    exclusive_lock: bool = False


@dataclass(frozen=True)
class Approvals:
    """Answers to approvals: `yes` grants all except for the environments in `expired` and `rejected`."""

    yes: bool = False
    expired: frozenset[str] = field(default=frozenset())
    rejected: frozenset[str] = field(default=frozenset())

    def request(self, environment: str, stage: str, minutes: int) -> tuple[Result, str]:
        """Return SUCCEEDED when the stage may run, else the stage's result; and a note.

        Raises RunnerError without a person to answer.
        """
        if environment in self.expired:
            return Result.SKIPPED, f"approval of {environment} expired after {minutes} minutes"
        if environment in self.rejected:
            return Result.FAILED, f"approval of {environment} was rejected"
        if self.yes:
            return Result.SUCCEEDED, f"{environment} approved by --yes"
        if not sys.stdin.isatty():
            raise RunnerError(
                f"Stage {stage} waits for an approval of {environment}: answer at a terminal, or pass --yes."
            )
        sys.stdout.write(f"  Stage {stage} deploys to {environment}. Approve? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return Result.SUCCEEDED, f"{environment} approved at the terminal"
        return Result.FAILED, f"approval of {environment} was rejected at the terminal"


@contextlib.contextmanager
def exclusive(home: Path, environment: str, build: int, behavior: str, wait: float) -> Iterator[None]:
    """Hold the environment's lock for a stage; with `sequential`, wait up to `wait` seconds for its holder.

    Raises RunnerError naming the holder when the lock stays held, or at once for `runLatest`.
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
            raise RunnerError(f"The exclusive lock of {environment} is held by {holder}.") from error
    try:
        note.write_text(json.dumps({"build": build, "process": os.getpid()}), encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    try:
        holder = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "another run"  # between taking the lock and writing the note
    return f"build {holder['build']} (process {holder['process']})"
