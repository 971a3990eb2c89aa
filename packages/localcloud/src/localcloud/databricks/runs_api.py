"""/api/2.x/jobs/runs: submit, get, get-output, list, cancel, cancel-all, delete."""

from __future__ import annotations

import shutil
from typing import Any

from localcloud.core.json import Json
from localcloud.databricks import errors, permissions, run_requests
from localcloud.databricks.request import Call, check_unknown
from localcloud.databricks.runs import Run, TaskRun, all_runs, find_run

_SUBMIT = frozenset(
    {
        "tasks", "run_name", "timeout_seconds", "idempotency_token", "access_control_list", "run_as", "notebook_task",
        "new_cluster", "existing_cluster_id", "email_notifications", "notification_settings", "webhook_notifications",
        "queue",
    }
)  # fmt: skip
_MAX_TOKEN = 64
_MAX_PAGE = 25


def submit(call: Call) -> Json:
    """Start a run of tasks that no job has. A repeated idempotency token returns the first one's run."""
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
    run_as = run_requests.run_identity(call, body.get("run_as"))
    single_task = "tasks" not in body
    if single_task:
        only = {key: body[key] for key in ("notebook_task", "new_cluster", "existing_cluster_id") if key in body}
        tasks: list[Any] = [{"task_key": "main", **only}]
    else:
        tasks = body["tasks"]
    name = str(body.get("run_name") or "Untitled")
    run = run_requests.new_run(
        call, tasks, run_as=run_as, name=name, single_task=single_task, timeout_seconds=run_requests.timeout(body)
    )
    start(call, run, token)
    return {"run_id": run.run_id}


def get(call: Call) -> Json:
    """Return a run, or a task's run."""
    run, task = _require(call)
    return run.to_api() if task is None or run.single_task else run.task_to_api(task)


def get_output(call: Call) -> Json:
    """Return a task's result, or its error."""
    run, task = _require(call)
    if task is None:
        raise errors.invalid(
            "Retrieving the output of runs with multiple tasks is not supported."
            " Please retrieve the output of each individual task run instead."
        )
    result: Json = {"metadata": run.task_to_api(task)}
    outcome = task.lifecycle.outcome
    if outcome is None:
        return result
    if outcome.result_state == "SUCCESS":
        result["notebook_output"] = {"truncated": outcome.truncated}
        if outcome.value is not None:
            result["notebook_output"]["result"] = outcome.value
    messages = {"error": outcome.error, "error_trace": outcome.error_trace}
    return result | {name: text for name, text in messages.items() if text is not None}


def list_(call: Call) -> Json:
    """Return runs, newest first, 20 a page (25 at most); page_token is the offset."""
    active, completed = call.flag("active_only"), call.flag("completed_only")
    if active and completed:
        raise errors.invalid("active_only and completed_only cannot both be true.")
    job_id, kind = call.optional_text("job_id"), call.optional_text("run_type")
    after, before = call.number("start_time_from", 0), call.number("start_time_to", 2**62)
    runs = [
        run
        for run in reversed(all_runs(call.documents))
        if _visible(call, run)
        and not (active and run.lifecycle.is_over)
        and not (completed and not run.lifecycle.is_over)
        and (job_id is None or str(run.job_id) == job_id)
        and (kind is None or run.kind == kind)
        and after <= run.lifecycle.start_time <= before
    ]
    size = call.number("limit", 20)
    if not 0 <= size <= _MAX_PAGE:
        raise errors.invalid(f"limit must be between 1 and {_MAX_PAGE}, got {size}.")
    size = size or _MAX_PAGE
    offset = call.number("page_token", call.number("offset", 0))
    page = [run.to_api() for run in runs[offset : offset + size]]
    if not call.flag("expand_tasks"):
        for item in page:
            item.pop("tasks", None)
    more = bool(page) and offset + size < len(runs)
    result: Json = {"runs": page, "has_more": more} if page else {"has_more": False}
    return result | {"next_page_token": str(offset + size)} if more else result


def cancel(call: Call) -> Json:
    """End a run as CANCELED, unless it is over."""
    run, _ = _require(call, manage=True)
    call.services.runner.cancel(run.run_id)
    return {}


def cancel_all(call: Call) -> Json:
    """Cancel the runs of a job, or of every job with all_queued_runs."""
    job_id = call.optional_text("job_id")
    if job_id is None and not call.flag("all_queued_runs"):
        raise errors.invalid("Missing required field: job_id")
    for run in all_runs(call.documents):
        if (job_id is None or str(run.job_id) == job_id) and _visible(call, run):
            call.services.runner.cancel(run.run_id)
    return {}


def delete(call: Call) -> Json:
    """Delete a run that is over, with its clusters and its files."""
    run, _ = _require(call, manage=True)
    if not run.lifecycle.is_over:
        raise errors.invalid_state(f"Cannot delete run {run.run_id}: it is active; cancel it first.")
    call.documents.delete("run", str(run.run_id))
    for task in run.tasks:
        call.documents.delete("task-run", str(task.run_id))
        call.documents.delete("cluster", task.cluster_id)
        shutil.rmtree(call.services.context.settings.runs / f"databricks-{task.run_id}", ignore_errors=True)
    return {}


def start(call: Call, run: Run, token: str | None) -> None:
    """Store a run with its clusters, and begin it."""
    with call.documents.database.transaction():
        run.save(call.documents)
        for task in run.tasks:
            call.documents.put("task-run", str(task.run_id), {"run_id": run.run_id})
            cluster = {
                **task.new_cluster, "cluster_id": task.cluster_id, "cluster_source": "JOB", "state": "PENDING",
                "creator_user_name": run.creator, "cluster_name": f"job-{run.job_id}-run-{run.run_id}",
            }  # fmt: skip
            call.documents.put("cluster", task.cluster_id, cluster)
        if token:
            call.documents.put("token", token, {"run_id": run.run_id})
    call.services.runner.start(call.workspace, run)


def _require(call: Call, *, manage: bool = False) -> tuple[Run, TaskRun | None]:
    """Return the run, and its task. Raises INVALID_PARAMETER_VALUE for a missing run (sic), or PERMISSION_DENIED."""
    run_id = call.number("run_id")
    located = find_run(call.documents, run_id)
    if located is None:
        raise errors.invalid(f"Run {run_id} does not exist.")
    if not _visible(call, located[0]):
        action = "manage" if manage else "view"
        raise errors.permission_denied(f"User {call.caller.name} does not have permission to {action} run {run_id}.")
    return located


def _visible(call: Call, run: Run) -> bool:
    if call.caller.is_admin or call.caller.name in (run.creator, run.run_as):
        return True
    return call.documents.get("job", str(run.job_id)) is not None and permissions.allows(
        call.documents, call.caller, "jobs", str(run.job_id), "CAN_VIEW"
    )
