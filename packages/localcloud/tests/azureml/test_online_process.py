"""The process of an inference server: its bounded log, its bounded memory, and its end with all its children."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from localcloud.azureml.online import process
from localcloud.azureml.online.process import BoundedLog, ServerProcess
from localcloud.core.process_marks import marked

_GIB = 1024**3


async def _started(folder: Path, program: str, memory: int = 2 * _GIB) -> tuple[ServerProcess, BoundedLog, Path]:
    log, mark = BoundedLog(folder / "logs" / "server.log"), folder / "server.pid"
    environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    return (
        await ServerProcess.start([sys.executable, "-c", program], folder, environment, log, mark, memory), log, mark,
    )  # fmt: skip


def test_a_log_keeps_its_last_lines_and_no_more_than_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LARGEST_LOG", 100)
    log = BoundedLog(tmp_path / "a.log")
    for number in range(50):
        log.line(f"line {number}")
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.log", "a.log.1"]
    assert all(file.stat().st_size <= 100 for file in tmp_path.iterdir())
    assert log.tail(3) == "line 47\nline 48\nline 49"
    assert log.tail(12).startswith("line 38"), "of both files"


def test_a_server_beyond_its_memory_limit_fails_with_that_message(tmp_path: Path) -> None:
    program = "import time; time.sleep(0.5); print('begins'); content = bytearray(1024 ** 3); print('has it')"

    async def run() -> tuple[int, str]:
        server, log, _ = await _started(tmp_path, program, _GIB // 4)
        code = await server.wait()
        log.close()
        return code, log.tail(100)

    code, text = asyncio.run(run())
    assert code == 1
    assert "begins" in text and "MemoryError" in text and "has it" not in text


def test_the_end_of_a_server_ends_its_workers_too(tmp_path: Path) -> None:
    program = "import os, time; os.fork(); os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)"

    async def run() -> list[int]:
        server, log, mark = await _started(tmp_path, program)
        deadline = time.monotonic() + 30
        while len(log.tail(2).split()) < 2:
            assert time.monotonic() < deadline, "the server does not start"
            await asyncio.sleep(0.02)
        pids = [int(pid) for pid in log.tail(2).split()]
        assert marked(mark) is not None
        await server.end()
        log.close()
        assert marked(mark) is None and not mark.exists()
        return pids

    pids = asyncio.run(run())
    assert len(set(pids)) == 2
    _until(lambda: not any(_runs(pid) for pid in pids))


def test_a_tail_has_the_lines_that_a_server_has_just_written(tmp_path: Path) -> None:
    """Clients read the log right after their request."""
    written = tmp_path / "written"
    program = f"import time; print('answered 200'); open({str(written)!r}, 'w').close(); time.sleep(600)"

    async def run() -> str:
        server, log, _ = await _started(tmp_path, program)
        _until(written.exists)  # the event loop stands: nothing is copied in the meantime
        text = log.tail(10)
        await server.end()
        log.close()
        return text

    assert asyncio.run(run()) == "answered 200"


def test_all_that_a_server_writes_is_in_its_log_when_it_has_ended(tmp_path: Path) -> None:
    lines, line = 40_000, "a line of some length, for a pipe that holds less than all of them"
    program = f"for number in range({lines}): print(number, {line!r})"

    async def run() -> str:
        server, log, _ = await _started(tmp_path, program)
        assert await server.wait() == 0
        assert not log.pipes
        log.close()
        return log.tail(lines + 1)

    assert asyncio.run(run()).split("\n") == [f"{number} {line}" for number in range(lines)]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
