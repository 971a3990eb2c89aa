"""Definition of a schedule: the job that it makes, by its definition or by an existing job.

Sources: azure-ai-ml's JobSchedule (`entities/_schedule/schedule.py`: CreateJob with a pipeline job, `sourceJobId` for a
job by its id), learn.microsoft.com/azure/machine-learning "Schedule pipeline jobs" (display names, expressions).
The properties or tags of such a job on Azure are unknown, so that it has none here; `scheduled` and `scheduleId` of
the jobs' list select them.
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from localcloud.azureml.common import WORKSPACE, user_error, workspace_of
from localcloud.azureml.jobs.specification import JobSpec, parse
from localcloud.core.context import Context
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_OTHER_ACTIONS = ("InvokeBatchEndpoint", "CreateMonitor", "ImportData")
_TRIGGER_TIME = "${{creation_context.trigger_time}}"
_LARGEST_NAME = 255


def complete(ctx: Context, resource: Resource, action: Any) -> Json:
    """Return the action of a schedule as the service shows it. Raises ServiceError to refuse."""
    kind = action.get("actionType") if isinstance(action, dict) else None
    if kind in _OTHER_ACTIONS:
        raise not_emulated(f"schedules with the action {kind}: localcloud has CreateJob")
    if not isinstance(action, dict) or kind != "CreateJob":
        raise user_error(f"The actionType '{kind}' of a schedule is not valid: use CreateJob.")
    definition = action.get("jobDefinition")
    if not isinstance(definition, dict):
        raise user_error("The jobDefinition of a schedule's action is required: an object with jobType Pipeline.")
    source = definition.get("sourceJobId")
    if source:
        definition = _job_definition(ctx, resource, str(source), definition)
    parse(JobSpec, definition, "properties.action.jobDefinition")
    if str(definition.get("jobType")).lower() != "pipeline":
        raise not_emulated(f"schedules of a {definition.get('jobType')} job: localcloud schedules Pipeline jobs")
    empty: Json = {"displayName": None, "description": None, "tags": {}, "properties": {}, "inputs": {}, "outputs": {}}
    return {
        "actionType": "CreateJob",
        "jobDefinition": empty
        | {key: value for key, value in definition.items() if value is not None or key not in empty}
        | {"jobType": "Pipeline", "status": "NotStarted", "isArchived": bool(definition.get("isArchived"))},
    }


def _job_definition(ctx: Context, resource: Resource, source: str, changes: Json) -> Json:
    """Return the definition of an existing job, with the schedule's changes."""
    id_ = source.removeprefix("azureml:")
    workspace = workspace_of(ctx, resource.id)
    existing = ctx.resources.get(id_ if id_.startswith("/") else f"{workspace.id}/jobs/{id_}")
    if existing is None or existing.type != f"{WORKSPACE}/jobs" or existing.private.get("step"):
        raise user_error(f"The job '{source}' of the schedule was not found in workspace '{workspace.name}'.", 404)
    changed = {key: value for key, value in changes.items() if value not in (None, {}, "")}
    return copy.deepcopy(existing.properties) | changed


def job_name(schedule: str, moment: datetime) -> str:
    """Return the name that a job's page shows: the schedule's, and when it was due."""
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    return f"{schedule[: _LARGEST_NAME - len(stamp) - 1]}-{stamp}"


def job(schedule: Resource, moment: datetime) -> Json:
    """Return the body of the job that is due at a moment."""
    definition: Json = copy.deepcopy(schedule.properties["action"]["jobDefinition"])
    for internal in ("status", "sourceJobId", "services"):
        definition.pop(internal, None)
    time = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    for value in definition["inputs"].values():
        if isinstance(value, dict) and isinstance(value.get("value"), str):
            value["value"] = value["value"].replace(_TRIGGER_TIME, time)
    return {"properties": definition | {"displayName": job_name(schedule.name, moment)}}
