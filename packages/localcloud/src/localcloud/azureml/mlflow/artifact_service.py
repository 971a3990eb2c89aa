"""Azure ML's artifact service, as azureml-mlflow uses it: files of runs, and of uploads beside runs.

    /history/v1.0/…/workspaces/WS/experiments/E/runs/RUN/artifacts[/path|/contentinfo|/prefix/contentinfo|
                                                                   /metadata|/batch/metadata]
    /artifact/v2.0/…/workspaces/WS/artifacts/ORIGIN/CONTAINER[/…the same]

The files go to and come from the storage account itself, by URLs that are signed for one blob each. They are at
ORIGIN/CONTAINER/PATH in workspaceartifactstore; a run's are at ExperimentRun/dcid.RUN/PATH. Two origins are views of
other files (azureml_uris.py) and are not written: registered/NAME/VERSION/PATH, models/MODEL/artifacts/PATH. Source:
azureml-mlflow 1.62 `_restclient/{run_artifact,artifact}/operations`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from azure.storage.blob import ContainerClient
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.arm.wire import read_body
from localcloud.azureml.mlflow import access
from localcloud.azureml.mlflow.artifacts_paths import ARTIFACT_PATH_TAG, JOB_TAG
from localcloud.azureml.mlflow.client import Mlflow, MlflowError
from localcloud.azureml.mlflow.models import VERSION as MODEL_VERSION
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.storage.addresses import Target, check_name

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_HOURS = 1
_MOST_JOBS = 1000


@dataclass(frozen=True)
class _Folder:
    """Blobs of ORIGIN/CONTAINER: the ones below `root`, shown below `public_path`, unchanged if empty."""

    account: str
    store: str
    root: str
    client: ContainerClient
    origin: str
    container: str
    public_path: str = ""

    def blob(self, path: str) -> str:
        """Return the name of an artifact's blob. Raises ServiceError 400 for a path that leads out of the folder."""
        name = f"{self.root}/{path.removeprefix(self.public_path).lstrip('/')}".replace("\\", "/")
        check_name(Target(self.store, name))
        return name

    def holds(self, path: str) -> bool:
        return not self.public_path or path == self.public_path or path.startswith(f"{self.public_path}/")

    def names(self, path: str) -> list[str]:
        """Return the paths of the artifacts in a folder and below; of all for an empty path."""
        prefix = f"{self.blob(path if path != self.public_path else '').rstrip('/')}/"
        below = f"{self.public_path}/" if self.public_path else ""
        return [below + name[len(self.root) + 1 :] for name in self.client.list_blob_names(name_starts_with=prefix)]


class ArtifactService:
    """Handlers of the artifact service."""

    def __init__(self, ctx: Context, mlflow: Mlflow, tokens: access.RunTokens) -> None:
        self._ctx = ctx
        self._mlflow = mlflow
        self._tokens = tokens
        self._jobs: dict[tuple[str, str], str] = {}
        """Jobs of runs, by workspace and run: a client asks for each file of a model, and a run's job stays its job."""

    def routes(self) -> list[BaseRoute]:
        """Return the routes, to precede the routes of run history, which match every path below /history."""
        run_endpoint, upload_endpoint = self._endpoint(self._run_folders), self._endpoint(self._uploaded)
        runs = "/history/v1.0/{workspace:path}/runs/{run}/artifacts"
        uploads = "/artifact/v2.0/{workspace:path}/artifacts/{origin}/{container}"
        return [
            Route(path, endpoint, methods=_METHODS)
            for root, endpoint in ((runs, run_endpoint), (uploads, upload_endpoint))
            for path in (root, root + "/{what:path}")
        ]

    def _endpoint(self, find: Callable[[Request, Resource], Awaitable[list[_Folder]]]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                workspace_id, _ = access.split(request.path_params["workspace"])
                verb = "read" if request.method == "GET" else "write"
                access.enter(self._ctx, self._tokens, request, workspace_id, f"metadata/artifacts/{verb}")
                folders = await find(request, access.workspace_at(self._ctx, workspace_id))
                return JSONResponse(await self._answer(request, folders))
            except ServiceError as error:
                body = {"error": {"code": error.code, "message": error.message}}
                return JSONResponse(body, error.status, error.headers)

        return endpoint

    async def _answer(self, request: Request, folders: list[_Folder]) -> Json:
        operation = str(request.path_params.get("what", "")).strip("/")
        path = request.query_params.get("path", "").strip("/")
        if request.method == "GET" and operation in {"", "path", "prefix/contentinfo"}:
            show = self._information if operation.endswith("contentinfo") else _artifact
            result = [folder for folder in folders if not path or folder.holds(path)]
            listed = [(folder, await asyncio.to_thread(folder.names, path)) for folder in result]
            return {"value": [show(folder, name) for folder, names in listed for name in names]}
        if request.method == "GET" and operation in {"contentinfo", "metadata"}:
            folder = next((model_folder for model_folder in folders if model_folder.holds(path)), None)
            if folder is None or not await asyncio.to_thread(folder.client.get_blob_client(folder.blob(path)).exists):
                raise ServiceError(404, "UserError", f"The artifact '{path}' does not exist.")
            return self._information(folder, path) if operation == "contentinfo" else _artifact(folder, path)
        if request.method == "POST" and operation == "batch/metadata":
            if len(folders) != 1 or folders[0].public_path:
                raise ServiceError(403, "UserError", "The files of a model are not changed by way of its artifacts.")
            return await self._create(folders[0], await read_body(request))
        raise not_emulated(f"{request.method} {request.url.path}")

    async def _create(self, folder: _Folder, body: Json) -> Json:
        """Return the addresses for new artifacts; an existing one is an error of its own, and is not written again."""
        paths = [str(item.get("path", "")).strip("/") for item in body.get("paths") or [] if isinstance(item, dict)]
        if not all(paths) or not paths:
            raise ServiceError(400, "UserError", "Every one of 'paths' needs a 'path'.")
        there = await asyncio.to_thread(
            lambda: {path for path in paths if folder.client.get_blob_client(folder.blob(path)).exists()}
        )
        new = [path for path in paths if path not in there]
        return {
            "artifacts": {path: _artifact(folder, path) for path in new},
            "artifactContentInformation": {path: self._information(folder, path, "rcw") for path in new},
            "errors": {path: _conflict(folder.blob(path)) for path in there},
        }

    def _information(self, folder: _Folder, path: str, permissions: str = "r") -> Json:
        url = self._ctx.storage.sas_url(
            folder.account, folder.store, folder.blob(path), permissions=permissions, hours=_HOURS
        )
        return {"contentUri": url, "origin": folder.origin, "container": folder.container, "path": path, "tags": {}}

    def _in_store(self, workspace: Resource, root: str, origin: str, container: str, public_path: str = "") -> _Folder:
        store = self._ctx.resources.get(f"{workspace.id}/datastores/workspaceartifactstore")
        if store is None:
            raise ServiceError(404, "UserError", f"Workspace '{workspace.name}' has no workspaceartifactstore.")
        account, name = str(store.properties["accountName"]), str(store.properties["containerName"])
        return _Folder(account, name, root, self._client(account, name), origin, container, public_path)

    def _client(self, account: str, container: str) -> ContainerClient:
        client: ContainerClient = self._ctx.storage.service_client(account).get_container_client(container)
        return client

    async def _uploaded(self, request: Request, workspace: Resource) -> list[_Folder]:
        origin, container = request.path_params["origin"], request.path_params["container"]
        if origin == "registered":
            return self._registered(workspace, container)
        if origin == "models":
            return [await self._logged(workspace, container)]
        return [self._in_store(workspace, f"{origin}/{container}", origin, container)]

    def _registered(self, workspace: Resource, name: str) -> list[_Folder]:
        """Return the versions of a model that were registered in Azure ML by their datastore path."""
        result = []
        for version in self._ctx.resources.children(f"{workspace.id}/models/{name}", MODEL_VERSION):
            place = version.private.get("place")
            if place:
                client = self._client(place["account"], place["container"])
                root = str(place["path"]).rstrip("/")
                result.append(
                    _Folder(place["account"], place["container"], root, client, "registered", name, version.name)
                )
        return result

    async def _logged(self, workspace: Resource, model: str) -> _Folder:
        try:
            answer = await self._mlflow.call(workspace, "GET", f"logged-models/{model}")
        except MlflowError as error:
            raise ServiceError(404, "UserError", f"The logged model {model} was not found.") from error
        info = answer["model"]["info"]
        tags = {tag["key"]: tag["value"] for tag in info.get("tags") or []}
        default = f"ExperimentRun/dcid.{info.get('source_run_id') or model}/{info.get('name')}"
        root = tags.get(ARTIFACT_PATH_TAG, default)
        return self._in_store(workspace, root, "models", model, "artifacts")

    async def _run_folders(self, request: Request, workspace: Resource) -> list[_Folder]:
        """Return a run's folder, which has its job's name (artifacts_paths.JOB_TAG). Raises ServiceError 404."""
        run = request.path_params["run"]
        job = self._jobs.get((workspace.id, run)) or await self._job(workspace, run)
        container = f"dcid.{job}"
        return [self._in_store(workspace, f"ExperimentRun/{container}", "ExperimentRun", container)]

    async def _job(self, workspace: Resource, run: str) -> str:
        """Return the name of a run's job; the run's own without one. Raises ServiceError 404."""
        try:
            answer = await self._mlflow.call(workspace, "GET", "runs/get", params={"run_id": run})
        except MlflowError as error:
            raise ServiceError(404, "UserError", f"RunId {run} was not found.") from error
        tags = {tag["key"]: tag["value"] for tag in answer["run"].get("data", {}).get("tags") or []}
        if JOB_TAG not in tags:
            return run
        if len(self._jobs) >= _MOST_JOBS:
            del self._jobs[next(iter(self._jobs))]
        return self._jobs.setdefault((workspace.id, run), str(tags[JOB_TAG]))


def _artifact(folder: _Folder, path: str) -> Json:
    return {
        "artifactId": f"{folder.origin}/{folder.container}/{path}", "origin": folder.origin,
        "container": folder.container, "path": path, "tags": {},
    }  # fmt: skip


def _conflict(id_: str) -> Json:
    return {"error": {"code": "UserError", "message": f"Resource Conflict: ArtifactId {id_} already exists."}}
