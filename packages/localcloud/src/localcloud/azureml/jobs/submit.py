"""Submission of a job: from ARM's PUT, and from services that run jobs themselves, such as batch endpoints."""

from __future__ import annotations

import copy
import re

from localcloud.arm import resource_types
from localcloud.arm.resource_types import NameRule
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.azureml.jobs import shapes
from localcloud.azureml.jobs.plan import Planner
from localcloud.azureml.jobs.runner import JobRunner
from localcloud.azureml.jobs.runs import RunStore
from localcloud.azureml.jobs.sources import Sources
from localcloud.azureml.jobs.specification import JobSpec, parse
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now

TYPE = f"{WORKSPACE}/jobs"
NAME = NameRule(
    r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}",
    "The job name '{name}' is invalid: use letters, digits, '-' and '_', at most 255, and begin with a letter or "
    "digit.",
    "UserError",
)


class Submission:
    """Plans, keeps and starts jobs."""

    def __init__(self, ctx: Context, store: RunStore, runner: JobRunner, sources: Sources) -> None:
        self._ctx = ctx
        self._store = store
        self._runner = runner
        self._sources = sources

    async def submit(self, workspace: Resource, resource: Resource, principal: Principal) -> None:
        """Start the job that `resource` describes, and keep both. Raises ServiceError to refuse."""
        if self._store.get(workspace.id, resource.name) is not None:
            raise user_error(f"A job with the name '{resource.name}' exists already.", 409, "Conflict")
        job = parse(JobSpec, resource.properties, "properties")
        runs = await Planner(self._ctx, workspace, self._sources).job(resource.name, job, principal)
        with self._ctx.database.transaction():
            self._ctx.resources.put(resource)
            for run in runs:
                self._store.add(run)
        self._runner.start(workspace, runs)


async def submit(
    ctx: Context, workspace: Resource, name: str, body: Json, principal: Principal, *, schedule: str | None = None
) -> Resource:
    """Check a JobBase body ({"properties": …}), store it, and start it; return the job in ARM's form.

    `schedule` names the job's schedule, if any.

    Raises ServiceError to refuse.
    """
    if re.fullmatch(NAME.pattern, name) is None:
        raise ServiceError(400, NAME.code, NAME.message.format(name=name))
    stamp = now()
    author = {"createdBy": principal.app_id, "createdByType": "Application", "createdAt": stamp}
    resource = Resource(
        id=f"{workspace.id}/jobs/{name}", type=TYPE, name=name, properties=copy.deepcopy(body["properties"]),
        system_data=author | {"lastModifiedBy": principal.app_id, "lastModifiedAt": stamp},
        private={} if schedule is None else {"schedule": schedule},
    )  # fmt: skip
    complete(resource)
    await ctx.offered[Submission].submit(workspace, resource, principal)
    type_ = resource_types.of(ctx).get(TYPE)
    if type_ is None or type_.render is None:
        raise RuntimeError("the jobs type is not registered")
    return Resource.from_json(type_.render(ctx, resource))


def complete(resource: Resource) -> None:
    """Check the types of a job's body and fill in its defaults. Raises ServiceError 400."""
    properties = resource.properties
    parse(JobSpec, properties, "properties")
    if not properties.get("jobType"):
        raise user_error("The property 'jobType' of a job is required.")
    properties["experimentName"] = properties.get("experimentName") or "Default"
    properties["displayName"] = properties.get("displayName") or resource.name
    properties["isArchived"] = bool(properties.get("isArchived"))
    for name in ("tags", "properties"):
        properties[name] = dict(properties.get(name) or {})
    for name, key in (("inputs", "jobInputType"), ("outputs", "jobOutputType")):
        properties[name] = {
            port: value | {key: shapes.kind_of(value[key])} if isinstance(value, dict) and value.get(key) else value
            for port, value in (properties.get(name) or {}).items()
            if value is not None
        }
