"""Azurite and the MLflow server: restarted when they exit, stopped with the gateway.

Azurite starts with the gateway. MLflow starts when it is needed, since its start takes five seconds of processor time:
with the first workspace of Azure ML, or with the first request that is for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from localcloud.azureml.mlflow.gateway_key import HEADER, gateway_key
from localcloud.core import process_marks
from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings
from localcloud.engine.toolchain import Toolchain
from localcloud.storage.azurite_accounts import StorageFabric

_log = logging.getLogger("localcloud.children")
_STOP_SECONDS = 10
_BACK_OFF_SECONDS = (0.5, 1, 2, 5, 10, 30)
_STEADY_SECONDS = 60
_GIVE_UP_RESTARTS = 3
_LOG_LINES = 12
# TMPDIR is the gateway's own by now: see server.py.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "TZ")


def base_environment() -> dict[str, str]:
    """Return the part of the gateway's environment for children: no secret, no other proxy."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


@dataclass
class Child:
    """A supervised process."""

    name: str
    argv: list[str]
    log: Path
    mark: Path
    """Names the running process, for a `start` or `stop` after a gateway that was killed."""
    environment: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0

    async def run(self) -> None:
        """Start it, and start it again with growing pauses, until cancelled."""
        attempt = 0
        while True:
            started = time.monotonic()
            with self.log.open("ab") as output:
                self.process = await asyncio.create_subprocess_exec(
                    *self.argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                    env=self.environment, start_new_session=True,
                )  # fmt: skip
            process_marks.write_mark(self.mark, self.process.pid)
            code = await self.process.wait()
            attempt = 0 if time.monotonic() - started > _STEADY_SECONDS else attempt + 1
            pause = _BACK_OFF_SECONDS[min(max(attempt - 1, 0), len(_BACK_OFF_SECONDS) - 1)]
            _log.error("%s ended with exit code %s; it starts again in %s s (see %s)", self.name, code, pause, self.log)
            self.restarts += 1
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """SIGTERM to its process group, SIGKILL after ten seconds."""
        self.mark.unlink(missing_ok=True)
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), _STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()


class Children:
    """Child processes of the gateway. `health` is the request by which MLflow reports that it is ready."""

    def __init__(self, children: list[Child], health: httpx.Request, later: Child | None = None) -> None:
        self._children = children
        self._health = health
        self._later = later
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for child in self._children:
            self._start(child)

    def start_later(self) -> None:
        """Start the child that waits until it is needed, once."""
        if self._later is not None:
            child, self._later = self._later, None
            self._children.append(child)
            self._start(child)

    def _start(self, child: Child) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(child.run(), name=child.name))

    async def ready(self) -> None:
        """Return when MLflow answers, unless it is not needed yet (Azurite answered ARM's first requests).

        Raises LocalcloudError with the end of its log when one of them does not start.
        """
        if self._later is not None:
            return
        # The gateway's own environment may name a proxy, which is not for the loopback interface.
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                for child in self._children:
                    if child.restarts >= _GIVE_UP_RESTARTS:
                        raise LocalcloudError(f"{child.name} does not start:\n{_tail(child.log)}")
                try:
                    if (await client.send(self._health)).is_success:
                        return
                except httpx.TransportError as error:
                    _log.debug("MLflow is not ready: %r", error)
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in self._children))


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def make(settings: Settings, tools: Toolchain, storage: StorageFabric) -> Children:
    """Azurite over the storage fabric's folder; MLflow with SQLite in the home and its artifacts in Azurite."""
    package = azurite_package(tools)
    server = [
        sys.executable, "-m", "localcloud.azureml.mlflow.server", "--home", str(settings.home),
        "--port", str(settings.mlflow_port), "--azurite-port", str(settings.azurite_port),
    ]  # fmt: skip
    quiet = {
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "true",
        "NODE_ENV": "production",
    }
    environment = base_environment() | quiet
    marks = process_marks.children_folder(settings)
    marks.mkdir(parents=True, exist_ok=True)
    commands = {"azurite": storage.command(str(tools.node), package), "mlflow": server}
    azurite, mlflow = (
        Child(name, argv, settings.logs / f"{name}.log", marks / f"{name}.pid", environment)
        for name, argv in commands.items()
    )
    health = httpx.Request("GET", f"{settings.mlflow_url}/health", headers={HEADER: gateway_key(settings.home)})
    return Children([azurite], health, later=mlflow)


def azurite_package(tools: Toolchain) -> Path:
    """Return the npm package's folder: …/node_modules/azurite of its command's script."""
    for part in map(Path, reversed(tools.azurite_blob)):
        for folder in part.resolve().parents:
            if folder.name == "azurite" and (folder / "package.json").exists():
                return folder
    raise LocalcloudError(f"the npm package azurite is not where {tools.azurite_blob} says: delete that folder.")
