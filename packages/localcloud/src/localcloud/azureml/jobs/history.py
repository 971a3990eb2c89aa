"""Run history and its neighbours at https://REGION.api.azureml.ms: runs, their children, logs and outputs.

    /history/v1.0/…/workspaces/WS/[experiments/E/|experimentids/E/]runs/ID[/children|/details|/cancel …]
    /data/v1.0/…/dataversion/NAME/versions/VERSION
    /data/v1.0/…/dataversion/batchGetResolvedUris, /modelregistry/v1.0/…/models/batchGetResolvedUris
    /metric/v2.0/…/runs/ID/list|full|sample

Source: azure-ai-ml `_restclient/{runhistory,dataset_dataplane,model_dataplane}/operations/_operations.py`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.arm.wire import LARGEST
from localcloud.azureml import paths
from localcloud.azureml.jobs import metrics, run_shapes
from localcloud.azureml.jobs.runner import JobRunner
from localcloud.azureml.jobs.runs import Run, RunStore
from localcloud.azureml.mlflow import access
from localcloud.azureml.mlflow.service import MlflowService
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json, parsed
from localcloud.core.resource import Resource
from localcloud.core.streams import whole_body

_PAGE = 500
_EXPERIMENT = re.compile(r"(?:experiments|experimentids)/([^/]+)/(.*)")
_RUN = re.compile(r"runs/([^/:]+)(?:/(.*))?")
_ASSET = re.compile(r".*/(?:data|models)/azureml_(?P<run>.+)_(?P<side>input|output)_data_(?P<name>.+)/versions/1")
_DATA_VERSION = re.compile(r"dataversion/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")
_DATA_TYPES = {"mltable": "MLTable", "uri_file": "UriFile", "uri_folder": "UriFolder"}
"""Spellings of the data service. Source: mltable 1.7 `mltable.py`, azureml-core 1.61 `data/abstract_dataset.py`."""
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class RunHistory:
    """Handlers of the run history service."""

    def __init__(self, ctx: Context, store: RunStore, runner: JobRunner, mlflow: MlflowService) -> None:
        self._ctx = ctx
        self._store = store
        self._runner = runner
        self._mlflow = mlflow

    def routes(self) -> list[BaseRoute]:
        served: dict[str, Callable[[Request, Resource, str, Json], Awaitable[Json | None]]] = {
            "/history/v1.0/{path:path}": self._history,
            "/data/v1.0/{path:path}": self._resolved,
            "/modelregistry/v1.0/{path:path}": self._resolved,
            "/metric/v2.0/{path:path}": self._metrics,
        }
        return [Route(path, self._entered(answer), methods=_METHODS) for path, answer in served.items()]

    def _entered(self, answer: Callable[[Request, Resource, str, Json], Awaitable[Json | None]]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                workspace_id, rest = access.split(request.path_params["path"])
                permission = _permission(request.method, rest)
                access.enter(self._ctx, self._mlflow.tokens, request, workspace_id, permission)
                workspace = access.workspace_at(self._ctx, workspace_id)
                content = await answer(request, workspace, rest, await _body(request))
            except ServiceError as error:
                return _error_response(error)
            return Response(status_code=200) if content is None else JSONResponse(content)

        return endpoint

    async def _history(self, request: Request, workspace: Resource, rest: str, body: Json) -> Json | None:
        if rest == "rundata" and request.method == "POST":
            return self._run_data(workspace, body)
        if rest == "batchrundata" and request.method == "POST":
            requests_ = _map(body, "requests")
            return {"runs": {key: {"runData": self._run_data(workspace, _map(requests_, key))} for key in requests_}}
        experiment = _EXPERIMENT.fullmatch(rest)
        if experiment is not None:
            rest = experiment[2]
        if rest == "runs:query" and request.method == "POST":
            return self._query(workspace, body, experiment[1] if experiment else None)
        match = _RUN.fullmatch(rest)
        if match is None:
            raise not_emulated(f"{request.method} {request.url.path}")
        run = self._run(workspace, match[1])
        return await self._run_answer(request, workspace, run, match[2] or "", body)

    async def _run_answer(
        self, request: Request, workspace: Resource, run: Run, operation: str, body: Json
    ) -> Json | None:
        method = request.method
        if method == "GET" and operation == "":
            return run_shapes.run_json(self._ctx, workspace, run)
        if method == "GET" and operation == "details":
            return run_shapes.details_json(self._ctx, workspace, run)
        if method == "GET" and operation == "children":
            children = [self._live(child) for child in self._store.children(workspace.id, run.id)]
            return self._page(request, workspace, children)
        if method == "GET" and operation.startswith("serviceinstances/"):
            return {"instances": {}}
        if method == "PATCH" and operation == "":
            return self._modify(workspace, run, body)
        if method == "POST" and operation == "cancel":
            self._runner.cancel(workspace.id, run.id)
            return None
        raise not_emulated(f"{method} {request.url.path}")

    def _run(self, workspace: Resource, id_: str) -> Run:
        """Return the run of an id. Raises ServiceError 404 as run history does."""
        run = self._runner.live(workspace.id, id_) or self._store.get(workspace.id, id_)
        if run is None:
            raise ServiceError(404, "UserError", f"RunId {id_} was not found.")
        return run

    def _live(self, run: Run) -> Run:
        return self._runner.live(run.workspace_id, run.id) or run

    def _page(self, request: Request, workspace: Resource, runs: list[Run]) -> Json:
        query = request.query_params
        start = _count("$continuationToken", query.get("$continuationToken"), 0)
        size = min(_count("$top", query.get("$top"), _PAGE), _PAGE)
        content: Json = {
            "value": [run_shapes.run_json(self._ctx, workspace, run) for run in runs[start : start + size]]
        }
        if start + size < len(runs):
            content["continuationToken"] = str(start + size)
            content["nextLink"] = str(request.url.include_query_params(**{"$continuationToken": str(start + size)}))
        return content

    def _query(self, workspace: Resource, body: Json, experiment: str | None) -> Json:
        """Return runs, the newest first; runs of an experiment by its name or id. Filters are not emulated."""
        if body.get("filter"):
            raise not_emulated(f"runs:query with the filter {body['filter']!r}")
        runs = [
            self._live(run)
            for job in self._store.jobs(workspace.id)
            for run in reversed(self._store.tree(workspace.id, job.id))
            if experiment in {None, run.experiment, run_shapes.experiment_id(workspace, run.experiment)}
        ]
        start = _count("continuationToken", body.get("continuationToken"), 0)
        size = min(_count("top", body.get("top"), _PAGE), _PAGE)
        content: Json = {
            "value": [run_shapes.run_json(self._ctx, workspace, run) for run in runs[start : start + size]]
        }
        content["continuationToken"] = str(start + size) if start + size < len(runs) else None
        return content

    def _run_data(self, workspace: Resource, body: Json) -> Json:
        run = self._run(workspace, str(body.get("runId") or ""))
        return {
            "runMetadata": run_shapes.run_json(self._ctx, workspace, run),
            "runDefinition": None,
            "jobSpecification": None,
        }

    def _modify(self, workspace: Resource, run: Run, body: Json) -> Json:
        """displayName, description, hidden are set; tags and properties are added to."""
        if body.get("displayName") is not None:
            run.display_name = str(body["displayName"])
        if body.get("description") is not None:
            run.description = str(body["description"])
        if body.get("hidden") is not None:
            run.hidden = bool(body["hidden"])
        run.tags |= {str(key): str(value) for key, value in _map(body, "tags").items()}
        run.properties |= {str(key): str(value) for key, value in _map(body, "properties").items()}
        run.revision += 1
        self._store.save(run)
        return run_shapes.run_json(self._ctx, workspace, run)

    async def _resolved(self, request: Request, workspace: Resource, rest: str, body: Json) -> Json:
        if request.method == "GET" and (asset := _DATA_VERSION.fullmatch(rest)):
            return _data_version(self._ctx, workspace, asset["name"], asset["version"])
        if request.method != "POST" or not rest.endswith("/batchGetResolvedUris"):
            raise not_emulated(f"{request.method} {request.url.path}")
        key = "path" if rest.startswith("models/") else "uri"
        values = {}
        ids_of_request = body.get("values") or []
        if not isinstance(ids_of_request, list):
            raise ServiceError(400, "UserError", "values must be a JSON array.")
        for id_ in ids_of_request:
            match = _ASSET.fullmatch(str(id_))
            run = self._run(workspace, match["run"]) if match else None
            ports = {} if run is None or match is None else run.inputs if match["side"] == "input" else run.outputs
            if match is None or match["name"] not in ports:
                raise ServiceError(404, "UserError", f"The asset '{id_}' was not found.")
            port = ports[match["name"]]
            values[str(id_)] = {key: port["uri"], "type": port["type"]}
        return {"values": values}

    async def _metrics(self, request: Request, workspace: Resource, rest: str, body: Json) -> Json:
        match = _RUN.fullmatch(rest)
        if request.method != "POST" or match is None or match[2] not in {"list", "full", "sample"}:
            raise not_emulated(f"{request.method} {request.url.path}")
        run = self._run(workspace, match[1])
        if match[2] == "list":
            return await metrics.listed(self._mlflow.mlflow, workspace, run)
        return await metrics.full(self._mlflow.mlflow, workspace, run, str(body.get("metricName") or ""))


def _count(name: str, value: Any, default: int) -> int:
    """Return a number of runs. Raises ServiceError 400."""
    text = str(value or default)
    if re.fullmatch("[0-9]{1,9}", text) is None:
        raise ServiceError(400, "UserError", f"{name} is not a number of runs: {text[:40]!r}.")
    return int(text)


def _map(body: Json, name: str) -> Json:
    """Return an object in a body, {} when it is missing. Raises ServiceError 400."""
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise ServiceError(400, "UserError", f"{name} must be a JSON object.")
    return value


def _data_version(ctx: Context, workspace: Resource, name: str, version: str) -> Json:
    """Return a DataVersionEntity, by which mltable finds the storage of a data asset. Raises ServiceError 404.

    `isV2` and `legacyDataflow` are read by mltable 1.7 (`mltable.py`, _load_mltable_dict_from_data_asset_uri).
    """
    asset = paths.resolve_asset(ctx, workspace, f"azureml:{name}:{version}", "data")
    properties, stamps = asset.properties, asset.system_data or {}
    mutable = {key: properties.get(key) for key in ("description", "tags", "isArchived")}
    return {
        "dataVersion": {
            "assetId": f"azureml://locations/{workspace.location}/workspaces/{workspace.properties['workspaceId']}"
            f"/data/{name}/versions/{version}",
            "dataContainerName": name, "dataType": _DATA_TYPES[properties["dataType"]],
            "dataUri": properties["dataUri"], "versionId": version, "mutableProps": mutable,
            "referencedDataUris": properties.get("referencedUris"),
            "properties": properties.get("properties") or {},
        },
        "isV2": True,
        "legacyDataflow": None,
        "entityMetadata": {
            "etag": asset.extra.get("etag"), "createdTime": stamps.get("createdAt"),
            "modifiedTime": stamps.get("lastModifiedAt"), "createdBy": None, "modifiedBy": None,
        },
    }  # fmt: skip


def _permission(method: str, rest: str) -> str:
    if rest.startswith("dataversion/") and method == "GET":
        return "data/versions/read"
    if rest.endswith("/cancel"):
        return "jobs/cancel/action"
    if "batchGetResolvedUris" in rest:
        return "models/read" if rest.startswith("models/") else "data/read"
    if method == "GET" or rest.rsplit("/", 1)[-1] in {
        "rundata",
        "batchrundata",
        "runs:query",
        "list",
        "full",
        "sample",
    }:
        return "experiments/runs/read"
    return "experiments/runs/write"


async def _body(request: Request) -> Json:
    too_large = ServiceError(413, "UserError", "The request has more than 4 MB.")
    raw = await whole_body(request, LARGEST, too_large)
    try:
        body = parsed(raw) if raw.strip() else {}
    except ValueError as error:
        raise ServiceError(400, "UserError", f"The request body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise ServiceError(400, "UserError", "The request body must be a JSON object.")
    return body


def _error_response(error: ServiceError) -> Response:
    content: Json = {
        "error": {"code": error.code, "severity": None, "message": error.message, "details": [], "innerError": None},
        "correlation": {},
        "environment": None,
        "location": None,
    }
    return JSONResponse(content, error.status, error.headers)
