"""workspaces/jobs as an ARM type. Steps of pipelines are jobs without properties there: run history has them."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from localcloud.arm import rules
from localcloud.arm.resource_types import Call, ProviderRoute, ResourceType
from localcloud.azureml import hosts
from localcloud.azureml.common import ASSET_VERSIONS, NAMESPACE, user_error, workspace_id, workspace_of
from localcloud.azureml.jobs import shapes
from localcloud.azureml.jobs.runner import JobRunner
from localcloud.azureml.jobs.runs import Run, RunStore
from localcloud.azureml.jobs.submit import NAME, TYPE, Submission, complete
from localcloud.azureml.jobs.tracking import Tracking
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_FIXED = (
    "jobType", "command", "codeId", "environmentId", "computeId", "experimentName", "inputs", "outputs", "jobs",
    "settings", "limits", "identity", "environmentVariables",
)  # fmt: skip
_HOLD_SECONDS = 1.0
_END_SECONDS = 60.0


class JobType:
    """The hooks of the type."""

    def __init__(
        self, ctx: Context, store: RunStore, runner: JobRunner, submission: Submission, tracking: Tracking
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._runner = runner
        self._submission = submission
        self._tracking = tracking

    def register(self) -> None:
        self._ctx.types.register(
            ResourceType(
                type=TYPE, api_versions=ASSET_VERSIONS, name=NAME, provisioning_state=False, complete=_complete,
                on_put=self._put, on_delete=self._delete, check_delete=self._check_delete, read=self._read,
                list_in=self._list, render=self._render, actions={"cancel": self._cancel},
                required=("properties.jobType",),
            )
        )  # fmt: skip
        self._ctx.types.register_routes(
            ProviderRoute(
                method="GET", permission=None, handler=self._canceled, api_versions=(),
                template=f"/subscriptions/{{subscription}}/providers/{NAMESPACE}/locations/{{location}}"
                "/mfeOperationResults/{operation}",
            )
        )  # fmt: skip

    async def _put(self, ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
        if existing is None:
            await self._submission.submit(workspace_of(ctx, resource.id), resource, call.principal)
            return
        if _is_step(existing):
            raise user_error(f"The job '{resource.name}' is a step of a pipeline: it cannot be changed.")
        ctx.resources.put(resource)
        run = self.run_of(resource)
        if run is not None:
            properties = resource.properties
            run.display_name, run.description = properties["displayName"], properties.get("description")
            run.tags, run.hidden = dict(properties["tags"]), bool(properties["isArchived"])
            run.properties = {str(key): str(value) for key, value in properties["properties"].items()}
            self._store.save(run)

    def run_of(self, resource: Resource) -> Run | None:
        workspace = workspace_id(resource.id)
        return self._runner.live(workspace, resource.name) or self._store.get(workspace, resource.name)

    async def _read(self, ctx: Context, id_: str) -> Resource | None:
        kept = ctx.resources.get(id_)
        if kept is not None:
            return kept
        name = id_.rstrip("/").rsplit("/", 1)[-1]
        run = self._store.get(workspace_id(id_), name)
        if run is None or run.parent is None:
            return None
        return Resource(id=id_, type=TYPE, name=name, private={"step": True})

    async def _list(self, ctx: Context, parent: str, call: Call) -> list[Resource]:
        """Newest first. Filters listViewType, jobType, tag ("a" or "a=b"), properties, scheduled, scheduleId."""
        view = call.query.get("listViewType", "ActiveOnly")
        result = []
        for run in self._store.jobs(parent):
            resource = ctx.resources.get(f"{parent}/jobs/{run.id}")
            if resource is None or (view != "All" and run.hidden != (view == "ArchivedOnly")):
                continue
            properties = resource.properties
            kind, tag = call.query.get("jobType"), call.query.get("tag")
            if kind and str(properties["jobType"]).lower() != kind.lower():
                continue
            if tag and not _matches(run.tags, tag):
                continue
            if (filter_ := call.query.get("properties")) and not _matches(run.properties, filter_):
                continue
            if not _is_scheduled_as(resource, call.query):
                continue
            result.append(resource)
        return result

    def _render(self, ctx: Context, resource: Resource) -> Json:
        body = resource.to_json()
        if _is_step(resource):
            return body | {"properties": None}
        run = self.run_of(resource)
        if run is None:
            return body
        workspace = workspace_of(ctx, resource.id)
        properties = body["properties"]
        outputs = {}
        for name, output in run.outputs.items():
            specified = properties["outputs"].get(name) or {}
            outputs[name] = {
                "description": specified.get("description"), "jobOutputType": output["type"], "uri": output["uri"],
                "mode": shapes.ARM_MODES[output["mode"]], "assetName": output.get("asset_name"),
                "assetVersion": output.get("asset_version"),
            }  # fmt: skip
        properties |= {
            "status": run.status, "displayName": run.display_name, "description": run.description, "tags": run.tags,
            "properties": run.properties, "isArchived": run.hidden, "outputs": outputs,
            "services": services(ctx, workspace, run),
        }  # fmt: skip
        return body

    async def _cancel(self, ctx: Context, resource: Resource, body: Json, call: Call) -> Response:
        workspace = workspace_of(ctx, resource.id)
        if not self._runner.cancel(workspace.id, resource.name):
            return Response(status_code=200)
        token = base64.urlsafe_b64encode(json.dumps([resource.id]).encode()).decode().rstrip("=")
        parts = workspace.id.split("/")
        location = (
            f"{call.base_url}/subscriptions/{parts[2]}/providers/{NAMESPACE}/locations/{workspace.location}"
            f"/mfeOperationResults/jc-{token}?api-version={call.api_version}"
        )
        return Response(status_code=202, headers={"Location": location, "Retry-After": "1"})

    async def _canceled(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Response:
        """202 until the job is over. A polling caller must be allowed to read the job."""
        id_ = _decoded(parameters["operation"])
        rules.authorize(ctx, call.principal, f"{TYPE}/read", id_)
        if await self._runner.ended(workspace_id(id_), id_.rsplit("/", 1)[-1], _HOLD_SECONDS):
            return Response(status_code=200)
        path = (
            f"/subscriptions/{parameters['subscription']}/providers/{NAMESPACE}/locations/{parameters['location']}"
            f"/mfeOperationResults/{parameters['operation']}?api-version={call.api_version}"
        )
        return Response(status_code=202, headers={"Location": f"{call.base_url}{path}", "Retry-After": "1"})

    def _check_delete(self, ctx: Context, resource: Resource) -> None:
        run = self.run_of(resource)
        if _is_step(resource):
            raise user_error(f"The job '{resource.name}' is a step of a pipeline: delete the pipeline job.")
        if run is not None and not run.over:
            raise user_error(
                f"The job '{resource.name}' is in state {run.status}: cancel it before you delete it.", 409, "Conflict"
            )

    async def _delete(self, ctx: Context, resource: Resource, call: Call) -> None:
        """Delete a job; with its workspace it may be running, and is cancelled first."""
        workspace = workspace_id(resource.id)
        if self._runner.cancel(workspace, resource.name):
            await self._runner.ended(workspace, resource.name, _END_SECONDS)
        existing = ctx.resources.get(workspace)
        for run in self._store.tree(workspace, resource.name):
            await asyncio.to_thread(shutil.rmtree, ctx.settings.runs / f"azureml-{run.id}", ignore_errors=True)
            if existing is not None and existing.state != "Deleting":
                await self._tracking.delete(existing, run)
        self._store.delete(workspace, resource.name)


def services(ctx: Context, workspace: Resource, run: Run) -> Json:
    """Return the addresses of a run: its page, and its workspace's MLflow."""
    more = {"port": None, "status": None, "errorMessage": None, "nodes": None, "properties": None}
    return {
        "Tracking": {
            "endpoint": f"{hosts.addresses_json(ctx, workspace)['mlFlowTrackingUri']}?",
            "jobServiceType": "Tracking", **more,
        },
        "Studio": {"endpoint": page_url(ctx, workspace, run.id), "jobServiceType": "Studio", **more},
    }  # fmt: skip


def page_url(ctx: Context, workspace: Resource, run_id: str) -> str:
    return f"{ctx.settings.gateway_url}/_localcloud/azureml/runs/{run_id}?wsid={quote(workspace.id, safe='/')}"


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Refuse changes of a job, except of names, tags, description, properties and the archive mark."""
    complete(resource)
    if existing is None:
        return
    before = existing.properties
    changed = [
        name
        for name in _FIXED
        if resource.properties.get(name) and before.get(name) and not _agrees(before[name], resource.properties[name])
    ]
    if changed and not _is_step(existing):
        raise user_error(
            f"The job '{resource.name}' exists already and its {', '.join(changed)} cannot be changed.", 409, "Conflict"
        )
    resource.properties |= {name: before[name] for name in _FIXED if name in before}


def _agrees(before: Any, after: Any) -> bool:
    """Return whether a client sends back the unchanged job: addresses that the service filled in do not count."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(_agrees(before[key], after[key]) for key in before.keys() & after.keys() if after[key] is not None)
    if isinstance(before, str) and isinstance(after, str):
        return before.lower() == after.lower()
    return bool(before == after) or before is None


def _is_step(resource: Resource) -> bool:
    return bool(resource.private.get("step"))


def _is_scheduled_as(resource: Resource, query: Mapping[str, str]) -> bool:
    """Whether the job's schedule is the query's: any, none or a certain one; no condition in the query matches all."""
    schedule = resource.private.get("schedule")
    scheduled = query.get("scheduled", "").lower()
    if scheduled in {"true", "false"} and (scheduled == "true") != (schedule is not None):
        return False
    return "scheduleId" not in query or schedule == query["scheduleId"].rsplit("/", 1)[-1]


def _matches(entries: Mapping[str, str], conditions: str) -> bool:
    key, equals, value = conditions.partition("=")
    return key in entries and (not equals or str(entries[key]) == value)


def _decoded(operation: str) -> str:
    token = operation.removeprefix("jc-")
    try:
        return str(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))[0])
    except (ValueError, LookupError, TypeError) as error:
        raise ServiceError(404, "NotFound", f"The operation '{operation}' was not found.") from error
