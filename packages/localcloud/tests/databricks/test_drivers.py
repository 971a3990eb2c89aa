"""A driver's process and pipe when its start does not succeed, and the secrets that its output hides."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from localcloud.core.json import Json
from localcloud.core.settings import load_settings
from localcloud.databricks import launch
from localcloud.databricks.drivers import DriverProcess
from localcloud.databricks.runtime import exercise
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


VIEW = b"""# Databricks notebook source
import json, os, tempfile, threading
jvm, sc = spark._jvm, spark.sparkContext
tracker, shared = sc.statusTracker(), spark._jsparkSession.sharedState()
counts = {"range": spark.range(3).count(), "rdd": sc.parallelize([1]).id()}
dbutils.notebook.exit(json.dumps({
    **counts,
    "jobs": sorted(tracker.getJobIdsForGroup(None)),
    "kept": [sc._jsc.getPersistentRDDs().size(), shared.cacheManager().isEmpty()],
    "catalog": [[str(item) for item in items] for items in (
        spark.catalog.listTables(), spark.catalog.listDatabases(), spark.catalog.listCatalogs(),
    )],
    "conf": sorted(sc.getConf().getAll()),
    "sql": sorted([row.key, row.value] for row in spark.sql("SET").collect()),
    "listeners": [len(spark._jsparkSession.listenerManager().listListeners()), spark.streams.active],
    "files": sorted(name.split("-")[0] for name in os.listdir(tempfile.gettempdir()) if ".so" not in name),
    "local": sorted(name.split("-")[0] for name in os.listdir(spark.conf.get("spark.local.dir"))),
    "folder": [os.getcwd(), sorted(globals())],
    "threads": len(threading.enumerate()),
}))
"""
_OWN_SETTINGS = ("spark.app.", "spark.driver.port", "spark.driver.appUIAddress")
"""Settings with numbers or the time of a single context."""


async def _driver(folder: Path, *, warm_up: bool) -> DriverProcess:
    settings = load_settings()
    tools = launch.find_tools(settings)
    conf = launch.launch_conf(settings, tools, folder)
    environment = launch.environment(settings, tools, folder)
    driver = await DriverProcess.start(tools, conf, environment, folder, warm_up=warm_up)
    await driver.ready
    return driver


async def _outcome(driver: DriverProcess) -> Json:
    """Run the notebook VIEW and return its outcome."""
    tree = driver.folder / "Workspace"
    tree.mkdir()
    (tree / "view").write_bytes(VIEW)
    names = ("browserHostName", "apiUrl", "apiToken", "workspaceId", "clusterId", "jobId", "currentRunId", "userName")
    assignment: Json = {
        "notebook_path": "/view", "parameters": {}, "tree": str(tree), "notebooks": {"/view": "PYTHON"},
        "notebook_ids": {}, "output": str(driver.folder / "output.jsonl"), "conf": {}, "environment": {},
        "context": {name: "none" for name in names},
    }  # fmt: skip
    return await driver.run(assignment, lambda method, arguments: None, lambda: None)


async def _view(driver: DriverProcess) -> Json:
    outcome = await _outcome(driver)
    assert outcome["result"] == "SUCCESS", outcome
    view: Json = json.loads(outcome["value"].replace(str(driver.folder), "DRIVER"))
    for name in ("conf", "sql"):
        view[name] = [pair for pair in view[name] if not pair[0].startswith(_OWN_SETTINGS)]
    return view


def _on_driver(folder: Path, work: Callable[[DriverProcess], Awaitable[Json]], *, warm_up: bool) -> Json:
    async def run() -> Json:
        driver = await _driver(folder, warm_up=warm_up)
        try:
            return await work(driver)
        finally:
            await driver.kill()

    folder.mkdir()
    return asyncio.run(run())


def test_a_kill_during_the_exercise_ends_the_wait_for_it_and_for_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that reports its start and then only reads stands in for a driver whose step does not end."""
    program = (
        "import os, sys, time\n"
        'os.write(int(sys.argv[1]), b\'{"ready": true, "seconds": 0}\\n\')\n'
        "for line in sys.stdin: pass"
    )
    monkeypatch.setattr(launch, "command", lambda *words: [sys.executable, "-c", program, words[-1]])

    async def killed() -> Json:
        tools: Any = None
        driver = await DriverProcess.start(tools, {}, dict(os.environ), tmp_path, warm_up=True)
        await driver.ready
        exercise = asyncio.create_task(driver.exercise())
        run = asyncio.create_task(driver.run({}, lambda method, arguments: None, lambda: None))
        await asyncio.sleep(0)
        assert not exercise.done() and not run.done()
        await driver.kill()
        await exercise
        return await run

    outcome = asyncio.run(killed())
    assert outcome["result"] == "INTERNAL_ERROR"
    assert outcome["error"].startswith("The Spark driver has stopped unexpectedly.")


@pytest.mark.nightly
def test_a_notebook_sees_nothing_of_its_driver_s_exercise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its view equals a notebook's on a driver that has only started."""

    async def exercised(driver: DriverProcess) -> Json:
        await driver.exercise()
        return await _view(driver)

    caplog.set_level(logging.INFO, "localcloud.databricks")
    view = _on_driver(tmp_path / "exercised", exercised, warm_up=True)
    assert view == _on_driver(tmp_path / "new", _view, warm_up=False)
    assert f"{_steps()} steps of exercise" in caplog.text


def test_a_run_ends_its_driver_s_exercise_and_sees_nothing_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def at_once(driver: DriverProcess) -> Json:
        _, view = await asyncio.gather(driver.exercise(), _view(driver))
        return view

    caplog.set_level(logging.INFO, "localcloud.databricks")
    view = _on_driver(tmp_path / "My driver", at_once, warm_up=True)
    (steps,) = re.findall(r"(\d+) steps of exercise", caplog.text)
    assert int(steps) < _steps()
    assert (view["jobs"], view["kept"], view["catalog"][0]) == ([0, 1], [0, True], []), "its own count has two jobs"
    assert not [name for name in view["files"] if name.startswith("tmp")], "the folder of the exercise"
    assert [folder.name for folder in tmp_path.iterdir()] == ["My driver"], (
        "Hadoop does not decode the address of a folder with a space"
    )


def _steps() -> int:
    return len(exercise.steps(None, Path()))
