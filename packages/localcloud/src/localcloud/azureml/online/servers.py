"""The servers of all deployments: put into service, replaced, restored with the gateway, and their logs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from localcloud.azureml.jobs.transfer import Transfer
from localcloud.azureml.online.instance_types import DEPLOYMENT
from localcloud.azureml.online.launches import Launch
from localcloud.azureml.online.preparation import Preparation, Prepared
from localcloud.azureml.online.process import BoundedLog
from localcloud.azureml.online.server import Server
from localcloud.core.context import Context
from localcloud.core.errors import LocalcloudError, ServiceError

_STEPS = ("SystemSetup", "UserContainerImagePull", "ModelDownload", "UserContainerStart")
"""The service's names, in its order (Azure/azure-powershell, Get-AzMLWorkspaceOnlineDeploymentLog)."""
_log = logging.getLogger("localcloud.azureml")


@dataclass
class _Status:
    """Progress of a deployment's instance: "Waiting", "InProgress", "Succeeded" or "Failed" by step."""

    steps: dict[str, str]

    @classmethod
    def begun(cls) -> _Status:
        return cls({_STEPS[0]: "Succeeded"} | dict.fromkeys(_STEPS[1:], "Waiting"))

    def move(self, step: str, to: str) -> None:
        self.steps[step] = to

    def fail(self) -> None:
        self.steps = {step: "Failed" if state == "InProgress" else state for step, state in self.steps.items()}


class Servers:
    """The servers of one localcloud, by deployment."""

    def __init__(self, ctx: Context, transfer: Transfer) -> None:
        self._ctx = ctx
        self._preparation = Preparation(ctx, transfer)
        self._servers: dict[str, Server] = {}
        self._status: dict[str, _Status] = {}
        self._logs: dict[Path, BoundedLog] = {}
        self._restoring: set[asyncio.Task[None]] = set()

    def of(self, deployment_id: str) -> Server | None:
        """Return the server of a deployment, ready or not."""
        return self._servers.get(deployment_id.lower())

    def runs(self, deployment_id: str) -> bool:
        """Whether a deployment has a server that answers."""
        server = self.of(deployment_id)
        return server is not None and server.ready.is_set()

    async def deploy(self, deployment_id: str, launch: Launch) -> None:
        """Start a server, and replace the deployment's existing one when the new one is ready.

        Raises ServiceError 400 with Azure's code when files, environment or server fail; the old one stays then.
        """
        key = deployment_id.lower()
        status = self._status[key] = _Status.begun()
        ill = self._servers.get(key)
        if ill is not None and ill.launch.key == launch.key:  # the new one uses its socket
            await self._servers.pop(key).stop()
        try:
            server = await self._server(deployment_id, launch, status)
            status.move("UserContainerStart", "InProgress")
            try:
                await server.start()
            except BaseException:
                await server.stop()
                raise
        except LocalcloudError as error:
            status.fail()
            raise ServiceError(500, "InternalServerError", str(error)) from error
        except BaseException:
            status.fail()
            raise
        status.move("UserContainerStart", "Succeeded")
        before, self._servers[key] = self._servers.get(key), server
        if before is not None:
            await before.stop()
        await asyncio.to_thread(self._keep_only, deployment_id, launch)

    async def remove(self, deployment_id: str) -> None:
        """Stop the server of a deployment and delete its files. Does nothing when there is none."""
        server = self._servers.pop(deployment_id.lower(), None)
        if server is not None:
            await server.stop()
        self._status.pop(deployment_id.lower(), None)
        for file in [file for file in self._logs if file.is_relative_to(self._home(deployment_id))]:
            self._logs.pop(file).close()
        await asyncio.to_thread(shutil.rmtree, self._home(deployment_id), ignore_errors=True)

    def log(self, deployment_id: str, container: str, lines: int) -> str:
        """Return the status of the instance and the end of a container's log."""
        status = self._status.get(deployment_id.lower()) or _Status(dict.fromkeys(_STEPS, "Succeeded"))
        head = [f"{step}: {state}" for step, state in status.steps.items()]
        tail = self._log_of(deployment_id, container).tail(lines)
        return "\n".join(["Instance status:", *head, "", "Container logs:", tail, ""])

    async def restore(self) -> None:
        """Start the servers that ran before the gateway stopped, in the background."""
        for deployment in self._ctx.resources.list(DEPLOYMENT):
            if launch := deployment.private.get("launch"):
                work = self._restore(deployment.id, Launch.from_json(launch))
                task = self._ctx.tasks.start(work, f"endpoint {deployment.name}")
                self._restoring.add(task)
                task.add_done_callback(self._restoring.discard)

    async def close(self) -> None:
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        self._servers.clear()
        for log in self._logs.values():
            log.close()

    async def _restore(self, deployment_id: str, launch: Launch) -> None:
        try:
            server = await self._server(deployment_id, launch, _Status.begun())
        except (ServiceError, LocalcloudError) as error:
            message = f"The deployment {launch.endpoint}/{launch.deployment} is not restored: {error}"
            self._log_of(deployment_id, "inference-server").line(message)
            _log.error("%s", message)
            return
        if deployment_id.lower() in self._servers or self._ctx.resources.get(deployment_id) is None:
            return  # another request deployed or deleted it meanwhile
        self._servers[deployment_id.lower()] = server
        server.restore()

    async def _server(self, deployment_id: str, launch: Launch, status: _Status) -> Server:
        home = self._home(deployment_id)
        folder = home / launch.key
        server_log = self._log_of(deployment_id, "inference-server")
        status.move("ModelDownload", "InProgress")
        files = await self._preparation.files(launch, folder, self._log_of(deployment_id, "storage-initializer"))
        status.move("ModelDownload", "Succeeded")
        status.move("UserContainerImagePull", "InProgress")
        environment = await self._preparation.environment(launch, files, server_log)
        status.move("UserContainerImagePull", "Succeeded")
        prepared = Prepared(environment, files.app_root, files.script, files.model_dir, files.model_folder)
        return Server(self._ctx, launch, prepared, folder, server_log)

    def _home(self, deployment_id: str) -> Path:
        name = hashlib.sha256(deployment_id.lower().encode()).hexdigest()[:16]
        return self._ctx.settings.home / "endpoints" / name

    def _log_of(self, deployment_id: str, container: str) -> BoundedLog:
        file = self._home(deployment_id) / "logs" / f"{container}.log"
        return self._logs.setdefault(file, BoundedLog(file))

    def _keep_only(self, deployment_id: str, launch: Launch) -> None:
        """Delete the files of earlier launches."""
        for folder in self._home(deployment_id).iterdir():
            if folder.name not in {launch.key, "logs"}:
                shutil.rmtree(folder, ignore_errors=True)
