"""Executes runs: task after task as their dependencies allow, each on a driver of its own."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.databricks import permissions, run_states, secrets_api, workspace_objects
from localcloud.databricks.access import caller_of, find_principal
from localcloud.databricks.drivers import DriverProcess
from localcloud.databricks.pool_instances import WarmDrivers
from localcloud.databricks.request import Caller, Workspace, now_ms
from localcloud.databricks.run_states import Outcome
from localcloud.databricks.run_storage import RunStorage
from localcloud.databricks.store import Documents, workspaces_with
from localcloud.databricks.tokens import RunTokens

_log = logging.getLogger("localcloud.databricks")


@dataclass
class _Active:
    """A run that is not over. `stopped` has the outcome that a cancel or a timeout wants."""

    workspace: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: Outcome | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Runner:
    storage: RunStorage
    """Set once the service is built, which it is a part of."""

    def __init__(self, context: Context, warm: WarmDrivers, tokens: RunTokens) -> None:
        self._context = context
        self._warm = warm
        self._tokens = tokens
        self._active: dict[int, _Active] = {}

    def recover(self) -> None:
        """Runs that the last gateway left unfinished have lost their drivers."""
        lost = Outcome.internal_error("localcloud was stopped while the run was active.")
        for workspace in workspaces_with(self._context.database, "run"):
            documents = Documents(self._context.database, workspace)
            for run in documents.all("run"):
                if not run_states.is_over(run):
                    for task in run["tasks"]:
                        if not run_states.is_over(task):
                            run_states.finish(task, lost)
                    run_states.finish(run, lost)
                    documents.put("run", str(run["run_id"]), run)

    def start(self, workspace: Workspace, run: Json) -> None:
        self._active[run["run_id"]] = _Active(workspace.documents.workspace)
        self._context.tasks.start(self._execute(workspace, run), f"databricks run {run['run_id']}")

    def cancel(self, run_id: int) -> None:
        """Ask an active run to end as CANCELED; a finished one stays as it is."""
        active = self._active.get(run_id)
        if active is not None and active.stopped is None:
            active.stopped = Outcome.canceled()
            active.stop.set()

    async def end_all(self, workspace: Workspace) -> None:
        """Cancel a workspace's active runs, and wait until they have ended and are saved."""
        own = {id_: active for id_, active in self._active.items() if active.workspace == workspace.documents.workspace}
        for run_id in own:
            self.cancel(run_id)
        await asyncio.gather(*(active.ended.wait() for active in own.values()))

    async def _execute(self, workspace: Workspace, run: Json) -> None:
        active = self._active[run["run_id"]]

        def save() -> None:
            workspace.documents.put("run", str(run["run_id"]), run)

        timeout = run["_"]["timeout_seconds"]
        timer = asyncio.get_running_loop().call_later(timeout, _time_out, active) if timeout else None
        try:
            await self._tasks(workspace, run, active, save)
            run_states.finish(run, run_states.combine(run["tasks"], active.stopped))
        except asyncio.CancelledError:
            raise  # the gateway stops: recover() will say so
        except Exception as error:
            _log.exception("run %s", run["run_id"])
            run_states.finish(run, Outcome.internal_error(f"{type(error).__name__}: {error}"))
        finally:
            if timer is not None:
                timer.cancel()
            save()
            del self._active[run["run_id"]]
            active.ended.set()

    async def _tasks(self, workspace: Workspace, run: Json, active: _Active, save: Callable[[], None]) -> None:
        waiting = {task["task_key"]: task for task in run["tasks"]}
        done: dict[str, Json] = {}
        working: dict[asyncio.Task[None], Json] = {}
        try:
            while waiting or working:
                for key, task in list(waiting.items()):
                    needed = [item["task_key"] for item in task.get("depends_on", [])]
                    if not all(name in done for name in needed):
                        continue
                    del waiting[key]
                    skip = active.stopped or run_states.upstream(task, [done[name] for name in needed])
                    if skip is not None:
                        run_states.finish(task, skip)
                        done[key] = task
                        continue
                    if task["state"]["life_cycle_state"] == "BLOCKED":
                        run_states.move(task, "PENDING")
                    job = self._task(workspace, run, task, active, save)
                    working[asyncio.create_task(job, name=f"run {task['run_id']}")] = task
                save()
                if working:
                    finished, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                    for item in finished:
                        task = working.pop(item)
                        item.result()
                        done[task["task_key"]] = task
        finally:
            for item in working:
                item.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _task(
        self, workspace: Workspace, run: Json, task: Json, active: _Active, save: Callable[[], None]
    ) -> None:
        """Run one task to its end; only the gateway's stop raises."""
        work = asyncio.create_task(self._notebook(workspace, run, task, save))
        stop = asyncio.create_task(active.stop.wait())
        limit = task["_"].get("timeout_seconds") or None
        try:
            await asyncio.wait({work, stop}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                outcome = work.result()
            else:
                outcome = active.stopped or Outcome.timed_out()
                run_states.move(task, "TERMINATING", outcome.message)
                save()
        finally:
            for item in (work, stop):
                item.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
        run_states.finish(task, outcome)
        cluster_id = task["cluster_instance"]["cluster_id"]
        cluster = workspace.documents.get("cluster", cluster_id)
        if cluster is not None:
            workspace.documents.put(
                "cluster", cluster_id, cluster | {"state": "TERMINATED", "terminated_time": now_ms()}
            )
        save()

    async def _notebook(self, workspace: Workspace, run: Json, task: Json, save: Callable[[], None]) -> Outcome:
        documents, private = workspace.documents, task["_"]
        identity = find_principal(documents, private["run_as"])
        principal = None if identity is None else self._context.identities.by_app_id(private["run_as"])
        if identity is None or principal is None:
            return Outcome.internal_error(
                f"Service principal {private['run_as']} is no longer in the workspace.", "UNAUTHORIZED_ERROR"
            )
        caller = caller_of(documents, identity, principal)
        if (refusal := _single_user(task, caller)) is not None:
            return refusal
        path = workspace_objects.normalize(task["notebook_task"]["notebook_path"])
        notebook = workspace_objects.find(documents, path)
        if (
            notebook is None
            or notebook["object_type"] != "NOTEBOOK"
            or not permissions.allows(documents, caller, "notebooks", str(notebook["object_id"]), "CAN_READ")
        ):
            return Outcome.internal_error(
                f'Unable to access the notebook "{path}". Either it does not exist, or the identity used to run this'
                f" job, {caller.display_name} ({caller.name}), lacks the required permissions.",
                "RESOURCE_NOT_FOUND",
            )
        pool_id, instances = private["pool_id"], private["instances"]
        if pool_id is None:
            return await self._on_driver(workspace, run, task, caller, save, await self._warm.cold())
        pool = documents.get("pool", pool_id)
        try:
            self._warm.occupy(documents.workspace, pool_id, instances, (pool or {}).get("max_capacity"))
        except ServiceError as error:
            return Outcome.internal_error(
                f"Cluster could not be launched: {error.code}: {error.message}", "CLUSTER_ERROR"
            )
        try:
            driver = (
                await self._warm.take(documents.workspace, pool_id, private["spark_version"]) or await self._warm.cold()
            )
            return await self._on_driver(workspace, run, task, caller, save, driver)
        finally:
            self._warm.release(documents.workspace, pool_id, instances)

    async def _on_driver(
        self, workspace: Workspace, run: Json, task: Json, caller: Caller, save: Callable[[], None],
        driver: DriverProcess,
    ) -> Outcome:  # fmt: skip
        settings, documents, private = self._context.settings, workspace.documents, task["_"]
        folder = settings.runs / f"databricks-{task['run_id']}"
        folder.mkdir(parents=True, exist_ok=True)

        def resolve(values: dict[str, str]) -> dict[str, str]:
            return {key: _resolve(documents, caller, value) for key, value in values.items()}

        secret = self.storage.open(workspace, caller)
        token = self._tokens.grant(documents.workspace, caller.id)
        try:
            spark_conf = resolve(private["spark_conf"])
            mode = private.get("security_mode")
            readable = permissions.readable(documents, caller)
            await asyncio.to_thread(workspace_objects.materialize, documents, folder / "Workspace", readable)
            notebooks = [
                item for item in documents.all("object") if item["object_type"] == "NOTEBOOK" and readable(item)
            ]
            assignment: Json = {
                "notebook_path": workspace_objects.normalize(task["notebook_task"]["notebook_path"]),
                "parameters": task["notebook_task"].get("base_parameters") or {},
                "tree": str(folder / "Workspace"),
                "notebooks": {item["path"]: item["language"] for item in notebooks},
                "notebook_ids": {item["path"]: str(item["object_id"]) for item in notebooks},
                "output": str(folder / "output.jsonl"),
                "conf": self.storage.spark_conf(workspace, caller, secret, mode, spark_conf) | spark_conf,
                "environment": resolve(private["environment"]),
                "context": {
                    "browserHostName": workspace.host,
                    "apiUrl": f"https://{workspace.host}",
                    "apiToken": token,
                    "workspaceId": workspace.id,
                    "clusterId": task["cluster_instance"]["cluster_id"],
                    "jobId": str(run["job_id"]),
                    "currentRunId": str(task["run_id"]),
                    "userName": caller.name,
                },
            }

            def started() -> None:
                run_states.move(task, "RUNNING", "In run")
                if run["state"]["life_cycle_state"] == "PENDING":
                    run_states.move(run, "RUNNING")
                save()

            try:
                event = await driver.run(assignment, _Workspace(documents, caller).answer, started)
            except RuntimeError as error:
                return Outcome.internal_error(str(error), "DRIVER_ERROR")
            return Outcome.of_driver(event)
        except ServiceError as error:  # a secret that its configuration names
            return Outcome.internal_error(f"Cluster could not be launched: {error.message}", "INVALID_CLUSTER_REQUEST")
        finally:
            self.storage.close(secret)
            self._tokens.revoke(token)
            await driver.kill()
            log = driver.folder / "driver.log"
            if log.exists():
                shutil.copyfile(log, folder / "driver.log")
            await asyncio.to_thread(shutil.rmtree, driver.folder, ignore_errors=True)
            await asyncio.to_thread(shutil.rmtree, folder / "Workspace", ignore_errors=True)


@dataclass(frozen=True)
class _Workspace:
    """What a notebook may ask its workspace for, as the run's identity."""

    documents: Documents
    caller: Caller

    def answer(self, method: str, arguments: dict[str, str]) -> Any:
        if method == "secrets.get":
            return secrets_api.read(self.documents, self.caller, arguments["scope"], arguments["key"])
        if method == "secrets.list":
            return secrets_api.listed(self.documents, self.caller, arguments["scope"])
        if method == "secrets.scopes":
            return secrets_api.visible_scopes(self.documents, self.caller)
        raise ServiceError(501, "NOT_IMPLEMENTED", f"localcloud does not emulate {method}.")


def _single_user(task: Json, caller: Caller) -> Outcome | None:
    """The refusal of a dedicated cluster that is another identity's.

    A job cluster without single_user_name is its run's identity's: the Terraform provider's documentation of
    databricks_cluster asks for the name of interactive clusters alone.
    """
    cluster = task["new_cluster"]
    name = str(cluster.get("single_user_name") or caller.name)
    if cluster.get("data_security_mode") not in {"SINGLE_USER", "DATA_SECURITY_MODE_DEDICATED"} or name == caller.name:
        return None
    cluster_id = task["cluster_instance"]["cluster_id"]
    return Outcome.internal_error(
        f"Single-user check failed: user '{caller.name}' attempted to run a command on single-user cluster"
        f" {cluster_id}, but the single user of this cluster is '{name}'",
        "PERMISSION_DENIED",
    )


def _resolve(documents: Documents, caller: Caller, value: str) -> str:
    """`{{secrets/SCOPE/KEY}}` in spark_conf and spark_env_vars stands for the secret."""
    match = re.fullmatch(r"\{\{secrets/([^/{}]+)/([^/{}]+)\}\}", value.strip())
    if match is None:
        return value
    return base64.b64decode(secrets_api.read(documents, caller, match.group(1), match.group(2))).decode()


def _time_out(active: _Active) -> None:
    if active.stopped is None:
        active.stopped = Outcome.timed_out()
        active.stop.set()
