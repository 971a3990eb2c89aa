"""Executes runs: task after task as their dependencies allow, each on a driver of its own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.databricks import permissions, run_states, workspace_objects
from localcloud.databricks.access import caller_of, find_principal
from localcloud.databricks.clock import now_ms
from localcloud.databricks.notebook_run import NotebookRun
from localcloud.databricks.pool_instances import WarmDrivers
from localcloud.databricks.request import Caller, Workspace
from localcloud.databricks.run_states import Outcome
from localcloud.databricks.run_storage import RunStorage
from localcloud.databricks.runs import Run, TaskRun, all_runs
from localcloud.databricks.store import Documents, workspaces_with
from localcloud.databricks.tokens import RunTokens

_log = logging.getLogger("localcloud.databricks")


@dataclass
class _Active:
    """A run that is not over. `stopped` has the outcome that a cancel or a timeout wants."""

    workspace: Workspace
    run: Run
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: Outcome | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def save(self) -> None:
        """Store the run in its current state."""
        self.run.save(self.workspace.documents)

    def end(self, outcome: Outcome) -> None:
        """Stop the run with an outcome, unless it is being stopped with another."""
        if self.stopped is None:
            self.stopped = outcome
            self.stop.set()


class Runner:
    """The active runs."""

    storage: RunStorage
    """Set once the service is built, which it is a part of."""

    def __init__(self, context: Context, warm: WarmDrivers, tokens: RunTokens) -> None:
        self._context = context
        self._warm = warm
        self._tokens = tokens
        self._active: dict[int, _Active] = {}

    def recover(self) -> None:
        """End the runs that the last gateway left unfinished: they have lost their drivers."""
        lost = Outcome.internal_error("localcloud was stopped while the run was active.")
        for workspace in workspaces_with(self._context.database, "run"):
            documents = Documents(self._context.database, workspace)
            for run in all_runs(documents):
                if not run.lifecycle.is_over:
                    for lifecycle in (*(task.lifecycle for task in run.tasks), run.lifecycle):
                        if not lifecycle.is_over:
                            lifecycle.finish(lost)
                    run.save(documents)

    def start(self, workspace: Workspace, run: Run) -> None:
        """Begin a stored run in the background."""
        self._active[run.run_id] = active = _Active(workspace, run)
        self._context.tasks.start(self._execute(active), f"databricks run {run.run_id}")

    def cancel(self, run_id: int) -> None:
        """Request the end of an active run as CANCELED; leave a finished one alone."""
        active = self._active.get(run_id)
        if active is not None:
            active.end(Outcome.canceled())

    async def end_all(self, workspace: Workspace) -> None:
        """Cancel a workspace's active runs, and wait until they have ended and are saved."""
        key = workspace.documents.workspace
        own = {id_: active for id_, active in self._active.items() if active.workspace.documents.workspace == key}
        for run_id in own:
            self.cancel(run_id)
        await asyncio.gather(*(active.ended.wait() for active in own.values()))

    async def _execute(self, active: _Active) -> None:
        run, limit = active.run, active.run.timeout_seconds
        timer = asyncio.get_running_loop().call_later(limit, active.end, Outcome.timed_out()) if limit else None
        try:
            await self._tasks(active)
            outcomes = {task.key: task.lifecycle.outcome for task in run.tasks if task.lifecycle.outcome is not None}
            run.lifecycle.finish(run_states.combine(outcomes, active.stopped))
        except asyncio.CancelledError:
            raise  # the gateway stops: recover() will report it
        except Exception as error:
            _log.exception("run %s", run.run_id)
            run.lifecycle.finish(Outcome.internal_error(f"{type(error).__name__}: {error}"))
        finally:
            if timer is not None:
                timer.cancel()
            active.save()
            del self._active[run.run_id]
            active.ended.set()

    async def _tasks(self, active: _Active) -> None:
        waiting = {task.key: task for task in active.run.tasks}
        ended: dict[str, TaskRun] = {}
        working: dict[asyncio.Task[None], TaskRun] = {}
        try:
            while waiting or working:
                for key, task in list(waiting.items()):
                    if not all(name in ended for name in task.upstream_keys):
                        continue
                    del waiting[key]
                    upstream = [ended[name].lifecycle for name in task.upstream_keys]
                    skip = active.stopped or run_states.skipped(task.run_if, upstream)
                    if skip is not None:
                        task.lifecycle.finish(skip)
                        ended[key] = task
                        continue
                    if task.lifecycle.state == "BLOCKED":
                        task.lifecycle.move("PENDING")
                    working[asyncio.create_task(self._task(active, task), name=f"run {task.run_id}")] = task
                active.save()
                if working:
                    finished, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                    for item in finished:
                        task = working.pop(item)
                        item.result()
                        ended[task.key] = task
        finally:
            for item in working:
                item.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _task(self, active: _Active, task: TaskRun) -> None:
        """Run one task to its end; only the gateway's stop raises."""
        work = asyncio.create_task(self._notebook(active, task))
        stop = asyncio.create_task(active.stop.wait())
        try:
            await asyncio.wait({work, stop}, timeout=task.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                outcome = work.result()
            else:
                outcome = active.stopped or Outcome.timed_out()
                task.lifecycle.move("TERMINATING", outcome.message)
                active.save()
        finally:
            for item in (work, stop):
                item.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
        task.lifecycle.finish(outcome)
        documents = active.workspace.documents
        cluster = documents.get("cluster", task.cluster_id)
        if cluster is not None:
            documents.put("cluster", task.cluster_id, cluster | {"state": "TERMINATED", "terminated_time": now_ms()})
        active.save()

    async def _notebook(self, active: _Active, task: TaskRun) -> Outcome:
        documents, launch = active.workspace.documents, task.launch
        identity = find_principal(documents, launch.run_as)
        principal = None if identity is None else self._context.identities.by_app_id(launch.run_as)
        if identity is None or principal is None:
            return Outcome.internal_error(
                f"Service principal {launch.run_as} is no longer in the workspace.", "UNAUTHORIZED_ERROR"
            )
        caller = caller_of(documents, identity, principal)
        if (refusal := _single_user(task, caller) or _unreadable(documents, task, caller)) is not None:
            return refusal
        notebook_run = NotebookRun(
            settings=self._context.settings, storage=self.storage, tokens=self._tokens, workspace=active.workspace,
            run=active.run, task=task, caller=caller, save=active.save,
        )  # fmt: skip
        if launch.pool_id is None:
            return await notebook_run.on(await self._warm.cold())
        return await self._in_pool(documents, launch.pool_id, notebook_run)

    async def _in_pool(self, documents: Documents, pool_id: str, notebook_run: NotebookRun) -> Outcome:
        launch, key = notebook_run.task.launch, documents.workspace
        pool = documents.get("pool", pool_id)
        try:
            self._warm.occupy(key, pool_id, launch.instances, (pool or {}).get("max_capacity"))
        except ServiceError as error:
            return Outcome.internal_error(
                f"Cluster could not be launched: {error.code}: {error.message}", "CLUSTER_ERROR"
            )
        try:
            driver = await self._warm.take(key, pool_id, launch.spark_version) or await self._warm.cold()
            return await notebook_run.on(driver)
        finally:
            self._warm.release(key, pool_id, launch.instances)


def _unreadable(documents: Documents, task: TaskRun, caller: Caller) -> Outcome | None:
    """Return the refusal of a notebook that is not there, or that the run's identity cannot read."""
    path = workspace_objects.normalize(task.notebook["notebook_path"])
    notebook = workspace_objects.find(documents, path)
    if (
        notebook is not None
        and notebook["object_type"] == "NOTEBOOK"
        and permissions.allows(documents, caller, "notebooks", str(notebook["object_id"]), "CAN_READ")
    ):
        return None
    return Outcome.internal_error(
        f'Unable to access the notebook "{path}". Either it does not exist, or the identity used to run this'
        f" job, {caller.display_name} ({caller.name}), lacks the required permissions.",
        "RESOURCE_NOT_FOUND",
    )


def _single_user(task: TaskRun, caller: Caller) -> Outcome | None:
    """Return the refusal of another identity's dedicated cluster.

    A job cluster without single_user_name belongs to its run's identity: the Terraform provider's documentation of
    databricks_cluster requires the name for interactive clusters alone.
    """
    name = str(task.new_cluster.get("single_user_name") or caller.name)
    if task.launch.security_mode not in {"SINGLE_USER", "DATA_SECURITY_MODE_DEDICATED"} or name == caller.name:
        return None
    return Outcome.internal_error(
        f"Single-user check failed: user '{caller.name}' attempted to run a command on single-user cluster"
        f" {task.cluster_id}, but the single user of this cluster is '{name}'",
        "PERMISSION_DENIED",
    )
