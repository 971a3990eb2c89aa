"""An instance pool's idle driver between its start and its run. A process of the real kind stands in for Spark."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from localcloud.core.context import Tasks
from localcloud.core.json import Json
from localcloud.core.settings import load_settings
from localcloud.databricks import launch, pool_instances
from localcloud.databricks.pool_instances import WarmDrivers

VERSION = "17.3.x-scala2.13"
POOL: Json = {"instance_pool_id": "pool", "min_idle_instances": 1, "idle_instance_autotermination_minutes": 10}
WORKSPACE: Any = SimpleNamespace(documents=SimpleNamespace(workspace="workspace"))
DRIVER = """
import json, os, pathlib, sys, time
events, finished = int(sys.argv[2]), pathlib.Path(sys.argv[1]).parent / "finish"
send = lambda **event: os.write(events, (json.dumps(event) + "\\n").encode())
send(ready=True, seconds=0)
for line in sys.stdin:
    if "run" in line:
        send(result="SUCCESS")
    if "exercise" in line:
        finished.with_name("begun").touch()
        while not finished.exists():
            time.sleep(0.01)
    send(exercised=9, seconds=0)
"""


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (files and counts have no event)
            await asyncio.sleep(0.01)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], WarmDrivers]:
    """Return the drivers of a machine that is quiet, or never is."""

    def start(quiet: bool) -> WarmDrivers:
        async def is_quiet() -> bool:
            return quiet

        tools: Any = None
        monkeypatch.setattr(pool_instances, "_quiet", is_quiet)
        monkeypatch.setattr(launch, "find_tools", lambda settings: tools)
        monkeypatch.setattr(launch, "launch_conf", lambda *_: {})
        monkeypatch.setattr(launch, "command", lambda _, program, *words: [sys.executable, "-c", DRIVER, *words])
        context: Any = SimpleNamespace(settings=replace(load_settings(), home=tmp_path), tasks=Tasks())
        monkeypatch.setattr(launch, "environment", lambda *_: {})
        return WarmDrivers(context)

    return start


def _in_pool(warm: WarmDrivers, work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        warm.pool_changed(WORKSPACE, POOL)
        try:
            await work()
        finally:
            await warm.close()

    asyncio.run(run())


def _counts(warm: WarmDrivers) -> tuple[int, int]:
    stats = warm.counts(WORKSPACE, "pool")
    return stats["pending_idle_count"], stats["idle_count"]


def test_an_instance_is_pending_until_it_has_exercised(machine: Callable[[bool], WarmDrivers], tmp_path: Path) -> None:
    warm = machine(True)

    async def work() -> None:
        await _until(lambda: list(tmp_path.glob("drivers/*/begun")))
        assert _counts(warm) == (1, 0)
        (folder,) = (tmp_path / "drivers").iterdir()
        (folder / "finish").touch()
        await _until(lambda: _counts(warm) == (0, 1))

    _in_pool(warm, work)


def test_a_run_takes_an_instance_that_exercises(machine: Callable[[bool], WarmDrivers], tmp_path: Path) -> None:
    warm = machine(True)

    async def work() -> None:
        await _until(lambda: list(tmp_path.glob("drivers/*/begun")))
        driver = await warm.take("workspace", "pool", VERSION)
        assert driver is not None
        (driver.folder / "finish").touch()  # the current step ends
        outcome = await driver.run({}, lambda method, arguments: None, lambda: None)
        assert outcome == {"result": "SUCCESS"}
        assert await warm.take("workspace", "pool", VERSION) is None, "an instance has one run"
        await driver.kill()

    _in_pool(warm, work)


def test_on_a_busy_machine_an_instance_goes_without_an_exercise(machine: Callable[[bool], WarmDrivers]) -> None:
    warm = machine(False)

    async def work() -> None:
        await _until(lambda: _counts(warm) == (0, 1))

    _in_pool(warm, work)
