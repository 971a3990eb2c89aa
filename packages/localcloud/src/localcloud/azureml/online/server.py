"""One supervised inference server: Azure's own (azureml-inference-server-http), started, probed, restarted.

The liveness probe has a managed deployment's rules: a server that does not answer GET / within the probe's limits when
it starts has failed; a server that stops answering later is restarted. There is no reason to wait for the initial
delay or a whole period while it starts, so that it is probed at short intervals.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from localcloud.azureml.online import settings, upstream
from localcloud.azureml.online.launches import Launch
from localcloud.azureml.online.preparation import Prepared
from localcloud.azureml.online.process import BoundedLog, ServerProcess
from localcloud.azureml.online.upstream import Answer, UpstreamError
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.engine import python_environments

_RUN = (
    "import sys; from azureml_inference_server_http.amlserver_linux import run; "
    "run('unix', sys.argv[1], int(sys.argv[2]))"
)
"""The vendor's own start, except for the address: a socket in a private folder, not a port of every network.

The process runs in that folder, so the address is the name alone: Linux takes 107 bytes (unix(7)).
"""
_SOCKET = "server.sock"
_IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = ("LANG", "LC_ALL", "TZ", "USER", "LD_LIBRARY_PATH")
_START_PAUSE = 0.1
_BACK_OFF_SECONDS = (0.5, 1, 2, 5, 10, 30)
_STEADY_SECONDS = 60
_MARK_SECONDS = 3600
"""Interval of marks that the environment is in use: environments without one for a day may be deleted."""
_TSG = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-resourcenotready"
_log = logging.getLogger("localcloud.azureml")


class Server:
    """`ready` is set while it answers."""

    def __init__(self, ctx: Context, launch: Launch, prepared: Prepared, folder: Path, log: BoundedLog) -> None:
        self._ctx = ctx
        self.launch = launch
        self._prepared = prepared
        self._folder = folder
        self._socket = folder / _SOCKET
        self._log = log
        self._mark = ctx.settings.home / "children" / f"endpoint-{folder.parent.name}-{folder.name}.pid"
        self._probe = settings.probe(launch.liveness)
        self._process: ServerProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    async def start(self) -> None:
        """Start it and supervise it from then on. Raises ServiceError 400 ResourceNotReady when it does not come up."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._supervise(first), name=f"endpoint {self._folder.parent.name}")
        await first

    def restore(self) -> None:
        """Supervise it, starting it as often as needed: it has run before."""
        self._task = asyncio.create_task(self._supervise(None), name=f"endpoint {self._folder.parent.name}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it a request. Raises UpstreamError."""
        return await upstream.request(self._socket, method, target, headers, body)

    async def _supervise(self, first: asyncio.Future[None] | None) -> None:
        attempt = 0
        while True:
            started = time.monotonic()
            try:
                async with self._running() as process:
                    await self._until_ready(process)
                    self.ready.set()
                    if first is not None and not first.done():
                        first.set_result(None)
                    reason = await self._until_ill(process)
            except ServiceError as error:
                if first is not None and not first.done():
                    first.set_exception(error)
                    return
                reason = error.message
            except OSError as error:
                reason = f"The server cannot be started: {error}"
                if first is not None and not first.done():
                    first.set_exception(ServiceError(400, "ResourceNotReady", f"{reason}. {_TSG}"))
                    return
            finally:
                self.ready.clear()
            attempt = 0 if time.monotonic() - started > _STEADY_SECONDS else attempt + 1
            pause = _BACK_OFF_SECONDS[min(max(attempt - 1, 0), len(_BACK_OFF_SECONDS) - 1)]
            self._log.line(f"{reason} The container starts again in {pause} s.")
            _log.error("%s/%s: %s", self.launch.endpoint, self.launch.deployment, reason)
            await asyncio.sleep(pause)

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[ServerProcess]:
        """Run the process for the time of the block, with an identity that is revoked after it."""
        self._socket.unlink(missing_ok=True)
        principal = self._ctx.identities.by_object_id(self.launch.identity)
        secret = self._ctx.identities.grant_workload(None, principal.app_id) if principal is not None else None
        workers = self.launch.variables.get("WORKER_COUNT", "1")
        argv = [str(self._prepared.environment / "bin" / "python"), "-c", _RUN, _SOCKET, workers]
        variables = self._variables(secret, principal.app_id if principal is not None else "")
        try:
            process = await ServerProcess.start(
                argv, self._folder, variables, self._log, self._mark, self.launch.memory
            )
            try:
                yield process
            finally:
                await process.end()
        finally:
            if secret is not None:
                self._ctx.identities.revoke_workload(secret)

    async def _until_ready(self, process: ServerProcess) -> None:
        ended = asyncio.create_task(process.wait())
        deadline = time.monotonic() + self._probe.longest_start
        try:
            while not await self._answers():
                finished, _ = await asyncio.wait({ended}, timeout=_START_PAUSE)
                if finished:
                    raise _not_ready(f"User container has crashed or terminated: exit code {ended.result()}.")
                if time.monotonic() > deadline:
                    raise _not_ready("User container has crashed or terminated: Liveness probe failed.")
        finally:
            ended.cancel()

    async def _until_ill(self, process: ServerProcess) -> str:
        """Return why a server that was ready is not any more."""
        ended = asyncio.create_task(process.wait())
        failures, marked = 0, time.monotonic()
        try:
            while failures < self._probe.failures:
                if time.monotonic() - marked > _MARK_SECONDS:
                    python_environments.mark_used(self._prepared.environment)
                    marked = time.monotonic()
                finished, _ = await asyncio.wait({ended}, timeout=self._probe.period)
                if finished:
                    return f"The container ended with exit code {ended.result()}."
                failures = 0 if await self._answers() else failures + 1
            return f"The liveness probe failed {failures} times."
        finally:
            ended.cancel()

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._probe.timeout):
                answer = await self.request("GET", "/", {}, b"")
        except (UpstreamError, TimeoutError):
            return False
        return answer.status == 200

    def _variables(self, secret: str | None, client_id: str) -> dict[str, str]:
        config, parts = self._ctx.settings, self.launch.workspace.split("/")
        proxy = f"http://127.0.0.1:{config.proxy_port}"
        bundle = str(config.tls / "bundle.pem")
        own = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "PATH": f"{self._prepared.environment / 'bin'}:{_IMAGE_PATH}",
            "HOME": str(self._folder),
            "TMPDIR": str(config.scratch),
            "PYTHONUNBUFFERED": "1",
            "AML_APP_ROOT": str(self._prepared.app_root),
            "AZUREML_ENTRY_SCRIPT": self._prepared.script,
            "AZUREML_ARM_SUBSCRIPTION": parts[2],
            "AZUREML_ARM_RESOURCEGROUP": parts[4],
            "AZUREML_ARM_WORKSPACE_NAME": parts[-1],
            "SERVICE_NAME": self.launch.endpoint,
            "AML_APP_INSIGHTS_ENABLED": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": "localhost,127.0.0.1",
            "no_proxy": "localhost,127.0.0.1", "REQUESTS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle,
            "CURL_CA_BUNDLE": bundle,
        }  # fmt: skip
        if self._prepared.model_dir is not None:
            own |= {
                "AZUREML_MODEL_DIR": str(self._prepared.model_dir),
                "MLFLOW_MODEL_FOLDER": self._prepared.model_folder,
            }
        if secret is not None:
            own |= {
                "MSI_ENDPOINT": f"http://127.0.0.1:{config.identity_port}/msi/token",
                "MSI_SECRET": secret,
                "DEFAULT_IDENTITY_CLIENT_ID": client_id,
            }
        return own | self.launch.variables


def _not_ready(message: str) -> ServiceError:
    return ServiceError(400, "ResourceNotReady", f"{message} {_TSG}")
