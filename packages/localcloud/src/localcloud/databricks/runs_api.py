"""/api/2.x/jobs/runs: submit, get, get-output, list, cancel, cancel-all, delete."""

from __future__ import annotations

import re
import shutil
from graphlib import CycleError, TopologicalSorter
from typing import Any

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.settings import Settings
from localcloud.databricks import clusters, errors, permissions, run_states
from localcloud.databricks.access import find_principal
from localcloud.databricks.request import Call, check_unknown
from localcloud.databricks.store import Documents

PAGES_PATH = "/_localcloud/databricks/runs"
_SUBMIT = frozenset(
    {
        "tasks", "run_name", "timeout_seconds", "idempotency_token", "access_control_list", "run_as", "notebook_task",
        "new_cluster", "existing_cluster_id", "email_notifications", "notification_settings", "webhook_notifications",
        "queue",
    }
)  # fmt: skip
_TASK = frozenset(
    {
        "task_key", "depends_on", "description", "notebook_task", "new_cluster", "existing_cluster_id",
        "job_cluster_key", "timeout_seconds", "run_if", "email_notifications", "notification_settings", "max_retries",
        "retry_on_timeout", "min_retry_interval_millis",
    }
)  # fmt: skip
_OTHER_TASKS = re.compile(r"\w+_task$|^libraries$|^environment_key$")
_MAX_TASKS = 1000
_MAX_TOKEN = 64


def submit(call: Call) -> Json:
    body = {key: value for key, value in call.parameters.items() if value is not None}
    token = body.get("idempotency_token")
    if token:
        if len(token) > _MAX_TOKEN:
            raise errors.invalid(f"idempotency_token must have at most {_MAX_TOKEN} characters, got {len(token)}.")
        known = call.documents.get("token", token)
        if known is not None:
            if call.documents.get("run", str(known["run_id"])) is None:
                raise errors.invalid(f"The run {known['run_id']} of idempotency_token {token} was deleted.")
            return {"run_id": known["run_id"]}
    check_unknown(body, _SUBMIT, "jobs/runs/submit")
    run_as = run_identity(call, body.get("run_as"))
    legacy = "tasks" not in body
    if legacy:
        only = {key: body[key] for key in ("notebook_task", "new_cluster", "existing_cluster_id") if key in body}
        tasks: list[Any] = [{"task_key": "main", **only}]
    else:
        tasks = body["tasks"]
    run = new_run(call, tasks, run_as=run_as, name=str(body.get("run_name") or "Untitled"), job=None, legacy=legacy)
    run["_"]["timeout_seconds"] = _timeout(body)
    _start(call, run, token)
    return {"run_id": run["run_id"]}


def page_url(settings: Settings, run_id: int) -> str:
    return f"{settings.gateway_url}{PAGES_PATH}/{run_id}"


def new_run(call: Call, tasks: Any, *, run_as: str, name: str, job: Json | None, legacy: bool = False) -> Json:
    """A checked run that is not started. Raises INVALID_PARAMETER_VALUE, PERMISSION_DENIED or 501."""
    if not isinstance(tasks, list) or not 1 <= len(tasks) <= _MAX_TASKS:
        raise errors.invalid(f"A run has 1 to {_MAX_TASKS} tasks.")
    run_id = call.documents.next_id()
    job_id = job["job_id"] if job else call.documents.next_id()
    settings = call.services.context.settings
    run: Json = {
        "run_id": run_id,
        "job_id": job_id,
        "number_in_job": run_id,
        "original_attempt_run_id": run_id,
        "creator_user_name": call.caller.name,
        "run_as_user_name": run_as,
        "run_name": name,
        "run_type": "JOB_RUN" if job else "SUBMIT_RUN",
        "trigger": "ONE_TIME",
        "format": "SINGLE_TASK" if legacy else "MULTI_TASK",
        "run_page_url": page_url(settings, run_id),
        "_": {"timeout_seconds": 0, "workspace_host": call.workspace.host},
    }
    keys: list[str] = []
    prepared: list[Json] = []
    for body in tasks:
        task = _task(call, body, job)
        if task["task_key"] in keys:
            raise errors.invalid(f"Duplicate task key {task['task_key']}: each task of a run has its own.")
        keys.append(task["task_key"])
        task["run_id"] = run_id if legacy else call.documents.next_id()
        task["run_page_url"] = page_url(settings, task["run_id"])
        task["_"]["run_as"] = run_as
        prepared.append(task)
    _check_dependencies(prepared)
    for task in prepared:
        run_states.begin(task, "BLOCKED" if task.get("depends_on") else "PENDING")
    run["tasks"] = prepared
    run_states.begin(run)
    return run


def get(call: Call) -> Json:
    run, task = find(call)
    if task is not None and run["format"] == "MULTI_TASK":
        return _task_metadata(run, task)
    return render(run)


def get_output(call: Call) -> Json:
    run, task = find(call)
    if task is None:
        raise errors.invalid(
            "Retrieving the output of runs with multiple tasks is not supported."
            " Please retrieve the output of each individual task run instead."
        )
    result: Json = {"metadata": _task_metadata(run, task)}
    output = task["_"].get("output")
    if output is None:
        return result
    if task["state"].get("result_state") == "SUCCESS":
        result["notebook_output"] = {"truncated": output["truncated"]}
        if output["value"] is not None:
            result["notebook_output"]["result"] = output["value"]
    for name in ("error", "error_trace"):
        if output[name] is not None:
            result[name] = output[name]
    return result


def list_(call: Call) -> Json:
    """Newest first, 20 a page (25 at most); page_token is the offset."""
    active, completed = call.flag("active_only"), call.flag("completed_only")
    if active and completed:
        raise errors.invalid("active_only and completed_only cannot both be true.")
    job_id, kind = call.optional_text("job_id"), call.optional_text("run_type")
    after, before = call.number("start_time_from", 0), call.number("start_time_to", 2**62)
    found = [
        run
        for run in reversed(call.documents.all("run"))
        if _visible(call, run)
        and not (active and run_states.is_over(run))
        and not (completed and not run_states.is_over(run))
        and (job_id is None or str(run["job_id"]) == job_id)
        and (kind is None or run["run_type"] == kind)
        and after <= run["start_time"] <= before
    ]
    size = call.number("limit", 20)
    if not 0 <= size <= 25:
        raise errors.invalid(f"limit must be between 1 and 25, got {size}.")
    size = size or 25
    start = call.number("page_token", call.number("offset", 0))
    page = [render(run) for run in found[start : start + size]]
    if not call.flag("expand_tasks"):
        for item in page:
            item.pop("tasks", None)
    result: Json = {"runs": page, "has_more": start + size < len(found)} if page else {"has_more": False}
    if result["has_more"]:
        result["next_page_token"] = str(start + size)
    return result


def cancel(call: Call) -> Json:
    run, _ = find(call, manage=True)
    call.services.runner.cancel(run["run_id"])
    return {}


def cancel_all(call: Call) -> Json:
    """Of a job, or of every job with all_queued_runs."""
    job_id = call.optional_text("job_id")
    if job_id is None and not call.flag("all_queued_runs"):
        raise errors.invalid("Missing required field: job_id")
    for run in call.documents.all("run"):
        if (job_id is None or str(run["job_id"]) == job_id) and _visible(call, run):
            call.services.runner.cancel(run["run_id"])
    return {}


def delete(call: Call) -> Json:
    run, _ = find(call, manage=True)
    if not run_states.is_over(run):
        raise errors.invalid_state(f"Cannot delete run {run['run_id']}: it is active; cancel it first.")
    call.documents.delete("run", str(run["run_id"]))
    for task in run["tasks"]:
        call.documents.delete("task-run", str(task["run_id"]))
        call.documents.delete("cluster", task["cluster_instance"]["cluster_id"])
        folder = call.services.context.settings.runs / f"databricks-{task['run_id']}"
        shutil.rmtree(folder, ignore_errors=True)
    return {}


def find(call: Call, *, manage: bool = False) -> tuple[Json, Json | None]:
    """The run, and its task when run_id is a task's. Raises INVALID_PARAMETER_VALUE (sic) or PERMISSION_DENIED."""
    run_id = call.number("run_id")
    found = lookup(call.documents, run_id)
    if found is None:
        raise errors.invalid(f"Run {run_id} does not exist.")
    if not _visible(call, found[0]):
        what = "manage" if manage else "view"
        raise errors.permission_denied(f"User {call.caller.name} does not have permission to {what} run {run_id}.")
    return found


def lookup(documents: Documents, run_id: int) -> tuple[Json, Json | None] | None:
    link = documents.get("task-run", str(run_id))
    run = documents.get("run", str(link["run_id"] if link else run_id))
    if run is None:
        return None
    return run, next((task for task in run["tasks"] if task["run_id"] == run_id), None)


def render(run: Json) -> Json:
    body = _public(run)
    body["tasks"] = [_public(task) for task in run["tasks"]]
    if run["format"] == "SINGLE_TASK":
        only = body["tasks"][0]
        body["task"] = {"notebook_task": only["notebook_task"]}
        body["cluster_spec"] = {"new_cluster": only["new_cluster"]}
        body["cluster_instance"] = only["cluster_instance"]
    return body


def _start(call: Call, run: Json, token: str | None) -> None:
    with call.documents.database.transaction():
        call.documents.put("run", str(run["run_id"]), run)
        for task in run["tasks"]:
            call.documents.put("task-run", str(task["run_id"]), {"run_id": run["run_id"]})
            cluster_id = task["cluster_instance"]["cluster_id"]
            cluster = {**task["new_cluster"], "cluster_id": cluster_id, "cluster_source": "JOB", "state": "PENDING"}
            cluster |= {
                "creator_user_name": run["creator_user_name"],
                "cluster_name": f"job-{run['job_id']}-run-{run['run_id']}",
            }
            call.documents.put("cluster", cluster_id, cluster)
        if token:
            call.documents.put("token", token, {"run_id": run["run_id"]})
    call.services.runner.start(call.workspace, run)


start = _start


def _public(item: Json) -> Json:
    return {key: value for key, value in item.items() if key != "_"}


def _task_metadata(run: Json, task: Json) -> Json:
    """A task's run as a run of its own."""
    shared = ("job_id", "number_in_job", "creator_user_name", "run_type", "trigger", "run_name", "format")
    body = {name: run[name] for name in shared} | _public(task)
    body["original_attempt_run_id"] = task["run_id"]
    body["task"] = {"notebook_task": body.pop("notebook_task")}
    body["cluster_spec"] = {"new_cluster": body.pop("new_cluster")}
    body["run_name"] = task["task_key"] if run["format"] == "MULTI_TASK" else run["run_name"]
    return body


def _visible(call: Call, run: Json) -> bool:
    if call.caller.is_admin or call.caller.name in (run["creator_user_name"], run["run_as_user_name"]):
        return True
    return call.documents.get("job", str(run["job_id"])) is not None and permissions.allows(
        call.documents, call.caller, "jobs", str(run["job_id"]), "CAN_VIEW"
    )


def run_identity(call: Call, requested: Any) -> str:
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


def _timeout(body: Json) -> int:
    value = body.get("timeout_seconds", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise errors.invalid(f"timeout_seconds must be an integer of at least 0, got {value!r}.")
    return value


def _task(call: Call, body: Any, job: Json | None) -> Json:
    if not isinstance(body, dict):
        raise errors.malformed(f"Each task must be an object, got {body!r}.")
    body = {key: value for key, value in body.items() if value is not None}
    key = str(body.get("task_key", ""))
    if re.fullmatch(r"[\w-]{1,100}", key) is None:
        raise errors.invalid(f"task_key {key!r} must have 1 to 100 characters of letters, digits, - and _.")
    other = sorted(name for name in body if _OTHER_TASKS.search(name) and name != "notebook_task")
    if other:
        raise not_emulated(f"{other[0]} (task {key}); it runs notebook_task")
    check_unknown(body, _TASK, f"task {key}")
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
    if body.get("max_retries") not in (None, 0):
        raise not_emulated(f"max_retries (task {key})")
    if body.get("run_if", "ALL_SUCCESS") not in ("ALL_SUCCESS", "ALL_DONE"):
        raise not_emulated(f"run_if {body['run_if']} (task {key}); ALL_SUCCESS and ALL_DONE it does")
    spec = clusters.resolve(call, _cluster(body, key, job))
    workers = spec.body.get("num_workers")
    instances = 1 + (workers if workers is not None else (spec.body.get("autoscale") or {}).get("min_workers", 0))
    return {
        "task_key": key,
        **{name: body[name] for name in ("depends_on", "description", "run_if", "timeout_seconds") if name in body},
        "notebook_task": {"source": "WORKSPACE", **notebook},
        "new_cluster": spec.body,
        "cluster_instance": {"cluster_id": clusters.new_cluster_id()},
        "attempt_number": 0,
        "_": {
            "pool_id": spec.pool_id, "instances": instances, "spark_version": spec.spark_version,
            "spark_conf": spec.spark_conf, "environment": spec.environment, "timeout_seconds": _timeout(body),
            "security_mode": spec.body.get("data_security_mode"),
            "run_if": body.get("run_if", "ALL_SUCCESS"),
        },
    }  # fmt: skip


def _cluster(body: Json, key: str, job: Json | None) -> Any:
    given = [name for name in ("new_cluster", "existing_cluster_id", "job_cluster_key") if name in body]
    if not given:
        raise not_emulated(f"serverless compute (task {key} has no new_cluster)")
    if len(given) > 1:
        raise errors.invalid(f"Task {key} must have only one of {', '.join(given)}.")
    if given[0] == "existing_cluster_id":
        raise errors.invalid(f"Cluster {body['existing_cluster_id']} does not exist")
    if given[0] == "job_cluster_key":
        for item in (job or {}).get("settings", {}).get("job_clusters") or []:
            if item["job_cluster_key"] == body["job_cluster_key"]:
                return item["new_cluster"]
        raise errors.invalid(f"Job cluster {body['job_cluster_key']} of task {key} is not defined in job_clusters.")
    return body["new_cluster"]


def _check_dependencies(tasks: list[Json]) -> None:
    needed = {task["task_key"]: [item.get("task_key") for item in task.get("depends_on", [])] for task in tasks}
    for key, names in needed.items():
        for name in names:
            if name not in needed:
                raise errors.invalid(f"Task {key} depends on {name}, which is not a task of this run.")
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        members = [key for key in needed if key in error.args[1]]
        raise errors.invalid(f"Tasks {', '.join(members)} depend on each other in a circle.") from error
