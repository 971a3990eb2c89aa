"""Builds Azure ML's environments as virtual environments, in the background from their registration on.

On Azure the client's call returns as soon as the version is registered, while its image is being built (threads
Azure/azure-cli#23381, Azure/azure-sdk-for-python#37441); a job that needs the image meanwhile waits in Preparing. Here
too. All users of the same packages share one environment and one build.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from localcloud.azureml import environment_specs
from localcloud.azureml.environment_specs import Declaration
from localcloud.core.context import Context
from localcloud.core.resource import Resource
from localcloud.engine import python_environments, python_runtime, toolchain
from localcloud.engine.python_environments import BuildError

_BUILT_HERE = "built"
"""A mark in a version's private part: it was registered by a localcloud that builds environments."""
_log = logging.getLogger("localcloud.azureml")


@dataclass(frozen=True)
class Build:
    """An active build. `done` returns the environment's folder or raises BuildError; `log` grows until then."""

    log: Path
    done: asyncio.Future[Path]


@dataclass(frozen=True)
class Environment:
    """A version's environment: the folder if it is built already, or the active build.

    `warnings` belong into the log of each job that uses it.
    """

    warnings: tuple[str, ...]
    place: Path | Build


class EnvironmentBuilds:
    """Active builds of environments, one for each content."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._running: dict[str, Build] = {}
        self._looking = asyncio.Lock()

    def declaration(self, version: Resource) -> Declaration:
        """Return the declaration of a registered version.

        Raises ServiceError 501 for a declaration that cannot be built here.
        """
        declared = environment_specs.declaration(label(version), version.properties)
        return declared if version.private.get(_BUILT_HERE) else environment_specs.earlier(declared)

    def begin(self, version: Resource) -> None:
        """Build a version that has just been registered, in the background. A failure is for the job that needs it."""
        if version.properties.get("condaFile"):  # on Azure nothing is built for an image alone
            self._ctx.tasks.start(self._build(version), f"environment {label(version)}")

    async def _build(self, version: Resource) -> None:
        environment_build = await self.get(version)
        if isinstance(environment_build.place, Build):
            try:
                await asyncio.shield(environment_build.place.done)
            except BuildError as error:
                _log.warning("%s", error.message)

    async def get(self, version: Resource) -> Environment:
        """Return the environment of a version, with its build begun if it is not there. Raises ServiceError 501."""
        declared = self.declaration(version)
        python, declared = await asyncio.to_thread(self._interpreter, version, declared)
        key = hashlib.sha256(f"{python}\n{declared.text}".encode()).hexdigest()
        async with self._looking:  # two callers that find nothing at the same time must not build it twice
            build = self._running.get(key)
            if build is None:
                cache = self._ctx.settings.cache
                if python is not None and (
                    home := await asyncio.to_thread(python_environments.find, cache, python, declared.text)
                ):
                    return Environment(declared.warnings, home)
                build = self._running[key] = self._start(label(version), python, declared, key)
                build.done.add_done_callback(lambda done: self._ended(key, done))
        return Environment(declared.warnings, build)

    def _start(self, name: str, python: Path | None, declared: Declaration, key: str) -> Build:
        log = self._ctx.settings.logs / "environments" / f"{key[:16]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(f"{line}\n" for line in (*declared.notes, *declared.warnings)), encoding="utf-8")
        cache = self._ctx.settings.cache
        return Build(log, _in_thread(lambda: _build(cache, name, python, declared, log), f"environment {name}"))

    def _ended(self, key: str, future: asyncio.Future[Path]) -> None:
        del self._running[key]
        if not future.cancelled():
            future.exception()  # marks it as seen: there may be no waiter

    def _interpreter(self, version: Resource, declared: Declaration) -> tuple[Path | None, Declaration]:
        settings = self._ctx.settings
        if declared.python == python_runtime.PYTHON and (tools := toolchain.find(settings)):
            return tools.python, declared
        python = python_runtime.find(settings.cache, declared.python)
        if python is None and not version.private.get(_BUILT_HERE):
            warning = (
                f"This environment declares Python {declared.python}, which this machine does not have. It was "
                "registered before localcloud built environments, so it gets "
                f"Python {python_runtime.PYTHON}, which Azure would not do."
            )
            python = python_runtime.find(settings.cache)
            declared = replace(declared, warnings=(*declared.warnings, warning))
        return python, declared


def admit(version: Resource) -> None:
    """Take a new version, whose jobs get its own packages. Raises ServiceError 501 or 400 to refuse it."""
    environment_specs.check_buildable(label(version), version.properties)
    version.private[_BUILT_HERE] = True


def label(version: Resource) -> str:
    """NAME:VERSION."""
    parts = version.id.split("/")
    return f"{parts[-3]}:{parts[-1]}"


def _in_thread(work: Callable[[], Path], name: str) -> asyncio.Future[Path]:
    """Run `work` in a thread that the gateway's end does not wait for, nor its other blocking work for a build."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Path] = loop.create_future()

    def settle(result: Path | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        elif result is not None:
            future.set_result(result)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the gateway has stopped
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def _build(cache: Path, name: str, python: Path | None, declared: Declaration, log: Path) -> Path:
    if python is None:
        message = (
            f"The environment '{name}' cannot be built: it declares Python {declared.python}, which this machine does "
            f"not have. Declare python={python_runtime.PYTHON}, or install Python {declared.python}."
        )
        raise _failed(log, message)
    if line := environment_specs.local_file(declared.requirements):
        message = (
            f"The environment '{name}' cannot be built: the requirement '{line}' names a file, and Azure ML builds "
            "from the conda file alone. Name packages of an index."
        )
        raise _failed(log, message)
    if line := environment_specs.with_variable(declared.requirements):
        message = (
            f"The environment '{name}' cannot be built: the requirement '{line}' names a variable of the environment, "
            "and Azure ML's builds do not have yours. Write its value; for the credentials of a private feed, make a "
            "workspace connection of category PythonFeed."
        )
        raise _failed(log, message)
    return python_environments.ensure(cache, name, python, declared.text, log)


def _failed(log: Path, message: str) -> BuildError:
    with log.open("a", encoding="utf-8") as output:
        output.write(f"{message}\n")
    return BuildError(message, message)
