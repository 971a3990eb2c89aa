"""Artifacts by the addresses that azureml-mlflow knows, Azure ML's plugin of MLflow's client.

MLflow's server stores mlflow-artifacts:/[workspaces/W/]EXPERIMENT/RUN/artifacts/PATH, which MLflow's plain client
reads through the server. In Azure ML the address is
azureml://HOST/mlflow/v2.0/WORKSPACE/experiments/EXPERIMENT/runs/RUN/artifacts/PATH, and the plugin, which names itself
in User-Agent, reads that through Azure ML's artifact service. Other artifacts are at
azureml://artifacts/ORIGIN/CONTAINER/PATH there: registered models, and logged ones without a run in their address.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localcloud.azureml.mlflow.artifacts_paths import ARTIFACT_PATH_TAG, REGISTERED, WORKSPACE, parse
from localcloud.core.json import Json

_PLUGIN = "azureml-mlflow/"
_RUN_ADDRESS = re.compile(r"azureml://.*/experiments/([^/]+)/runs/([^/]+)/artifacts(?:/(.*))?")
_FOLDER = re.compile(r"ExperimentRun/dcid\.[^/]+/(.+)")


def wanted(user_agent: str, version: str) -> bool:
    """Whether a request comes by an azureml:// tracking address.

    The plugin then requests version v2.0. Where it is merely installed it adds its name as well, and MLflow's own
    store requests the version of its https:// address, which here is v1.0.
    """
    return _PLUGIN in user_agent and version == "v2.0"


def with_public_uris(body: Any, host: str, workspace_id: str) -> Any:
    """Return an answer of MLflow's server with Azure ML's addresses."""
    root = f"azureml://{host}/mlflow/v2.0{workspace_id}/experiments"
    return _changed(body, lambda fields: _show(fields, root))


def stored(body: Any, workspace: str) -> Any:
    """Return a request to MLflow's server with MLflow's addresses; `workspace` is MLflow's."""
    return _changed(body, lambda fields: _store(fields, f"workspaces/{workspace}/"))


def _changed(value: Any, change: Callable[[Json], Json]) -> Any:
    if isinstance(value, dict):
        return change({key: _changed(inner, change) for key, inner in value.items()})
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    return value


def _show(fields: Json, root: str) -> Json:
    for name in ("artifact_uri", "source"):
        address = fields.get(name)
        if isinstance(address, str) and address.startswith("mlflow-artifacts:/"):
            fields[name] = _run_address(fields, address, root)
    if str(fields.get("artifact_location")).startswith("mlflow-artifacts:/"):
        fields["artifact_location"] = ""  # Azure ML's experiments have none
    return fields


def _run_address(fields: Json, address: str, root: str) -> str:
    parsed, rest = parse(address), _rest(address)
    if registered := REGISTERED.fullmatch(rest):
        place = f"registered/{registered['name']}/{registered['version']}"
        return f"azureml://artifacts/{place}/{registered['path'] or ''}".rstrip("/")
    if parsed is None:
        return address
    run, path = parsed.run, parsed.path
    if run is None:  # a logged model, whose files are in its run's folder
        run = fields.get("source_run_id")
        tags = {tag["key"]: tag["value"] for tag in fields.get("tags") or []}
        placed = _FOLDER.fullmatch(tags.get(ARTIFACT_PATH_TAG, ""))
        folder = placed[1] if placed else fields.get("name")
        if not run or not folder:
            return f"azureml://artifacts/models/{parsed.model}/artifacts/{path}".rstrip("/")
        path = f"{folder}/{path}".rstrip("/")
    experiment = rest.split("/", 1)[0]
    return f"{root}/{experiment}/runs/{run}/artifacts" + (f"/{path}" if path else "")


def _rest(address: str) -> str:
    """Return the path without MLflow's workspace."""
    rest = address.removeprefix("mlflow-artifacts:").strip("/")
    match = WORKSPACE.fullmatch(rest)
    return rest if match is None else match["rest"] or ""


def _store(fields: Json, prefix: str) -> Json:
    match = _RUN_ADDRESS.fullmatch(str(fields.get("source") or ""))
    if match is not None:
        experiment, run, path = match.groups()
        place = f"models/{fields['model_id']}/artifacts" if fields.get("model_id") else f"{run}/artifacts"
        rest = "" if fields.get("model_id") or not path else f"/{path}"
        fields["source"] = f"mlflow-artifacts:/{prefix}{experiment}/{place}{rest}"
        if not fields.get("model_id"):
            # Azure ML accepts the address alone; MLflow's server needs its run as well.
            fields["run_id"] = fields.get("run_id") or run
    return fields
