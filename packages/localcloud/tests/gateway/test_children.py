"""Supervised processes: restarts, failed starts, and the end of whole process groups."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from localcloud.core.errors import LocalcloudError
from localcloud.core.process_marks import marked
from localcloud.gateway.children import Child, Children

_DEADLINE_SECONDS = 30
_NOWHERE = httpx.Request("GET", "http://127.0.0.1:1/health")


def _child(folder: Path, *argv: str) -> Child:
    return Child("worker", list(argv), folder / "worker.log", folder / "worker.pid", {"PATH": os.environ["PATH"]})


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def test_a_dead_child_is_started_again_and_marked(tmp_path: Path) -> None:
    child = _child(tmp_path, "sleep", "600")

    async def live() -> tuple[int, int]:
        children = Children([child], _NOWHERE)
        children.start()
        await _until(lambda: marked(child.mark) is not None)
        first = marked(child.mark)
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        await _until(lambda: (now := marked(child.mark)) is not None and now.pid != first.pid)
        second = marked(child.mark)
        assert second is not None
        await children.close()
        return first.pid, second.pid

    first, second = asyncio.run(live())
    assert child.restarts == 1
    assert not psutil.pid_exists(first) and not psutil.pid_exists(second)
    assert marked(child.mark) is None


def test_a_child_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    child = _child(tmp_path, "sh", "-c", "echo the disk is full; exit 3")

    async def live() -> None:
        children = Children([child], _NOWHERE)
        children.start()
        try:
            await children.ready()
        finally:
            await children.close()

    with pytest.raises(LocalcloudError, match=r"(?s)worker does not start:.*the disk is full"):
        asyncio.run(live())


def test_processes_of_a_child_are_terminated_with_it(tmp_path: Path) -> None:
    script = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    child = _child(tmp_path, sys.executable, "-c", script)

    async def live() -> int:
        children = Children([child], _NOWHERE)
        children.start()
        await _until(lambda: child.log.exists() and child.log.read_text().endswith("\n"))
        below = int(child.log.read_text())
        assert psutil.pid_exists(below)
        await children.close()
        await _until(lambda: not psutil.pid_exists(below) or psutil.Process(below).status() == psutil.STATUS_ZOMBIE)
        return below

    assert asyncio.run(live())
