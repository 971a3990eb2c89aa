"""Resolution of an input's path: assets and outputs of other jobs become the storage they are in."""

from __future__ import annotations

import re

from localcloud.azureml import paths
from localcloud.azureml.common import user_error
from localcloud.azureml.jobs.runs import RunStore
from localcloud.azureml.jobs.values import Value
from localcloud.azureml.mlflow.models import Models
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

MODEL_TYPES = frozenset({"mlflow_model", "custom_model", "triton_model"})
_JOB = re.compile(r"azureml://(?:.*/)?jobs/([^/]+)/outputs/([^/]+)(?:/paths/(.*))?/?", re.IGNORECASE)
_LOCATION = re.compile(
    r"azureml://locations/[^/]+/workspaces/[^/]+/(data|models)/([^/]+)/versions/([^/]+)", re.IGNORECASE
)


class Sources:
    """Resolver of the paths of inputs to storage addresses."""

    def __init__(self, ctx: Context, store: RunStore, models: Models) -> None:
        self._ctx = ctx
        self._store = store
        self._models = models

    async def resolve(self, workspace: Resource, value: Value, label: str) -> str:
        """Return the azureml://…/datastores/… or https:// address of a data input.

        Raises ServiceError 400 UserError for a missing asset or job output, or an unknown kind of path.
        """
        uri = str(value["uri"])
        try:
            return await self._address(workspace, uri, value["type"] in MODEL_TYPES)
        except ServiceError as error:
            raise user_error(f"The input {label} is not valid: {error.message}", error.status) from error

    async def _address(self, workspace: Resource, uri: str, model: bool) -> str:
        if match := _JOB.fullmatch(uri):
            return self._job_output(workspace, match[1], match[2], (match[3] or "").strip("/"))
        if match := _LOCATION.fullmatch(uri):
            return await self._asset(workspace, f"azureml:{match[2]}:{match[3]}", match[1] == "models")
        if "/datastores/" in uri or uri.startswith(("https://", "abfs", "wasb")):
            paths.blob_path(self._ctx, workspace, uri)
            return uri
        if uri.startswith(("azureml:", "/subscriptions/")):
            return await self._asset(workspace, uri, model or "/models/" in uri)
        paths.blob_path(self._ctx, workspace, uri)
        return uri

    async def _asset(self, workspace: Resource, reference: str, model: bool) -> str:
        if model and "registries/" not in reference:
            version = await self._models.resolve(workspace, reference)
            return str(version.properties["modelUri"])
        kind = "models" if model else "data"
        asset = paths.resolve_asset(self._ctx, workspace, reference, kind)
        return str(asset.properties.get("modelUri" if model else "dataUri"))

    def _job_output(self, workspace: Resource, job: str, output: str, path: str) -> str:
        run = self._store.get(workspace.id, job)
        kept = (run.outputs if run is not None else {}).get(output)
        if kept is not None:
            return str(kept["uri"]).rstrip("/") + (f"/{path}" if path else "")
        return paths.long_uri(workspace, *paths.job_location(job, output, path))
