"""One build serves all jobs of an environment; a job that waits for it ends when it fails."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError
from localcloud.azureml import environment_builds
from localcloud.azureml.environment_builds import Build, EnvironmentBuilds
from localcloud.azureml.environment_specs import Declaration
from localcloud.azureml.jobs import commands
from localcloud.azureml.jobs.blob_logs import BlobLog, FileFollower
from localcloud.core.context import Context
from localcloud.core.resource import Resource
from localcloud.engine import python_environments
from localcloud.engine.python_environments import BuildError
from localcloud.testing.workspace_session import IMAGE

VERSION = Resource(
    "/workspaces/w/environments/env/versions/1", "Microsoft.MachineLearningServices/workspaces/environments/versions",
    "1", properties={"image": IMAGE}, private={"built": True},
)  # fmt: skip


class Refused(BlobLog):
    """A log in a storage account that refuses."""

    def __init__(self) -> None:
        pass

    def append(self, content: bytes) -> None:
        raise HttpResponseError("This request is not authorized")


def test_two_callers_share_a_build_without_blocking_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups_in_main_thread, built = [], []

    def find(*arguments: Any) -> None:
        lookups_in_main_thread.append(threading.current_thread() is threading.main_thread())

    def build(*arguments: Any) -> Path:
        built.append(arguments)
        return tmp_path

    monkeypatch.setattr(python_environments, "find", find)
    monkeypatch.setattr(environment_builds, "_build", build)
    settings = SimpleNamespace(cache=tmp_path / "cache", logs=tmp_path / "logs")
    builds = EnvironmentBuilds(cast(Context, SimpleNamespace(settings=settings)))
    monkeypatch.setattr(builds, "_interpreter", lambda version, declared: (Path(sys.executable), declared))

    async def both() -> list[Path | Build]:
        places = [build.place for build in await asyncio.gather(builds.get(VERSION), builds.get(VERSION))]
        await asyncio.gather(*(place.done for place in places if isinstance(place, Build)))
        return places

    first, second = asyncio.run(both())

    assert isinstance(first, Build)
    assert first is second
    assert (lookups_in_main_thread, len(built)) == ([False], 1)


def test_a_requirement_with_a_variable_fails_the_build_with_a_remedy(tmp_path: Path) -> None:
    line = "--extra-index-url https://user:${FEED_TOKEN}@host/simple"
    log = tmp_path / "log"

    with pytest.raises(BuildError, match=r"cannot be built: the requirement .* names a variable") as failure:
        environment_builds._build(tmp_path, "env:1", Path(sys.executable), Declaration("3.12", ("six", line)), log)

    assert line in failure.value.message
    assert "a workspace connection of category PythonFeed" in failure.value.message
    assert log.read_text() == f"{failure.value.message}\n"


def test_a_refused_log_does_not_hide_the_reason_of_a_failed_build(tmp_path: Path) -> None:
    async def wait() -> Path:
        build = Build(tmp_path / "log", asyncio.get_running_loop().create_future())
        build.done.set_exception(BuildError("no such package", ""))
        return await commands._built(build, FileFollower(build.log, Refused()), "job")

    with pytest.raises(BuildError, match="no such package"):
        asyncio.run(wait())


def test_a_refused_log_fails_a_job_with_a_successful_build(tmp_path: Path) -> None:
    async def wait() -> Path:
        build = Build(tmp_path / "log", asyncio.get_running_loop().create_future())
        build.done.set_result(tmp_path)
        return await commands._built(build, FileFollower(build.log, Refused()), "job")

    with pytest.raises(HttpResponseError, match="not authorized"):
        asyncio.run(wait())


def test_the_first_failure_cancels_the_other_preparations_and_is_raised_unchanged() -> None:
    ended = []

    async def follows() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("follows")

    async def fails() -> None:
        raise HttpResponseError("MLflow is away")

    async def body() -> None:
        tasks = asyncio.create_task(follows()), asyncio.create_task(fails())
        async with commands._ended(*tasks):
            await asyncio.gather(*tasks)

    async def observed() -> None:
        with pytest.raises(HttpResponseError, match="MLflow is away"):
            await body()
        assert ended == ["follows"], "it has ended before the failure is seen"

    asyncio.run(observed())
