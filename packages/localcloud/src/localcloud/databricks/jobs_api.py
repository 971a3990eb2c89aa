"""/api/2.x/jobs: create, get, list, reset, update, delete, run-now. Schedules and triggers are not emulated."""

from __future__ import annotations

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors, permissions, run_requests, runs_api
from localcloud.databricks.clock import now_ms
from localcloud.databricks.request import Call, check_unknown

_SETTINGS = frozenset(
    {
        "name", "tasks", "job_clusters", "parameters", "tags", "timeout_seconds", "max_concurrent_runs", "run_as",
        "email_notifications", "notification_settings", "webhook_notifications", "format", "queue", "description",
        "access_control_list", "edit_mode", "deployment",
    }
)  # fmt: skip


def create(call: Call) -> Json:
    settings = _checked(call.parameters)
    job_id = call.documents.next_id()
    run_as = run_requests.run_identity(call, settings.get("run_as"))
    job: Json = {
        "job_id": job_id,
        "creator_user_name": call.caller.name,
        "run_as_user_name": run_as,
        "created_time": now_ms(),
        "settings": settings,
    }
    if settings.get("tasks"):
        # Submission's checks, so that an impossible job is refused when it is made.
        run_requests.new_run(call, settings["tasks"], run_as=run_as, name=settings["name"], job=job)
    call.documents.put("job", str(job_id), job)
    permissions.write_acl(
        call.documents, "jobs", str(job_id), {f"service_principal_name:{call.caller.name}": "IS_OWNER"}
    )
    return {"job_id": job_id}


def get(call: Call) -> Json:
    return _require(call, "CAN_VIEW")


def list_(call: Call) -> Json:
    name = call.optional_text("name")
    jobs = [
        job
        for job in call.documents.all("job")
        if permissions.allows(call.documents, call.caller, "jobs", str(job["job_id"]), "CAN_VIEW")
        and (name is None or job["settings"]["name"].lower() == name.lower())
    ]
    start, size = call.number("page_token", call.number("offset", 0)), call.number("limit", 20)
    page = jobs[start : start + size]
    if not call.flag("expand_tasks"):
        hidden = ("tasks", "job_clusters")
        page = [job | {"settings": {k: v for k, v in job["settings"].items() if k not in hidden}} for job in page]
    result: Json = {"jobs": page, "has_more": start + size < len(jobs)} if page else {"has_more": False}
    if result["has_more"]:
        result["next_page_token"] = str(start + size)
    return result


def reset(call: Call) -> Json:
    """Replace all settings."""
    job = _require(call, "CAN_MANAGE")
    _save(call, job, _checked(call.parameters.get("new_settings") or {}))
    return {}


def update(call: Call) -> Json:
    """Change the settings that the request has, and drop fields_to_remove."""
    job = _require(call, "CAN_MANAGE")
    kept = {
        key: value
        for key, value in job["settings"].items()
        if key not in (call.parameters.get("fields_to_remove") or [])
    }
    _save(call, job, _checked(kept | (call.parameters.get("new_settings") or {})))
    return {}


def delete(call: Call) -> Json:
    job = _require(call, "CAN_MANAGE")
    call.documents.delete("job", str(job["job_id"]))
    permissions.delete_acl(call.documents, "jobs", str(job["job_id"]))
    return {}


def run_now(call: Call) -> Json:
    """Start a run. `job_parameters` (2.2) and the older `notebook_params` reach every task as base_parameters."""
    job = _require(call, "CAN_MANAGE_RUN")
    known = {"job_id", "job_parameters", "notebook_params", "idempotency_token", "queue"}
    check_unknown(
        {key: value for key, value in call.parameters.items() if value is not None}, frozenset(known), "jobs/run-now"
    )
    token = call.optional_text("idempotency_token")
    started = call.documents.get("token", token) if token else None
    if started is not None:
        return started | {"number_in_job": started["run_id"]}
    settings = job["settings"]
    declared = {item["name"]: item["default"] for item in settings.get("parameters") or []}
    sent = {**(call.parameters.get("notebook_params") or {}), **(call.parameters.get("job_parameters") or {})}
    unknown = sorted(set(call.parameters.get("job_parameters") or {}) - set(declared))
    if unknown and declared:
        raise errors.invalid(f"Job parameter {unknown[0]} is not defined; the job has {', '.join(declared)}.")
    tasks = []
    for task in settings.get("tasks") or []:
        notebook = task.get("notebook_task") or {}
        parameters = {**(notebook.get("base_parameters") or {}), **declared, **sent}
        tasks.append({**task, "notebook_task": {**notebook, "base_parameters": parameters}})
    run = run_requests.new_run(
        call, tasks, run_as=job["run_as_user_name"], name=settings["name"], job=job,
        timeout_seconds=settings.get("timeout_seconds") or 0,
    )  # fmt: skip
    runs_api.start(call, run, token)
    return {"run_id": run.run_id, "number_in_job": run.run_id}


def _checked(body: Json) -> Json:
    settings = {key: value for key, value in body.items() if value is not None and key != "job_id"}
    for name in ("schedule", "trigger", "continuous", "git_source", "environments"):
        if settings.get(name):
            raise not_emulated(f"jobs with {name}")
    check_unknown(settings, _SETTINGS, "jobs")
    return {"name": "Untitled", "format": "MULTI_TASK", "max_concurrent_runs": 1, "timeout_seconds": 0, **settings}


def _save(call: Call, job: Json, settings: Json) -> None:
    run_requests.new_run(
        call,
        settings.get("tasks"),
        run_as=job["run_as_user_name"],
        name=settings["name"],
        job=job | {"settings": settings},
    )
    call.documents.put("job", str(job["job_id"]), job | {"settings": settings})


def _require(call: Call, level: str) -> Json:
    job_id = call.number("job_id")
    job = call.documents.get("job", str(job_id))
    if job is None:
        raise errors.invalid(f"Job {job_id} does not exist.")
    permissions.require(call.documents, call.caller, "jobs", str(job_id), level, f"job {job_id}")
    return job
