"""The process of an inference server: in a group of its own, with bounded memory and a bounded log."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from localcloud.azureml.jobs.process import signal_group
from localcloud.core.process_marks import write_mark

_LARGEST_LOG = 4 * 1024 * 1024
"""Bytes. One older file is beside it."""
_BLOCK = 64 * 1024
_LOG_PAUSE_SECONDS = 0.05
_PIPE_SIZE = 1024 * 1024
_GRACE_SECONDS = 10
_log = logging.getLogger("localcloud.azureml")


class BoundedLog:
    """A log file and its predecessor. Its size stays below twice `_LARGEST_LOG`.

    `pipes` are the sources of the log: a tail has the lines that are still in them.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.pipes: set[LogPipe] = set()
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
        for pipe in list(self.pipes):
            pipe.read()
        content = b""
        for file in (self.file, self._older):
            if content.count(b"\n") <= lines and file.exists():
                content = file.read_bytes() + content
        return "\n".join(content.decode("utf-8", "replace").splitlines()[-lines:])


class LogPipe:
    """A pipe for the output of a server and all that it starts, copied into a log until its last writer has ended.

    The copying waits a moment for more: a server writes two lines for each request, and woken by each of them the event
    loop would spend a third of its time for a request on them.
    """

    def __init__(self, log: BoundedLog) -> None:
        self._log = log
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        with contextlib.suppress(PermissionError):  # this user has many such pipes already (pipe(7)): 64 KiB then
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        log.pipes.add(self)
        self._loop.add_reader(self._reading, self._on_content)

    def close_writing(self) -> None:
        """Close this process's own end, so that the pipe ends with the server."""
        os.close(self.writing)

    def read(self) -> None:
        """Copy the content of the pipe, at most as much as it can hold: the event loop has other things to do."""
        for _ in range(_PIPE_SIZE // _BLOCK):
            if self.ended.done():
                return
            try:
                content = os.read(self._reading, _BLOCK)
            except BlockingIOError:
                return
            if not content:
                self._end()
                return
            try:
                self._log.write(content)
            except OSError as error:  # a full disk must not stop the server, which waits for its output to be read
                _log.warning("the log %s is not written: %s", self._log.file, error)

    def _on_content(self) -> None:
        self._loop.remove_reader(self._reading)
        self._loop.call_later(_LOG_PAUSE_SECONDS, self._continue)

    def _continue(self) -> None:
        self.read()
        if not self.ended.done():
            self._loop.add_reader(self._reading, self._on_content)

    def _end(self) -> None:
        self._loop.remove_reader(self._reading)
        os.close(self._reading)
        self._log.pipes.discard(self)
        self.ended.set_result(None)


class ServerProcess:
    """A running server. `mark` names it for a `start` or `stop` after a gateway that was killed."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: LogPipe, mark: Path) -> None:
        self._process = process
        self._mark = mark
        self._pipe = pipe

    @classmethod
    async def start(
        cls, argv: Sequence[str], folder: Path, environment: Mapping[str, str], log: BoundedLog, mark: Path, memory: int
    ) -> ServerProcess:
        """Start a server that cannot have more than `memory` bytes of its own (RLIMIT_DATA, of each process)."""
        pipe = LogPipe(log)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe.writing,
                stderr=asyncio.subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        finally:
            pipe.close_writing()
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_mark(mark, process.pid)
        with contextlib.suppress(psutil.NoSuchProcess):  # it exited at once, which `wait` reports
            psutil.Process(process.pid).rlimit(psutil.RLIMIT_DATA, (memory, memory))
        return cls(process, pipe, mark)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code, when all of the output is in the log."""
        code = await self._process.wait()
        signal_group(self.pid, signal.SIGKILL)  # workers that a killed master left hold the pipe open
        await asyncio.shield(self._pipe.ended)
        return code

    async def end(self) -> None:
        """SIGTERM to all of it, SIGKILL after ten seconds."""
        if self._process.returncode is None:
            signal_group(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._process.wait()), _GRACE_SECONDS)
        signal_group(self.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.shield(self._pipe.ended)
        self._mark.unlink(missing_ok=True)
