"""Runs as run history shows them. Field names: azure-ai-ml `_restclient/runhistory/models`."""

from __future__ import annotations

import uuid
from datetime import datetime

from localcloud.azureml.jobs import blob_logs
from localcloud.azureml.jobs.arm import services
from localcloud.azureml.jobs.runs import Run
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.core.settings import TENANT_ID

_LOG_HOURS = 24.0


def run_json(ctx: Context, workspace: Resource, run: Run) -> Json:
    """Return a Run."""
    content = _common(ctx, workspace, run)
    return content | {
        "createdUtc": run.created, "experimentId": experiment_id(workspace, run.experiment), "name": run.name,
        "displayName": run.display_name, "description": run.description, "hidden": run.hidden,
        "dataContainerId": f"dcid.{run.id}", "isVirtual": False, "scriptName": None, "options": None, "token": None,
        "tokenExpiryTimeUtc": None, "runType": _run_type(run), "actionUris": {}, "createdFrom": None,
        "cancelationReason": None, "uniqueChildRunComputeTargets": [], "primaryMetricName": None,
        "jobSpecification": None, "queueingInfo": None, "activeChildRunId": None,
    }  # fmt: skip


def details_json(ctx: Context, workspace: Resource, run: Run) -> Json:
    """RunDetails: with the addresses of its logs, each readable for a day."""
    account, container = blob_logs.artifact_store(ctx, workspace)
    root = blob_logs.folder(run.origin)
    logs = {name: ctx.storage.sas_url(account, container, f"{root}/{name}", hours=_LOG_HOURS) for name in run.logs}
    return _common(ctx, workspace, run) | {"createdTimeUtc": run.created, "logFiles": logs, "jobCost": None}


def _common(ctx: Context, workspace: Resource, run: Run) -> Json:
    submitter = ctx.identities.by_object_id(run.submitter)
    user = {
        "userObjectId": run.submitter, "userTenantId": TENANT_ID,
        "userName": submitter.display_name if submitter else None,
        "userPuId": None, "userIdp": None, "userAltSecId": None, "userIss": None, "upn": None,
    }  # fmt: skip
    changed = run.states[-1][1] if run.states else run.created
    lasted = _lasted(run)
    return {
        "runNumber": run.number, "rootRunId": run.root, "createdBy": user, "userId": run.submitter,
        "error": _error(workspace, run), "warnings": [], "revision": run.revision, "statusRevision": run.revision,
        "runUuid": _uuid(workspace, run.id), "parentRunUuid": _uuid(workspace, run.parent) if run.parent else None,
        "rootRunUuid": _uuid(workspace, run.root), "hasVirtualParent": False, "lastStartTimeUtc": run.started,
        "currentComputeTime": None if run.over else lasted, "computeDuration": lasted if run.over else None,
        "effectiveStartTimeUtc": None, "lastModifiedBy": user, "lastModifiedUtc": changed, "duration": lasted,
        "runId": run.id, "parentRunId": run.parent, "status": run.status, "startTimeUtc": run.started,
        "endTimeUtc": run.ended, "runTypeV2": {"orchestrator": "Execution", "traits": [run.kind]},
        "properties": run.properties, "parameters": {}, "tags": run.tags, "settings": {},
        "services": {"Studio": _setting(services(ctx, workspace, run)["Studio"]["endpoint"])},
        "inputDatasets": [], "outputDatasets": [], "runDefinition": None, "target": _name(run.compute),
        "computeRequest": None, "compute": _compute(ctx, run), "inputs": assets(workspace, run, "input"),
        "outputs": assets(workspace, run, "output"),
    }  # fmt: skip


def assets(workspace: Resource, run: Run, side: str) -> Json:
    """Return data inputs or outputs as TypedAssetReference by name."""
    ports = run.inputs if side == "input" else run.outputs
    return {
        name: {"assetId": asset_id(workspace, run, side, name), "type": port["type"]}
        for name, port in ports.items()
        if port["type"] != "literal"
    }


def asset_id(workspace: Resource, run: Run, side: str, name: str) -> str:
    return (
        f"azureml://locations/{workspace.location}/workspaces/{workspace.properties['workspaceId']}/data/"
        f"azureml_{run.id}_{side}_data_{name}/versions/1"
    )


def experiment_id(workspace: Resource, name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(str(workspace.properties["workspaceId"])), f"experiment/{name}"))


def _uuid(workspace: Resource, run_id: str) -> str:
    return str(uuid.uuid5(uuid.UUID(str(workspace.properties["workspaceId"])), f"run/{run_id}"))


def _error(workspace: Resource, run: Run) -> Json | None:
    if run.error is None:
        return None
    error = run.error
    return {
        "error": {
            "code": error["code"], "severity": None, "message": error["message"],
            "messageFormat": error.get("messageFormat"), "messageParameters": {},
            "referenceCode": error.get("referenceCode"), "detailsUri": None, "target": None, "details": [],
            "innerError": None, "additionalInfo": None,
        },
        "correlation": {"operation": _uuid(workspace, run.root), "request": _uuid(workspace, run.id)},
        "environment": workspace.location, "location": workspace.location, "time": run.ended or now(),
        "componentName": "CommonRuntime" if run.kind == "command" else "PipelineService",
    }  # fmt: skip


def _setting(endpoint: str) -> Json:
    return {
        "type": "Studio", "port": None, "sslThumbprint": None, "endpoint": endpoint, "proxyEndpoint": None,
        "status": None, "errorMessage": None, "enabled": True, "properties": {},
    }  # fmt: skip


def _compute(ctx: Context, run: Run) -> Json | None:
    if run.kind != "command":
        return None
    compute = ctx.resources.get(run.compute) if run.compute else None
    inner = (compute.properties.get("properties") or {}) if compute is not None else {}
    return {
        "target": _name(run.compute) or "serverless", "targetType": "AmlCompute", "vmSize": inner.get("vmSize"),
        "instanceCount": 1, "gpuCount": None, "priority": inner.get("vmPriority"),
        "region": compute.location if compute is not None else None,
    }  # fmt: skip


def _run_type(run: Run) -> str:
    if run.kind == "pipeline":
        return "azureml.PipelineRun" if run.parent is None else "azureml.StepRun"
    return "azureml.StepRun" if run.parent is not None else "azureml.scriptrun"


def _name(id_: str | None) -> str | None:
    return id_.rsplit("/", 1)[-1] if id_ else None


def _lasted(run: Run) -> str | None:
    """.NET's TimeSpan: 00:00:12.3450000."""
    if run.started is None:
        return None
    seconds = lasted(run)
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{int(hours):02}:{int(minutes):02}:{rest:010.7f}"


def lasted(run: Run) -> float:
    """Return seconds from its start to its end, or to now."""
    if run.started is None:
        return 0.0
    return (moment(run.ended or now()) - moment(run.started)).total_seconds()


def moment(text: str) -> datetime:
    """ARM's times have seven digits."""
    return datetime.fromisoformat(text[:26] + "+00:00")
