"""Runs the command of a job or step, from its place in the queue to its artifacts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.azureml import hosts, paths
from localcloud.azureml.common import user_error
from localcloud.azureml.environment_builds import Build, EnvironmentBuilds
from localcloud.azureml.jobs import blob_logs, environment, expressions
from localcloud.azureml.jobs.blob_logs import BlobLog, FileFollower
from localcloud.azureml.jobs.nodes import Nodes
from localcloud.azureml.jobs.process import CommandProcess
from localcloud.azureml.jobs.registering import register_outputs
from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.jobs.stopping import Stop
from localcloud.azureml.jobs.tracking import Tracking
from localcloud.azureml.jobs.transfer import Transfer
from localcloud.azureml.jobs.warm_processes import WarmProcesses
from localcloud.azureml.jobs.workdir import WorkFolder
from localcloud.azureml.mlflow.access import RunTokens
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.engine.python_environments import BuildError

_TAIL_LINES, _TAIL_CHARACTERS = 20, 2000
LOST = "localcloud was stopped while the job ran: the job did not end. Submit it again."
_log = logging.getLogger("localcloud.azureml")

Changed = Callable[[Run], None]
"""Called after each change of a run's status: stores it, and informs listeners."""


@dataclass
class _Attempt:
    """A run of a command. `process` is set while there is one."""

    workspace: Resource
    run: Run
    parent: Run | None
    stop: Stop
    changed: Changed
    process: CommandProcess | None = None
    error: Json | None = None

    def move(self, status: str) -> None:
        self.run.move(status)
        self.changed(self.run)

    def fail(self, code: str, message: str, cause: str | None = None) -> None:
        """Note an error; the first one counts. `cause` is the line for tables, where it is not the message's first."""
        self.error = self.error or {"code": code, "message": message} | ({"cause": cause} if cause else {})


class Commands:
    """Runner of the commands of jobs and steps."""

    def __init__(self, ctx: Context, transfer: Transfer, tracking: Tracking, tokens: RunTokens) -> None:
        self._ctx = ctx
        self._transfer = transfer
        self._tracking = tracking
        self._tokens = tokens
        self._builds = ctx.offered[EnvironmentBuilds]
        self._warm = WarmProcesses(ctx.settings.logs / "fork-servers.log")
        self.nodes = Nodes(ctx)

    async def close(self) -> None:
        """Stop the processes that wait for jobs."""
        await self._warm.close()

    async def run(self, workspace: Resource, run: Run, parent: Run | None, stop: Stop, changed: Changed) -> None:
        """Run a command to its end, with the result in `run.status`. Only the gateway's stop raises."""
        attempt = _Attempt(workspace, run, parent, stop, changed)
        body = asyncio.create_task(self._body(attempt), name=f"job {run.id}")
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({body, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not body.done():
                attempt.move("CancelRequested")
                if attempt.process is not None:
                    await attempt.process.end()
                    await body
                else:
                    body.cancel()
                    await asyncio.gather(body, return_exceptions=True)
            if not body.cancelled():
                body.result()
        except ServiceError as error:
            attempt.fail("UserError" if error.status < 500 else "ServiceError", error.message)
        except asyncio.CancelledError:  # the gateway stops: the command may cancel its work elsewhere
            stop.request("shutdown")
            if attempt.process is None:
                body.cancel()
            else:
                await attempt.process.end()
            await asyncio.gather(body, return_exceptions=True)
            await self._finish(attempt)
            raise
        except Exception as error:
            _log.exception("job %s", run.id)
            attempt.fail("InternalServerError", f"localcloud failed: {error!r}")
        finally:
            stopping.cancel()
            if attempt.process is not None:
                await attempt.process.end(0)
        await self._finish(attempt)

    async def _body(self, attempt: _Attempt) -> None:
        run = attempt.run
        attempt.move("Queued")
        async with self.nodes.allocate(run.compute):
            attempt.move("Preparing")
            data = self._principal(run.spec.get("data_principal"))
            folder = WorkFolder(self._ctx, self._transfer, attempt.workspace, run, data)
            try:
                submitter = self._principal(run.submitter)
                user = submitter.display_name if submitter is not None else run.submitter
                tracking = asyncio.create_task(self._tracking.begin(attempt.workspace, run, attempt.parent, user))
                preparing = asyncio.create_task(folder.prepare())
                building = asyncio.create_task(self._environment(attempt, folder))
                async with _ended(tracking, preparing, building):
                    experiment_id, _, home = await asyncio.gather(tracking, preparing, building)
                if attempt.parent is not None:  # the pipeline's next steps often have the same environment
                    self._warm.begin(home, environment.shared(self._ctx.settings, home))
                await self._process(attempt, folder, experiment_id, home)
            finally:
                self._ctx.tasks.start(asyncio.to_thread(folder.clear), f"clear job {run.id}")

    async def _environment(self, attempt: _Attempt, folder: WorkFolder) -> Path:
        """Return the folder of the job's environment, built if need be. Raises ServiceError with the log."""
        run, workspace = attempt.run, attempt.workspace
        version = paths.resolve_asset(self._ctx, workspace, str(run.spec["environment"]), "environments")
        environment_build = await self._builds.get(version)
        folder.notes += environment_build.warnings
        if isinstance(environment_build.place, Path):
            return environment_build.place
        run.logs = [blob_logs.IMAGE_BUILD_LOG]
        attempt.changed(run)
        follower = FileFollower(
            environment_build.place.log, BlobLog(self._ctx, workspace, run.id, blob_logs.IMAGE_BUILD_LOG)
        )
        try:
            return await _built(environment_build.place, follower, run.id)
        except BuildError as error:
            raise user_error(f"Image build failed. Build log: {blob_logs.IMAGE_BUILD_LOG}\n{error}") from error

    async def _process(self, attempt: _Attempt, folder: WorkFolder, experiment_id: str, home: Path) -> None:
        run, workspace = attempt.run, attempt.workspace
        identity = self._principal(run.spec.get("identity"))
        secret = None
        if identity is not None:
            attached = [self._principal(object_id) for object_id in run.spec.get("attached") or ()]
            others = {principal.object_id: principal.app_id for principal in attached if principal is not None}
            secret = self._ctx.identities.grant_workload(others, identity.app_id)
        token = self._tokens.grant(run.id, workspace.id)
        access = environment.Access(token, identity, secret, experiment_id, hosts.data_plane(self._ctx, workspace))
        variables = environment.variables(self._ctx.settings, workspace, run, folder.root, home, access)
        command = expressions.command(run.spec["command"], folder.inputs, folder.outputs)
        variables |= folder.variables()
        folder.begin_log()
        try:
            process = None
            if not run.spec.get("variables"):  # libraries that were loaded before would not see the job's own
                process = await self._warm.start(home, command, folder.work, variables, folder.log)
            if process is None:
                process = await CommandProcess.start(command, folder.work, variables, folder.log)
            attempt.process = process
            run.process = process.mark()
            run.logs += [blob_logs.STD_LOG]
            attempt.move("Running")
            code = await self._followed(attempt, process, folder)
            run.process = None
            if not attempt.stop.wanted:
                attempt.move("Finalizing")
                if code != 0:
                    attempt.fail("UserError", *_failure(code, folder))
                await folder.send_outputs(succeeded=code == 0)
            run.logs += await folder.send_artifacts()
            submitter = self._principal(run.submitter)
            if code == 0 and not attempt.stop.wanted and submitter is not None:
                await register_outputs(self._ctx, workspace, run, submitter)
        finally:
            self._tokens.revoke(token)
            if secret is not None:
                self._ctx.identities.revoke_workload(secret)

    async def _followed(self, attempt: _Attempt, process: CommandProcess, folder: WorkFolder) -> int:
        """Return the exit code, after the log is in storage to its end."""
        run = attempt.run
        follower = FileFollower(folder.log, BlobLog(self._ctx, attempt.workspace, run.id, blob_logs.STD_LOG))
        following = asyncio.create_task(follower.run(), name=f"log of {run.id}")
        limit = run.spec.get("timeout_seconds")
        timer = asyncio.get_running_loop().call_later(limit, attempt.stop.request, "timeout") if limit else None
        try:
            code = await process.wait()
            follower.stop()
            await following
            return code
        finally:
            following.cancel()
            if timer is not None:
                timer.cancel()

    async def _finish(self, attempt: _Attempt) -> None:
        """MLflow's run ends before the job's end is visible."""
        run = attempt.run
        if attempt.stop.wanted:
            ended = "Failed" if attempt.stop.reason == "shutdown" else "Canceled"
            run.error = _why(run, attempt.stop)
        else:
            ended = "Completed" if attempt.error is None else "Failed"
            run.error = attempt.error
        try:
            await self._tracking.end(attempt.workspace, run, ended)
        except ServiceError as error:
            _log.warning("the MLflow run of job %s is not ended: %s", run.id, error)
        run.move(ended)
        attempt.changed(run)

    def _principal(self, object_id: str | None) -> Principal | None:
        return self._ctx.identities.by_object_id(object_id) if object_id else None


@contextlib.asynccontextmanager
async def _ended(*tasks: asyncio.Task[Any]) -> AsyncIterator[None]:
    """Cancel the remaining tasks at the end, and wait for them: `gather` leaves the others running when one fails."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _built(build: Build, follower: FileFollower, run_id: str) -> Path:
    """Return the folder of the built environment, when its log is in storage. Raises BuildError, AzureError."""
    following = asyncio.create_task(follower.run(), name=f"build log of {run_id}")
    try:
        home = await asyncio.shield(build.done)  # other jobs may be waiting for it as well
    except BaseException:
        follower.stop()
        (failure,) = await asyncio.gather(following, return_exceptions=True)
        if failure is not None:  # the reason of the failed build must be the job's error
            _log.warning("the build log of job %s is not in storage to its end: %s", run_id, failure)
        raise
    follower.stop()
    await following
    return home


def _why(run: Run, stop: Stop) -> Json | None:
    if stop.reason == "timeout":
        limit = f"{run.spec['timeout_seconds']:g} s"
        return {"code": "UserError", "message": f"The job was canceled: it ran longer than its timeout of {limit}."}
    if stop.reason == "failure":
        return {"code": "UserError", "message": "The job was canceled: another step of its pipeline failed."}
    if stop.reason == "shutdown":
        return {"code": "InternalServerError", "message": LOST}
    return None


def _failure(code: int, folder: WorkFolder) -> tuple[str, str]:
    """Return the error in Azure ML's words, with the end of the log, and the log's last line with a word."""
    tail = ""
    if folder.log.exists():
        with folder.log.open("rb") as content:
            content.seek(max(0, folder.log.stat().st_size - 4 * _TAIL_CHARACTERS))
            lines = content.read().decode("utf-8", "replace").rstrip().splitlines()
        tail = "\n".join(lines[-_TAIL_LINES:])[-_TAIL_CHARACTERS:]
    message = (
        f"Execution failed. User process 'bash' exited with status code {code}. Please check log file "
        f"'{blob_logs.STD_LOG}' for error details. Error: {tail}"
    )
    # Python underlines the failing part of a line by carets.
    words = [line.strip() for line in tail.splitlines() if any(character.isalnum() for character in line)]
    return message, words[-1] if words else ""
