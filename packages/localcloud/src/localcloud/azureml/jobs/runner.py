"""Runs jobs: a command at once, the steps of a pipeline as soon as their needs are done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from localcloud.azureml.jobs import blob_logs, reuse
from localcloud.azureml.jobs.blob_logs import BlobLog, LineLog
from localcloud.azureml.jobs.commands import LOST, Commands
from localcloud.azureml.jobs.process import end_left_over
from localcloud.azureml.jobs.reuse import Reuse
from localcloud.azureml.jobs.runs import Run, RunStore
from localcloud.azureml.jobs.stopping import Stop
from localcloud.azureml.jobs.tracking import Tracking
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

_log = logging.getLogger("localcloud.azureml")


@dataclass
class _Active:
    """A run that is not over, with the runs below it."""

    run: Run
    stop: Stop = field(default_factory=Stop)
    children: list[_Active] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class JobRunner:
    """Scheduler of jobs and of the steps of pipelines."""

    def __init__(self, ctx: Context, store: RunStore, commands: Commands, tracking: Tracking, reuse_: Reuse) -> None:
        self._ctx = ctx
        self._store = store
        self._commands = commands
        self._tracking = tracking
        self._reuse = reuse_
        self._active: dict[tuple[str, str], _Active] = {}

    def start(self, workspace: Resource, runs: list[Run]) -> None:
        """Start a planned and stored job: its run first, then everything below it."""
        for run in runs:
            self._active[_key(run)] = active = _Active(run)
            if run.parent is not None:
                self._active[run.workspace_id.lower(), run.parent].children.append(active)
        root = self._active[_key(runs[0])]
        self._ctx.tasks.start(self._job(workspace, root, runs), f"job {root.run.id}")

    def live(self, workspace_id: str, id_: str) -> Run | None:
        """Return a run as its scheduler has it, None when it is over."""
        active = self._active.get((workspace_id.lower(), id_))
        return None if active is None else active.run

    def cancel(self, workspace_id: str, id_: str) -> bool:
        """Request the end of a run as Canceled; return False when it is over already."""
        active = self._active.get((workspace_id.lower(), id_))
        if active is None or active.run.over:
            return False
        active.stop.request("cancel")
        active.run.move("CancelRequested")
        self._store.save(active.run)
        return True

    async def ended(self, workspace_id: str, id_: str, seconds: float) -> bool:
        """Whether a run is over, or is so within a time."""
        active = self._active.get((workspace_id.lower(), id_))
        if active is None:
            return True
        try:
            await asyncio.wait_for(active.ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def recover(self) -> None:
        """Fail unfinished jobs of the last gateway: their processes are ended."""
        for run in self._store.unfinished():
            if run.process is not None:
                await asyncio.to_thread(end_left_over, run.process)
            # MLflow may still be starting, and the gateway is not to wait for it.
            self._ctx.tasks.start(self._lose(run), f"the end of {run.id}")

    async def _lose(self, run: Run) -> None:
        """End a run that was stopped with localcloud: as Failed, or as Canceled if it had not begun."""
        run.process = None
        if run.status == "NotStarted":
            run.move("Canceled")
        else:
            run.fail("InternalServerError", LOST)
        self._store.save(run)
        workspace = self._ctx.resources.get(run.workspace_id)
        try:
            if workspace is not None:
                await self._tracking.end(workspace, run, run.status)
        except ServiceError as error:
            _log.warning("the MLflow run of job %s is not ended: %s", run.id, error)

    async def _job(self, workspace: Resource, root: _Active, runs: list[Run]) -> None:
        try:
            await self._execute(workspace, root, None, self._store.save)
        except asyncio.CancelledError:
            for run in runs:
                if not run.over:
                    await self._lose(run)
            raise
        except Exception as error:
            _log.exception("job %s", root.run.id)
            for run in runs:
                if not run.over:
                    run.fail("InternalServerError", f"localcloud failed: {error!r}")
                    self._store.save(run)
        finally:
            for run in runs:
                active = self._active.pop(_key(run), None)
                if active is not None:
                    active.ended.set()

    async def _execute(
        self, workspace: Resource, active: _Active, parent: Run | None, changed: Callable[[Run], None]
    ) -> None:
        if active.run.kind == "pipeline":
            await self._pipeline(workspace, active, parent, changed)
        elif parent is None:
            await self._commands.run(workspace, active.run, parent, active.stop, changed)
        else:
            await self._step(workspace, active, parent, changed)
        active.ended.set()

    async def _step(self, workspace: Resource, active: _Active, parent: Run, changed: Callable[[Run], None]) -> None:
        """Run a step's command, unless an earlier step did the same and its outputs are still there."""
        run = active.run
        fingerprint = await self._reuse.fingerprint(workspace, run)
        earlier = None if fingerprint is None else await self._reuse.find(workspace, run, fingerprint)
        if earlier is not None and not active.stop.wanted:
            addresses = reuse.take(run, earlier)
            for other in self._below(self._active[run.workspace_id.lower(), run.root]):
                if reuse.rebind(other, addresses):
                    self._store.save(other)
            changed(run)
            return
        await self._commands.run(workspace, run, parent, active.stop, changed)
        if fingerprint is not None and run.status == "Completed":
            await self._reuse.keep(workspace, run, fingerprint)

    def _below(self, active: _Active) -> list[Run]:
        """Return a run and everything below it."""
        return [active.run, *(run for child in active.children for run in self._below(child))]

    async def _pipeline(
        self, workspace: Resource, active: _Active, parent: Run | None, changed: Callable[[Run], None]
    ) -> None:
        run = active.run
        run.move("Preparing")
        changed(run)
        log = LineLog(BlobLog(self._ctx, workspace, run.id, blob_logs.EXECUTION_LOG))
        logging_task = asyncio.create_task(log.run(), name=f"log of {run.id}")
        try:
            submitter = self._ctx.identities.by_object_id(run.submitter)
            await self._tracking.begin(workspace, run, parent, submitter.display_name if submitter else run.submitter)
            run.logs = [blob_logs.EXECUTION_LOG]
            if not active.stop.wanted:
                run.move("Running")
            changed(run)
            await self._steps(workspace, active, changed, log)
            ended = self._outcome(active)
            log.line(f"The pipeline ends as {ended}.")
            log.close()
            await logging_task
            await self._tracking.end(workspace, run, ended)
        except ServiceError as error:
            run.fail("ServiceError", error.message)
            ended = "Failed"
        finally:
            logging_task.cancel()
            await asyncio.gather(logging_task, return_exceptions=True)
        run.move(ended)
        changed(run)

    async def _steps(self, workspace: Resource, active: _Active, changed: Callable[[Run], None], log: LineLog) -> None:
        """Start each step when all its needs are done; return when none is left."""
        waiting = {child.run.id: child for child in active.children}
        status: dict[str, str] = {}
        working: dict[asyncio.Task[None], _Active] = {}
        stop_on_failure = bool(active.run.spec.get("stop_on_failure", True))

        def note(run: Run) -> None:
            changed(run)
            if run.id in {child.run.id for child in active.children}:
                reused = f", reused from {run.reused}" if run.reused else ""
                log.line(f"{run.path} ({run.id}) is {run.status}{reused}{_explained(run)}")

        stopping = asyncio.create_task(active.stop.wait())
        try:
            while waiting or working:
                failed = any(state in {"Failed", "Canceled"} for state in status.values())
                for id_, child in list(waiting.items()):
                    needs = [status.get(needed) for needed in child.run.spec.get("needs", ())]
                    skipped = any(state in {"Failed", "Canceled"} for state in needs) or child.stop.wanted
                    if active.stop.wanted or skipped or (failed and stop_on_failure):
                        del waiting[id_]
                        self._skip(child, note)
                        status[id_] = child.run.status
                    elif all(state == "Completed" for state in needs):
                        del waiting[id_]
                        work = self._execute(workspace, child, active.run, note)
                        working[asyncio.create_task(work, name=f"step {id_}")] = child
                if not working:
                    continue
                finished, _ = await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stopping in finished:
                    for child in working.values():
                        child.stop.request(active.stop.reason or "cancel")
                    finished, _ = await asyncio.wait(working)
                for task in finished - {stopping}:
                    child = working.pop(task)
                    task.result()
                    status[child.run.id] = child.run.status
                    if child.run.status != "Completed" and stop_on_failure:
                        for other in working.values():
                            other.stop.request("failure")
        finally:
            stopping.cancel()
            for task in working:
                task.cancel()
            await asyncio.gather(stopping, *working, return_exceptions=True)

    def _skip(self, active: _Active, changed: Callable[[Run], None]) -> None:
        """Cancel a step that is not run, with everything below it."""
        for child in active.children:
            self._skip(child, changed)
        active.run.move("Canceled")
        changed(active.run)
        active.ended.set()

    def _outcome(self, active: _Active) -> str:
        """Return the pipeline's final status, which follows from its steps, and note the error."""
        if active.stop.wanted:
            return "Canceled"
        failed = [child.run.path for child in active.children if child.run.status == "Failed"]
        failed = failed or [child.run.path for child in active.children if child.run.status == "Canceled"]
        if not failed:
            return "Completed"
        active.run.error = {
            "code": "UserError",
            "message": f"Pipeline has failed child jobs. Failed nodes: {', '.join(failed)}. For more details and logs, "
            "please go to the job detail page and check the child jobs.",
            "messageFormat": "Pipeline has failed child jobs. {0}",
            "referenceCode": "PipelineHasStepJobFailed",
        }
        return "Failed"


def _explained(run: Run) -> str:
    """Return the first line of a step's error, and its cause."""
    if not run.over or run.error is None:
        return ""
    first = str(run.error["message"]).partition("\n")[0]
    return f": {first}" if run.reason in first else f": {first} … {run.reason}"


def _key(run: Run) -> tuple[str, str]:
    return run.workspace_id.lower(), run.id
