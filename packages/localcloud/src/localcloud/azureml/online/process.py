"""The process of an inference server: in a group of its own, with bounded memory and a bounded log."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from localcloud.azureml.jobs.process import signal_group
from localcloud.core.process_marks import write_mark

_LARGEST_LOG = 4 * 1024 * 1024
"""Bytes. One older file is beside it."""
_BLOCK = 64 * 1024
_GRACE_SECONDS = 10
_log = logging.getLogger("localcloud.azureml")


class BoundedLog:
    """A log file and its predecessor. Its size stays below twice `_LARGEST_LOG`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._older = file.with_suffix(".log.1")
        self._output: io.FileIO | None = None

    def write(self, content: bytes) -> None:
        """Append to the file, which stays open: a server writes lines for each request."""
        if self._output is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._output = io.FileIO(self.file, "ab")
        if self._output.tell() + len(content) > _LARGEST_LOG:
            self.close()
            self.file.replace(self._older)
            self._output = io.FileIO(self.file, "ab")
        self._output.write(content)

    def close(self) -> None:
        """Close the file until something is written again."""
        if self._output is not None:
            self._output.close()
        self._output = None

    def line(self, text: str) -> None:
        self.write(f"{text}\n".encode())

    def tail(self, lines: int) -> str:
        """Return the last lines, of both files if need be."""
        content = b""
        for file in (self.file, self._older):
            if content.count(b"\n") <= lines and file.exists():
                content = file.read_bytes() + content
        return "\n".join(content.decode("utf-8", "replace").splitlines()[-lines:])


class ServerProcess:
    """A running server. `mark` names it for a `start` or `stop` after a gateway that was killed."""

    def __init__(self, process: asyncio.subprocess.Process, log: BoundedLog, mark: Path) -> None:
        self._process = process
        self._mark = mark
        self._copying = asyncio.create_task(self._copy(log), name=f"log of {process.pid}")

    @classmethod
    async def start(
        cls, argv: Sequence[str], folder: Path, environment: Mapping[str, str], log: BoundedLog, mark: Path, memory: int
    ) -> ServerProcess:
        """Start a server that cannot have more than `memory` bytes of its own (RLIMIT_DATA, of each process)."""
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_mark(mark, process.pid)
        with contextlib.suppress(psutil.NoSuchProcess):  # it exited at once, which `wait` reports
            psutil.Process(process.pid).rlimit(psutil.RLIMIT_DATA, (memory, memory))
        return cls(process, log, mark)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code, when all of the output is in the log."""
        code = await self._process.wait()
        signal_group(self.pid, signal.SIGKILL)  # workers that a killed master left hold the pipe open
        await asyncio.shield(self._copying)
        return code

    async def end(self) -> None:
        """SIGTERM to all of it, SIGKILL after ten seconds."""
        if self._process.returncode is None:
            signal_group(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._process.wait()), _GRACE_SECONDS)
        signal_group(self.pid, signal.SIGKILL)
        await self._process.wait()
        await self._copying
        self._mark.unlink(missing_ok=True)

    async def _copy(self, log: BoundedLog) -> None:
        if self._process.stdout is None:
            raise RuntimeError("the server has no pipe")
        while content := await self._process.stdout.read(_BLOCK):
            try:
                log.write(content)
            except OSError as error:  # a full disk must not stop the server, which waits for its output to be read
                _log.warning("the log %s is not written: %s", log.file, error)
