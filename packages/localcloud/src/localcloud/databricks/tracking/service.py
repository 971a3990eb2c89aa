"""/api/2.0/mlflow of a Databricks workspace: MLflow's own server behind the workspace's sign-in and permissions.

The operations are the requests of MLflow's client to a `databricks` tracking URI (mlflow/protos: MlflowService,
DatabricksMlflowArtifactsService). The rest, such as the model registry and traces, answers 501.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.tracking import TrackingServer
from localcloud.databricks import errors
from localcloud.databricks.request import Call
from localcloud.databricks.tracking import experiments
from localcloud.databricks.tracking.artifacts import Artifacts

_READS = frozenset(
    {
        "GET experiments/get", "GET experiments/get-by-name", "POST experiments/search", "GET experiments/search",
        "GET runs/get", "POST runs/search", "GET metrics/get-history", "GET logged-models/{}",
        "POST logged-models/search",
        "GET artifacts/list", "POST artifacts/credentials-for-read", "GET logged-models/{}/artifacts/directories",
        "POST logged-models/{}/artifacts/credentials-for-download",
    }
)  # fmt: skip
_WRITES = frozenset(
    {
        "POST experiments/create", "POST experiments/update", "POST experiments/delete", "POST experiments/restore",
        "POST experiments/set-experiment-tag", "POST runs/create", "POST runs/update", "POST runs/delete",
        "POST runs/restore", "POST runs/log-metric", "POST runs/log-parameter", "POST runs/log-batch",
        "POST runs/set-tag",
        "POST runs/delete-tag", "POST runs/log-model", "POST runs/log-inputs", "POST runs/outputs",
        "POST logged-models", "PATCH logged-models/{}", "DELETE logged-models/{}", "POST logged-models/{}/params",
        "PATCH logged-models/{}/tags",
        "POST artifacts/credentials-for-write", "POST logged-models/{}/artifacts/credentials-for-upload",
    }
)  # fmt: skip
_MODEL = re.compile(r"logged-models/(?!search$)([^/]+)(/.*)?")
_ADDRESS = re.compile(r"mlflow-artifacts:/+(?:workspaces/[^/]+/)?(\d+)(?:/(models/)?(.+))?")


async def answer(call: Call, method: str, path: str) -> Json:
    """Answer one operation; `path` is below mlflow/. Raises ServiceError with MLflow's or Databricks' error code."""
    model = _MODEL.fullmatch(path)
    operation = f"{method} {path if model is None else 'logged-models/{}' + (model[2] or '')}"
    server: TrackingServer | None = call.services.context.offered.get(TrackingServer)
    if operation not in _READS | _WRITES or server is None:
        raise not_emulated(f"{method} /api/2.0/mlflow/{path} of Azure Databricks")
    workspace = call.services.context.resources.get(call.workspace.resource_id)
    assert workspace is not None, "the workspace has just been found by its host"
    return await _Operation(call, server, workspace).answer(operation, path, None if model is None else model[1])


class _Operation:
    def __init__(self, call: Call, server: TrackingServer, workspace: Resource) -> None:
        self._call = call
        self._server = server
        self._workspace = workspace

    async def answer(self, operation: str, path: str, model: str | None) -> Json:
        call, level = self._call, "CAN_READ" if operation in _READS else "CAN_EDIT"
        if operation == "POST experiments/create":
            return await experiments.create(call, self._server, self._workspace)
        _check_names(call.parameters)
        ids = await self._experiments(model)
        if not ids and operation in _WRITES:
            raise errors.invalid("Missing required field: experiment_id")
        for name in [await self._name(id_) for id_ in ids]:
            experiments.require(call, name, level)
        if "artifacts/" in operation:
            return await self._artifacts(operation, model, ids[0] if ids else "")
        method = operation.split(" ")[0]
        query = call.parameters if method in ("GET", "DELETE") else None
        body = call.parameters if query is None else None
        if operation == "POST experiments/update" and call.optional_text("new_name"):
            body = {**call.parameters, "new_name": experiments.new_place(call, "new_name")}
        result = await self._server.call(self._workspace, method, path, body, query)
        if operation.endswith("experiments/get-by-name"):
            experiments.require(call, result["experiment"]["name"], level)
        if operation.endswith("experiments/search"):
            match = result.get("experiments") or []
            result["experiments"] = [item for item in match if experiments.is_allowed(call, item["name"], "CAN_READ")]
        content: Json = _render(result)
        return content

    async def _experiments(self, model: str | None) -> list[str]:
        """Return the ids of the experiments that the call is about."""
        parameters = self._call.parameters
        if model is not None:
            known = await self._server.call(self._workspace, "GET", f"logged-models/{model}")
            return [str(known["model"]["info"]["experiment_id"])]
        ids = []
        # A request may name more objects than its operation reads: each of them is checked, whichever MLflow uses.
        for run in dict.fromkeys(str(parameters[name]) for name in ("run_id", "run_uuid") if parameters.get(name)):
            if run:
                known = await self._server.call(self._workspace, "GET", "runs/get", params={"run_id": run})
                ids.append(str(known["run"]["info"]["experiment_id"]))
        several, single = parameters.get("experiment_ids"), parameters.get("experiment_id")
        ids += several if isinstance(several, list) else [several] if several else []
        ids += [single] if single else []
        return list(dict.fromkeys(str(id_) for id_ in ids))

    async def _name(self, experiment_id: str) -> str:
        known = await self._server.call(
            self._workspace, "GET", "experiments/get", params={"experiment_id": experiment_id}
        )
        return str(known["experiment"]["name"])

    async def _artifacts(self, operation: str, model: str | None, experiment: str) -> Json:
        call = self._call
        store: Artifacts = call.services.context.offered[Artifacts]
        run = call.parameters.get("run_id") or call.parameters.get("run_uuid")
        if model is None and not run:
            raise errors.invalid("Missing required field: run_id")
        owner = f"{experiment}/{run}" if model is None else f"{experiment}/logged_models/{model}"
        if operation.startswith("GET"):
            name = "path" if model is None else "artifact_directory_path"
            path = (call.optional_text(name) or "").strip("/")
            files = await asyncio.to_thread(store.listed, call.workspace, owner, path)
            return {"root_uri": f"dbfs:/databricks/mlflow-tracking/{owner}/artifacts", "files": files}
        paths = call.parameters.get("path" if model is None else "paths")
        if not isinstance(paths, list) or not paths:
            raise errors.invalid("At least one path is required.")
        permission = "r" if operation.endswith(("read", "download")) else "w"
        infos = [{"path": path, **store.credential(call.workspace, owner, str(path), permission)} for path in paths]
        if model is None:
            return {"credential_infos": [{"run_id": run, **info} for info in infos]}
        return {"credentials": [{"credential_info": info} for info in infos]}


def _check_names(parameters: Json) -> None:
    """Refuse camel case: protobuf's parser, which MLflow has, reads experimentIds as experiment_ids."""
    for name in parameters:
        if name != name.lower():
            raise not_emulated(f"the field {name}: MLflow's fields are in lower case, with underscores")


def _render(value: Any) -> Any:
    """Return MLflow's answer with Databricks' addresses of artifacts."""
    if isinstance(value, dict):
        return {key: _render(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_render(item) for item in value]
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    experiment, models, rest = match.groups()
    place = f"/{'logged_models/' if models else ''}{rest}" if rest else ""
    return f"dbfs:/databricks/mlflow-tracking/{experiment}{place}"
