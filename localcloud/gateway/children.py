"""Azurite and the MLflow server: started with the gateway, started again when they die, ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings
from localcloud.engine.toolchain import Toolchain
from localcloud.storage.fabric import StorageFabric

_log = logging.getLogger("localcloud.children")
_STOP_SECONDS = 10
_BACK_OFF_SECONDS = (0.5, 1, 2, 5, 10, 30)
_STEADY_SECONDS = 60
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "TZ")


def base_environment() -> dict[str, str]:
    """What a child gets of the gateway's own environment: nothing that could carry a secret or another proxy."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


@dataclass
class Child:
    """One supervised process."""

    name: str
    argv: list[str]
    log: Path
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
            code = await self.process.wait()
            attempt = 0 if time.monotonic() - started > _STEADY_SECONDS else attempt + 1
            pause = _BACK_OFF_SECONDS[min(attempt, len(_BACK_OFF_SECONDS) - 1)]
            _log.error("%s ended with exit code %s; it starts again in %s s (see %s)", self.name, code, pause, self.log)
            self.restarts += 1
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """SIGTERM to its process group, SIGKILL after ten seconds."""
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
    """All of them."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(child.run(), name=child.name) for child in self._children]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in self._children))

    def states(self) -> list[Mapping[str, object]]:
        """Name, process id and restarts of each."""
        return [
            {"name": child.name, "pid": child.process.pid if child.process else None, "restarts": child.restarts}
            for child in self._children
        ]


def make(settings: Settings, tools: Toolchain, storage: StorageFabric) -> Children:
    """Azurite over the storage fabric's folder; MLflow with SQLite and artifacts in the home."""
    mlflow = settings.home / "mlflow"
    mlflow.mkdir(parents=True, exist_ok=True)
    package = azurite_package(tools)
    server = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(settings.mlflow_port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{mlflow / 'mlflow.db'}",
        "--artifacts-destination", str(mlflow / "artifacts"), "--enable-workspaces",
    ]  # fmt: skip
    quiet = {
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "NODE_ENV": "production",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    environment = base_environment() | quiet
    return Children(
        [
            Child("azurite", storage.command(str(tools.node), package), settings.logs / "azurite.log", environment),
            Child("mlflow", server, settings.logs / "mlflow.log", environment),
        ]
    )


def azurite_package(tools: Toolchain) -> Path:
    """The npm package's folder: …/node_modules/azurite of its command's script."""
    for part in map(Path, reversed(tools.azurite_blob)):
        for folder in part.resolve().parents:
            if folder.name == "azurite" and (folder / "package.json").exists():
                return folder
    raise LocalcloudError(f"the npm package azurite is not where {tools.azurite_blob} says: run `make tools`.")
