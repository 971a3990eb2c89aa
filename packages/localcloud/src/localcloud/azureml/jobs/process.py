"""The process of a command: started in a session of its own, and ended as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil

GRACE_SECONDS = float(os.environ.get("LOCALCLOUD_JOB_GRACE_SECONDS", "30"))
"""Between SIGTERM and SIGKILL of a job that is cancelled: time to cancel its work elsewhere."""


class CommandProcess:
    """The process of a command, leader of its own session and group. `exited` has its code, -N after signal N."""

    def __init__(self, pid: int, exited: asyncio.Future[int]) -> None:
        self.pid = pid
        self._exited = exited

    @classmethod
    async def start(cls, command: str, folder: Path, environment: Mapping[str, str], log: Path) -> CommandProcess:
        """Start `bash -c COMMAND`, both streams in one file."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                "bash", "-c", command, cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        return cls(process.pid, asyncio.create_task(process.wait(), name=f"process {process.pid}"))

    def mark(self) -> dict[str, float]:
        """Return the data that distinguish this process from a later one with its number."""
        return mark_of(self.pid)

    async def wait(self) -> int:
        """Return the exit code as a shell shows it (128 + N after signal N), and end its remaining processes."""
        code = await asyncio.shield(self._exited)
        signal_group(self.pid, signal.SIGKILL)
        return 128 - code if code < 0 else code

    async def end(self, grace: float = GRACE_SECONDS) -> None:
        """SIGTERM to all of it, SIGKILL after `grace` seconds. Does nothing when it is over."""
        if self._exited.done():
            return
        signal_group(self.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self._exited), grace)
        except TimeoutError:
            pass
        finally:
            signal_group(self.pid, signal.SIGKILL)
            await asyncio.shield(self._exited)


def mark_of(pid: int) -> dict[str, float]:
    try:
        return {"pid": pid, "created": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return {"pid": pid, "created": 0.0}


def end_left_over(mark: Mapping[str, float]) -> None:
    """End the remaining process group of a killed gateway's job, if it still is the same process."""
    pid = int(mark["pid"])
    with contextlib.suppress(psutil.NoSuchProcess):
        if abs(psutil.Process(pid).create_time() - mark["created"]) < 1:
            signal_group(pid, signal.SIGKILL)


def signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
