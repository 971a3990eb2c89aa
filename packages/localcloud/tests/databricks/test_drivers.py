"""A driver's process and pipe when its start does not succeed, and the secrets that its output hides."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from localcloud.databricks import launch
from localcloud.databricks.drivers import DriverProcess
from localcloud.databricks.runtime.output import Output


def _descriptors() -> set[str]:
    """Return this process's open files, by number and target."""
    opened = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            opened.add(f"{descriptor.name} {descriptor.readlink()}")
        except FileNotFoundError:
            continue  # the listing's own
    return {file for file in opened if " pipe:" in file}


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_start_that_ends_early_leaves_no_process_and_no_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    """A process of the real kind (a session of its own, with a child) stands in for Spark: its start takes seconds."""
    program = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", program])
    tools: Any = None
    started: list[asyncio.subprocess.Process] = []

    async def start() -> None:
        loop, connecting = asyncio.get_running_loop(), asyncio.Event()
        create = asyncio.create_subprocess_exec

        async def noted(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
            started.append(await create(*arguments, **options))
            return started[-1]

        async def connect(*_: Any) -> None:
            connecting.set()
            if not cancelled:
                raise OSError("no pipe")
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        monkeypatch.setattr(loop, "connect_read_pipe", connect)
        task = asyncio.create_task(DriverProcess.start(tools, {}, dict(os.environ), tmp_path, warm_up=False))
        await connecting.wait()
        if cancelled:
            task.cancel()
        with pytest.raises(asyncio.CancelledError if cancelled else OSError):
            await task

    before = _descriptors()
    asyncio.run(start())
    assert started[0].returncode == -9
    with pytest.raises(ProcessLookupError):
        os.killpg(started[0].pid, 0)
    assert _descriptors() <= before


def test_the_output_hides_the_run_s_token_and_its_secret_for_storage(tmp_path: Path) -> None:
    from localcloud.databricks.runtime.driver import secrets_of

    conf = {"spark.hadoop.fs.localcloud.unity.secret": "of-the-run", "spark.sql.shuffle.partitions": "2"}
    assignment = {"context": {"apiToken": "dkea-token"}, "conf": conf}
    output = Output(tmp_path / "output")
    for secret in secrets_of(assignment):
        output.hide(secret)
    assert output.redact("dkea-token, of-the-run, 2") == "[REDACTED], [REDACTED], 2"
    assert secrets_of(assignment | {"conf": {}}) == ["dkea-token"], "no cluster with Unity Catalog"
    output._file.close()
