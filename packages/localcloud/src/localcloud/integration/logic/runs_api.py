"""The run history of a workflow in Resource Manager: its runs with a filter, one run, and its actions.

Source: azure-rest-api-specs, Microsoft.Logic 2019-05-01 (WorkflowRuns_List, WorkflowRuns_Get, WorkflowRunActions_List).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.integration.logic import definitions, signatures
from localcloud.integration.logic.run_store import WORKFLOW, RunStore
from localcloud.integration.logic.workflows import TEMPLATE, VERSIONS, workflow_of

_STATUS = re.compile(r"\s*status\s+eq\s+'(\w+)'\s*", re.IGNORECASE)
_STATUSES = frozenset(
    {
        "Aborted", "Cancelled", "Failed", "Faulted", "Ignored", "Paused", "Running", "Skipped", "Succeeded",
        "Suspended", "TimedOut", "Waiting",
    }
)  # fmt: skip


class RunsApi:
    """Handlers of the operations."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def register(self, ctx: Context) -> None:
        """Register the operations."""
        ctx.types.register_routes(
            *(
                ProviderRoute(
                    method="GET",
                    template=TEMPLATE + end,
                    permission=f"{WORKFLOW}/{permission}/read",
                    handler=handler,
                    api_versions=VERSIONS,
                )
                for end, permission, handler in (
                    ("/runs", "runs", self.list),
                    ("/runs/{run}", "runs", self.get),
                    ("/runs/{run}/actions", "runs/actions", self.actions),
                )
            )
        )

    async def list(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return runs, the newest first."""
        workflow = workflow_of(ctx, parameters)
        status = _status(call.query.get("$filter", ""))
        runs = [run for run in self._store.runs(workflow.id) if status is None or run["status"] == status]
        return {"value": [_run_body(workflow, run) for run in runs[: _top(call.query.get("$top"))]]}

    async def get(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        workflow = workflow_of(ctx, parameters)
        return _run_body(workflow, self._run(workflow, parameters["run"]))

    async def actions(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return the actions of a run, with links to their outputs."""
        workflow = workflow_of(ctx, parameters)
        run = self._run(workflow, parameters["run"])
        if call.query.get("$filter"):
            raise not_emulated("the $filter of the actions of a run")
        return {"value": [_action_body(workflow, run["name"], action) for action in self._store.actions(run["name"])]}

    def _run(self, workflow: Resource, name: str) -> Json:
        for run in self._store.runs(workflow.id):
            if run["name"] == name:
                return run
        raise ServiceError(
            404, "WorkflowRunNotFound", f"The workflow '{workflow.name}' run '{name}' could not be found."
        )


def _status(text: str) -> str | None:
    if not text:
        return None
    match = _STATUS.fullmatch(text)
    if match is None:
        raise not_emulated(f"the $filter '{text[:60]}' of runs: status eq 'STATUS' alone")
    if match[1] not in _STATUSES:
        raise ServiceError(400, "InvalidFilterInQueryString", f"Invalid $filter '{text}': no such status.")
    return match[1]


def _top(text: str | None) -> int:
    if text is None:
        return 30
    if not text.isdecimal() or not 1 <= int(text) <= 250:
        raise ServiceError(400, "InvalidTopInQueryString", f"The $top '{text[:20]}' must be from 1 to 250.")
    return int(text)


def _run_body(workflow: Resource, run: Json) -> Json:
    trigger = definitions.parse(workflow.properties["definition"]).trigger.name
    properties: Json = {
        "waitEndTime": run["started"] or run["queued"],
        "startTime": run["started"] or run["queued"],
        "status": run["status"],
        "correlation": {"clientTrackingId": run["client_tracking_id"]},
        "workflow": {
            "id": f"{workflow.id}/versions/{workflow.properties['version']}",
            "name": workflow.properties["version"],
            "type": f"{WORKFLOW}/versions",
        },
        "trigger": {
            "name": trigger,
            "startTime": run["queued"],
            "endTime": run["queued"],
            "status": "Succeeded",
        },
        "outputs": {},
    }
    if run["ended"]:
        properties["endTime"] = run["ended"]
    if run["error"]:
        error = json.loads(run["error"])
        properties |= {"code": error["code"], "error": error}
    return {
        "id": f"{workflow.id}/runs/{run['name']}",
        "name": run["name"],
        "type": f"{WORKFLOW}/runs",
        "properties": properties,
    }


def _action_body(workflow: Resource, run: str, action: Json) -> Json:
    properties: Json = {
        "startTime": action["started"],
        "status": action["status"],
        "correlation": {"actionTrackingId": action["tracking_id"]},
    }
    if action["ended"]:
        properties["endTime"] = action["ended"]
    if action["code"]:
        properties["code"] = action["code"]
    if action["error"]:
        properties["error"] = json.loads(action["error"])
    if action["outputs"]:
        properties["outputsLink"] = {
            "uri": signatures.contents(workflow, run, action["name"]), "contentSize": len(action["outputs"])
        }  # fmt: skip
    return {
        "id": f"{workflow.id}/runs/{run}/actions/{action['name']}",
        "name": action["name"],
        "type": f"{WORKFLOW}/runs/actions",
        "properties": properties,
    }
