"""Runs from their requests: everything is checked before a run is stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.settings import Settings
from localcloud.databricks import clusters, errors
from localcloud.databricks.access import find_principal
from localcloud.databricks.request import Call, check_unknown
from localcloud.databricks.run_states import Lifecycle
from localcloud.databricks.runs import Launch, Run, TaskRun

PAGES_PATH = "/_localcloud/databricks/runs"
_TASK = frozenset(
    {
        "task_key", "depends_on", "description", "notebook_task", "new_cluster", "existing_cluster_id",
        "job_cluster_key", "timeout_seconds", "run_if", "email_notifications", "notification_settings", "max_retries",
        "retry_on_timeout", "min_retry_interval_millis",
    }
)  # fmt: skip
_DECLARED = ("depends_on", "description", "run_if", "timeout_seconds")
_OTHER_TASKS = re.compile(r"\w+_task$|^libraries$|^environment_key$")
_MAX_TASKS = 1000


def page_url(settings: Settings, run_id: int) -> str:
    """Return the address of a run's page at the gateway."""
    return f"{settings.gateway_url}{PAGES_PATH}/{run_id}"


def new_run(
    call: Call, tasks: Any, *, run_as: str, name: str, job: Json | None = None, single_task: bool = False,
    timeout_seconds: int = 0,
) -> Run:  # fmt: skip
    """Return a checked run that is not stored. Raises INVALID_PARAMETER_VALUE, PERMISSION_DENIED or 501."""
    if not isinstance(tasks, list) or not 1 <= len(tasks) <= _MAX_TASKS:
        raise errors.invalid(f"A run has 1 to {_MAX_TASKS} tasks.")
    run_id = call.documents.next_id()
    prepared: list[TaskRun] = []
    for body in tasks:
        task = _task(call, body, job, run_as, run_id if single_task else None)
        if any(task.key == other.key for other in prepared):
            raise errors.invalid(f"Duplicate task key {task.key}: each task of a run has its own.")
        prepared.append(task)
    _check_dependencies(prepared)
    return Run(
        run_id=run_id,
        job_id=job["job_id"] if job else call.documents.next_id(),
        creator=call.caller.name,
        run_as=run_as,
        name=name,
        kind="JOB_RUN" if job else "SUBMIT_RUN",
        single_task=single_task,
        page_url=page_url(call.services.context.settings, run_id),
        workspace_host=call.workspace.host,
        tasks=prepared,
        timeout_seconds=timeout_seconds,
    )


def run_identity(call: Call, requested: Any) -> str:
    """Return the application id of a run's identity: the caller's, or the id in `run_as`."""
    if not requested:
        return call.caller.name
    name = requested.get("service_principal_name") if isinstance(requested, dict) else None
    if not name:
        raise not_emulated(f"run_as {requested} (of service_principal_name it does)")
    if find_principal(call.documents, name) is None:
        raise errors.missing(f"Service principal {name} of run_as does not exist in the workspace.")
    if name != call.caller.name and not call.caller.is_admin:
        raise errors.permission_denied(
            f"{call.caller.name} cannot run as {name}: it does not have the Service Principal User role."
        )
    return str(name)


def timeout(body: Json) -> int:
    """Return a run's or a task's limit in seconds, 0 when there is none."""
    value = body.get("timeout_seconds", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise errors.invalid(f"timeout_seconds must be an integer of at least 0, got {value!r}.")
    return value


def _task(call: Call, body: Any, job: Json | None, run_as: str, run_id: int | None) -> TaskRun:
    if not isinstance(body, dict):
        raise errors.malformed(f"Each task must be an object, got {body!r}.")
    body = {key: value for key, value in body.items() if value is not None}
    key = str(body.get("task_key", ""))
    _check_task(key, body)
    notebook = _notebook(key, body)
    timeout(body)
    spec = clusters.resolve(call, _cluster(body, key, job))
    workers = spec.body.get("num_workers")
    instances = 1 + (workers if workers is not None else (spec.body.get("autoscale") or {}).get("min_workers", 0))
    run_id = run_id or call.documents.next_id()
    return TaskRun(
        key=key,
        run_id=run_id,
        page_url=page_url(call.services.context.settings, run_id),
        notebook={"source": "WORKSPACE", **notebook},
        new_cluster=spec.body,
        cluster_id=clusters.new_cluster_id(),
        declared={name: body[name] for name in _DECLARED if name in body},
        launch=Launch(
            run_as=run_as,
            pool_id=spec.pool_id,
            instances=instances,
            spark_version=spec.spark_version,
            spark_conf=spec.spark_conf,
            environment=spec.environment,
            security_mode=spec.body.get("data_security_mode"),
        ),
        lifecycle=Lifecycle("BLOCKED" if body.get("depends_on") else "PENDING"),
    )


def _check_task(key: str, body: Json) -> None:
    if re.fullmatch(r"[\w-]{1,100}", key) is None:
        raise errors.invalid(f"task_key {key!r} must have 1 to 100 characters of letters, digits, - and _.")
    other = sorted(name for name in body if _OTHER_TASKS.search(name) and name != "notebook_task")
    if other:
        raise not_emulated(f"{other[0]} (task {key}); it runs notebook_task")
    check_unknown(body, _TASK, f"task {key}")
    if body.get("max_retries") not in (None, 0):
        raise not_emulated(f"max_retries (task {key})")
    if body.get("run_if", "ALL_SUCCESS") not in ("ALL_SUCCESS", "ALL_DONE"):
        raise not_emulated(f"run_if {body['run_if']} (task {key}); ALL_SUCCESS and ALL_DONE it does")


def _notebook(key: str, body: Json) -> Json:
    notebook = body.get("notebook_task")
    if not isinstance(notebook, dict) or not notebook.get("notebook_path"):
        raise errors.invalid(f"Task {key} needs a notebook_task with a notebook_path.")
    if notebook.get("source") not in (None, "WORKSPACE") or notebook.get("warehouse_id"):
        raise not_emulated(f"notebook_task of task {key} from Git or on a SQL warehouse")
    if not str(notebook["notebook_path"]).startswith("/"):
        raise errors.invalid(
            f"Only absolute paths are currently supported. Paths must begin with '/': {notebook['notebook_path']}."
        )
    parameters = notebook.get("base_parameters") or {}
    if not all(isinstance(value, str) for value in parameters.values()):
        raise errors.malformed(f"base_parameters of task {key} must be a map of strings to strings.")
    return notebook


def _cluster(body: Json, key: str, job: Json | None) -> Any:
    named = [name for name in ("new_cluster", "existing_cluster_id", "job_cluster_key") if name in body]
    if not named:
        raise not_emulated(f"serverless compute (task {key} has no new_cluster)")
    if len(named) > 1:
        raise errors.invalid(f"Task {key} must have only one of {', '.join(named)}.")
    if named[0] == "existing_cluster_id":
        raise errors.invalid(f"Cluster {body['existing_cluster_id']} does not exist")
    if named[0] == "job_cluster_key":
        for item in (job or {}).get("settings", {}).get("job_clusters") or []:
            if item["job_cluster_key"] == body["job_cluster_key"]:
                return item["new_cluster"]
        raise errors.invalid(f"Job cluster {body['job_cluster_key']} of task {key} is not defined in job_clusters.")
    return body["new_cluster"]


def _check_dependencies(tasks: Sequence[TaskRun]) -> None:
    needed = {task.key: task.upstream_keys for task in tasks}
    for key, names in needed.items():
        for name in names:
            if name not in needed:
                raise errors.invalid(f"Task {key} depends on {name}, which is not a task of this run.")
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        members = [key for key in needed if key in error.args[1]]
        raise errors.invalid(f"Tasks {', '.join(members)} depend on each other in a circle.") from error
