"""The process of an inference server: its bounded log, its bounded memory, and its end with all its children."""

from __future__ import annotations

import asyncio
import os
import sys
import time
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
    deadline = time.monotonic() + 30
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
