"""The processes a language host starts: programs, plugins and installs. No process outlives the host."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

_GRACE_SECONDS = 2.0
"""Time for a process to end by itself before it is killed; the engine waits a second longer for its plugins."""

Chunk = tuple[str, bytes]
"""("stdout" or "stderr", the text)."""


class Processes:
    """The running children of one host. `end_all` may be called from any thread, also while children start."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = False

    @contextmanager
    def started(
        self, command: Sequence[str], *, cwd: str | None, env: Mapping[str, str], piped: bool
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start `command` in a process group of its own, so that a terminal's Ctrl-C reaches it only through us.

        `env` is added to ours. With `piped` the caller reads its output, else it goes to ours.
        """
        with self._lock:
            if self._ended:
                raise RuntimeError("the language host is ending")
            stream = subprocess.PIPE if piped else None
            process = subprocess.Popen(
                list(command),
                cwd=cwd or None,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            yield process
        finally:
            end(process)
            with self._lock:
                self._running.discard(process)

    def end_all(self) -> None:
        """End every child and start no more."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        for process in running:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all it started: by SIGTERM, and by SIGKILL if it is still there after the grace."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it has exited since


def output(process: subprocess.Popen[bytes]) -> Iterator[Chunk]:
    """Yield the output of a piped process as it comes, until the process has closed both streams."""
    chunks: queue.Queue[Chunk | None] = queue.Queue()

    def read(name: str, stream: IO[bytes]) -> None:
        for line in stream:
            chunks.put((name, line))
        chunks.put(None)

    assert process.stdout is not None and process.stderr is not None
    for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
        threading.Thread(target=read, args=(name, stream), daemon=True).start()
    open_streams = 2
    while open_streams:
        chunk = chunks.get()
        if chunk is None:
            open_streams -= 1
        else:
            yield chunk
