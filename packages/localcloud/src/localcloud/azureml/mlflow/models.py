"""Models as ARM shows them: a view of MLflow's registry. There is one registry, and each side shows all of it.

Fields that MLflow lacks (the datastore path, the model's type and flavors, the archive mark) are stored with the ARM
resource, beside the time at which MLflow made the version, so that a new version is not confused with a deleted one.
"""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime
from typing import Any

import yaml
from azure.core.exceptions import AzureError

from localcloud.arm import ids
from localcloud.azureml import paths
from localcloud.azureml.common import WORKSPACE, user_error, workspace_of
from localcloud.azureml.mlflow.artifacts_paths import ARTIFACT_PATH_TAG, JOB_TAG, parse
from localcloud.azureml.mlflow.client import Mlflow, MlflowError
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

CONTAINER = f"{WORKSPACE}/models"
VERSION = f"{WORKSPACE}/models/versions"
_PAGE = 1000
_STAGES = ("None", "Staging", "Production", "Archived")
_RUN_URI = re.compile(r"runs:/([^/]+)/(.+)")
_log = logging.getLogger("localcloud.azureml")


class Models:
    """Registered models of workspaces, stored in MLflow."""

    def __init__(self, ctx: Context, mlflow: Mlflow) -> None:
        self._ctx = ctx
        self._mlflow = mlflow

    async def containers(self, workspace: Resource) -> list[Resource]:
        result: list[Json] = []
        token = ""
        while True:
            answer = await self._mlflow.call(
                workspace, "GET", "registered-models/search",
                params={"max_results": _PAGE} | ({"page_token": token} if token else {}),
            )  # fmt: skip
            result += answer.get("registered_models") or []
            token = answer.get("next_page_token") or ""
            if not token:
                return [self._container(workspace, model) for model in result]

    async def container(self, workspace: Resource, name: str) -> Resource | None:
        try:
            answer = await self._mlflow.call(workspace, "GET", "registered-models/get", params={"name": name})
        except MlflowError as error:
            if error.code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise
        return self._container(workspace, answer["registered_model"])

    async def versions(self, workspace: Resource, name: str) -> list[Resource]:
        """Newest first."""
        rows = await self._rows(workspace, name)
        return [await self._version(workspace, row) for row in rows]

    async def version(self, workspace: Resource, name: str, version: str) -> Resource | None:
        try:
            answer = await self._mlflow.call(
                workspace, "GET", "model-versions/get", params={"name": name, "version": version}
            )
        except MlflowError as error:
            if error.code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise
        return await self._version(workspace, answer["model_version"])

    async def resolve(self, workspace: Resource, reference: str) -> Resource:
        """azureml:NAME:VERSION, azureml:NAME@latest, or an ARM id. Raises ServiceError 404."""
        text = reference.removeprefix("azureml:")
        if text.startswith("/"):
            parts = text.strip("/").split("/")
            name, version = parts[-3], parts[-1]
        else:
            name, _, version = text.partition(":")
        name, _, label = name.partition("@")
        model = None
        if label == "latest":
            rows = await self._rows(workspace, name)
            model = await self._version(workspace, rows[0]) if rows else None
        elif version.isdigit():
            model = await self.version(workspace, name, version)
        if model is None:
            raise user_error(f"The model '{reference}' was not found in workspace '{workspace.name}'.", 404, "NotFound")
        return model

    async def put_container(self, workspace: Resource, resource: Resource) -> None:
        """Create or update: description and tags are MLflow's, the archive mark is ARM's."""
        properties = resource.properties
        await self._ensure_container(workspace, resource.name)
        await self._mlflow.call(
            workspace, "PATCH", "registered-models/update",
            {"name": resource.name, "description": properties.get("description") or ""},
        )  # fmt: skip
        row = (await self._mlflow.call(workspace, "GET", "registered-models/get", params={"name": resource.name}))[
            "registered_model"
        ]
        await self._sync_tags(workspace, "registered-models", {"name": resource.name}, _tags(row), properties["tags"])
        kept = resource.copy()
        kept.private["created"] = row["creation_timestamp"]
        self._ctx.resources.put(kept)

    async def put_version(self, workspace: Resource, resource: Resource, existing: Resource | None) -> None:
        name = resource.id.split("/")[-3]
        key = {"name": name, "version": resource.name}
        if existing is None:
            await self._create(workspace, resource, name)
        else:
            await self._mlflow.call(
                workspace, "PATCH", "model-versions/update",
                key | {"description": resource.properties.get("description") or ""},
            )  # fmt: skip
        row = (await self._mlflow.call(workspace, "GET", "model-versions/get", params=key))["model_version"]
        await self._sync_tags(workspace, "model-versions", key, _tags(row), resource.properties["tags"])
        kept = resource.copy()
        kept.private["created"] = row["creation_timestamp"]
        if stage := resource.properties.get("stage"):
            kept.private["stage"] = await self._to_stage(workspace, key, row, str(stage))
        self._ctx.resources.put(kept)

    async def _to_stage(self, workspace: Resource, key: Json, row: Json, stage: str) -> str | None:
        """Azure ML's stages are any words. MLflow stores a stage that it has too; the other is returned."""
        known_stage = next((known for known in _STAGES if known.lower() == stage.lower()), None)
        if known_stage is None:
            return stage
        if known_stage != (row.get("current_stage") or "None"):
            body = key | {"stage": known_stage, "archive_existing_versions": False}
            await self._mlflow.call(workspace, "POST", "model-versions/transition-stage", body)
        return None

    async def delete(self, workspace: Resource, resource: Resource) -> None:
        """Delete a container with its versions, or a version. Does nothing when MLflow has it no more."""
        try:
            if resource.type == CONTAINER:
                await self._mlflow.call(workspace, "DELETE", "registered-models/delete", {"name": resource.name})
            else:
                name = resource.id.split("/")[-3]
                await self._mlflow.call(
                    workspace, "DELETE", "model-versions/delete", {"name": name, "version": resource.name}
                )
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise

    async def _create(self, workspace: Resource, resource: Resource, name: str) -> None:
        properties = resource.properties
        uri, job = _canonical(self._ctx, workspace, str(properties["modelUri"]))
        place = paths.blob_path(self._ctx, workspace, uri)
        properties["modelUri"] = uri
        properties["jobName"] = properties.get("jobName") or job
        path = place.path.rstrip("/")
        if properties["modelType"] == "mlflow_model":
            flavors = await asyncio.to_thread(_flavors, self._ctx, place.account, place.container, path)
            if flavors is None:
                raise user_error(
                    f"The folder '{uri}' of model '{name}' is not an MLflow model: it has no MLmodel file."
                )
            properties["flavors"] = properties.get("flavors") or flavors
        resource.private["place"] = {"account": place.account, "container": place.container, "path": path}
        await self._ensure_container(workspace, name)
        mlflow_workspace = await self._mlflow.workspace(workspace)
        prefix = "" if mlflow_workspace == "default" else f"workspaces/{mlflow_workspace}/"
        body = {
            "name": name, "version": int(resource.name), "description": properties.get("description"),
            "source": f"mlflow-artifacts:/{prefix}registered/{name}/{resource.name}", "run_id": properties["jobName"],
            "tags": [{"key": key, "value": value} for key, value in properties["tags"].items()],
        }  # fmt: skip
        try:
            await self._mlflow.call(workspace, "POST", "/_localcloud/model-versions", body)
        except MlflowError as error:
            if error.code == "RESOURCE_ALREADY_EXISTS":
                raise user_error(
                    f"The model '{name}' with version '{resource.name}' exists.", 409, "Conflict"
                ) from error
            raise

    async def _ensure_container(self, workspace: Resource, name: str) -> None:
        try:
            await self._mlflow.call(workspace, "POST", "registered-models/create", {"name": name})
        except MlflowError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise

    async def _sync_tags(
        self, workspace: Resource, kind: str, key: Json, before: dict[str, str], after: dict[str, str]
    ) -> None:
        for name, value in after.items():
            if before.get(name) != value:
                await self._mlflow.call(workspace, "POST", f"{kind}/set-tag", key | {"key": name, "value": str(value)})
        for name in set(before) - set(after):
            await self._mlflow.call(workspace, "DELETE", f"{kind}/delete-tag", key | {"key": name})

    async def _rows(self, workspace: Resource, name: str) -> list[Json]:
        result: list[Json] = []
        token = ""
        while True:
            params = {"filter": f"name='{name}'", "max_results": _PAGE} | ({"page_token": token} if token else {})
            answer = await self._mlflow.call(workspace, "GET", "model-versions/search", params=params)
            result += answer.get("model_versions") or []
            token = answer.get("next_page_token") or ""
            if not token:
                return sorted(result, key=lambda row: int(row["version"]), reverse=True)

    def _container(self, workspace: Resource, row: Json) -> Resource:
        id_ = f"{workspace.id}/models/{row['name']}"
        kept = self._ctx.resources.get(id_)
        if kept is None or kept.private.get("created") != row["creation_timestamp"]:
            kept = Resource(
                id=id_, type=CONTAINER, name=row["name"], properties={"isArchived": False, "properties": {}},
                private={"created": row["creation_timestamp"]},
            )  # fmt: skip
        # The latest of each stage: the greatest of them is the latest of all.
        latest = max((int(version["version"]) for version in row.get("latest_versions") or []), default=0)
        kept.properties |= {
            "description": row.get("description"), "tags": _tags(row), "provisioningState": "Succeeded",
            "latestVersion": str(latest) if latest else None, "nextVersion": str(latest + 1),
        }  # fmt: skip
        kept.system_data = _system_data(row, kept.system_data)
        return kept

    async def _version(self, workspace: Resource, row: Json) -> Resource:
        id_ = f"{workspace.id}/models/{row['name']}/versions/{row['version']}"
        kept = self._ctx.resources.get(id_)
        if kept is None or kept.private.get("created") != row["creation_timestamp"]:
            kept = await self._adopt(workspace, row, id_)
        stage = None if row.get("current_stage") in {None, "", "None"} else row["current_stage"]
        kept.properties |= {
            "description": row.get("description"), "tags": _tags(row), "provisioningState": "Succeeded",
            "stage": stage or kept.private.get("stage"),
        }  # fmt: skip
        kept.system_data = _system_data(row, kept.system_data)
        return kept

    async def _adopt(self, workspace: Resource, row: Json, id_: str) -> Resource:
        """Make the resource of a version that was registered through MLflow and is seen for the first time."""
        key = {"name": row["name"], "version": row["version"]}
        answer = await self._mlflow.call(workspace, "GET", "model-versions/get-download-uri", params=key)
        uri, flavors = str(answer.get("artifact_uri") or row.get("source") or ""), None
        folder = await self._folder(workspace, uri)
        if folder is not None:
            uri = paths.long_uri(workspace, "workspaceartifactstore", folder)
            place = paths.blob_path(self._ctx, workspace, uri)
            try:
                flavors = await asyncio.to_thread(_flavors, self._ctx, place.account, place.container, folder)
            except AzureError as error:
                _log.warning("cannot read the files of %s: %s", id_, error)
        kept = Resource(
            id=id_, type=VERSION, name=str(row["version"]),
            properties={
                "isArchived": False, "isAnonymous": False, "properties": {}, "modelUri": uri,
                "modelType": "custom_model" if flavors is None else "mlflow_model", "flavors": flavors or {},
                "jobName": await self._job_of(workspace, row["run_id"]) if row.get("run_id") else None,
            },
            private={"created": row["creation_timestamp"]},
        )  # fmt: skip
        self._ctx.resources.put(kept)
        return kept

    async def _job_of(self, workspace: Resource, run_id: str) -> str:
        """Return the job of a run: it has the same name, but for names that two workspaces have."""
        try:
            answer = await self._mlflow.call(workspace, "GET", "runs/get", params={"run_id": run_id})
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return run_id
        return _tags(answer["run"].get("data") or {}).get(JOB_TAG, run_id)

    async def _folder(self, workspace: Resource, uri: str) -> str | None:
        """Return the folder in workspaceartifactstore of an mlflow-artifacts: address, None for any other."""
        if uri.startswith("azureml://artifacts/"):  # uploaded by azureml-mlflow, beside any run
            return uri.removeprefix("azureml://artifacts/").strip("/")
        parsed = parse(uri)
        if parsed is None:
            return None
        if parsed.run is not None:
            job = await self._job_of(workspace, parsed.run)
            return f"ExperimentRun/dcid.{job}/{parsed.path}".rstrip("/")
        answer = await self._mlflow.call(workspace, "GET", f"logged-models/{parsed.model}")
        model = answer["model"]
        tags = {tag["key"]: tag["value"] for tag in model["info"].get("tags") or []}
        info = model["info"]
        default = f"ExperimentRun/dcid.{info.get('source_run_id') or parsed.model}/{info.get('name')}"
        return f"{tags.get(ARTIFACT_PATH_TAG, default)}/{parsed.path}".rstrip("/")


def _canonical(ctx: Context, workspace: Resource, uri: str) -> tuple[str, str | None]:
    """Return (the address as the service keeps it, the job it comes from)."""
    if match := _RUN_URI.fullmatch(uri):
        return paths.long_uri(workspace, "workspaceartifactstore", f"ExperimentRun/dcid.{match[1]}/{match[2]}"), match[
            1
        ]
    if match := re.fullmatch(r"azureml://(?:.*/)?jobs/([^/]+)/outputs/([^/]+)(?:/paths/(.*))?", uri, re.IGNORECASE):
        datastore, path = paths.job_location(match[1], match[2], match[3] or "")
        return paths.long_uri(workspace, datastore, path.rstrip("/")), match[1]
    if match := re.fullmatch(r"azureml://(?:.*/)?datastores/([^/]+)/paths/(.*)", uri, re.IGNORECASE):
        job = re.match(r"ExperimentRun/dcid\.([^/]+)/", match[2])
        return paths.long_uri(workspace, match[1], match[2]), job[1] if job else None
    return uri, None


def _flavors(ctx: Context, account: str, container: str, folder: str) -> Json | None:
    """Return the flavors of the MLmodel file in a folder, None when it has none. Raises AzureError."""
    blob = ctx.storage.service_client(account).get_blob_client(container, f"{folder.rstrip('/')}/MLmodel")
    if not blob.exists():
        return None
    content = yaml.safe_load(blob.download_blob().readall()) or {}
    return {
        str(name): {"data": {str(key): _flat(value) for key, value in (flavor or {}).items()}}
        for name, flavor in (content.get("flavors") or {}).items()
    }


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _tags(row: Json) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in row.get("tags") or []}


def _system_data(row: Json, before: Json | None) -> Json:
    def moment(name: str) -> str:
        return datetime.fromtimestamp(int(row[name]) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"

    author = {"createdByType": "Application", "lastModifiedByType": "Application"} | (before or {})
    return author | {
        "createdAt": moment("creation_timestamp"),
        "lastModifiedAt": moment("last_updated_timestamp"),
        "createdBy": author.get("createdBy") or row.get("user_id") or "mlflow",
    }


def workspace_for(ctx: Context, id_: str) -> tuple[Resource, ids.ResourceId]:
    """Return the workspace and the parsed id of a model or version. Raises ServiceError 404."""
    parsed = ids.parse(id_)
    if parsed is None:
        raise ServiceError(404, "NotFound", f"'{id_}' is not the id of a model.")
    return workspace_of(ctx, id_), parsed
