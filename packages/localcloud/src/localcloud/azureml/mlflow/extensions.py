"""Extensions of the MLflow server beyond MLflow's API. Runs in the server's process, on MLflow's own stores.

It uses names of MLflow 3.17, which the lock pins: ids and version numbers are chosen by the server there.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from mlflow.entities import LifecycleStage, RunStatus, SourceType, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, RESOURCE_ALREADY_EXISTS
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlLoggedModelTag, SqlRun, SqlTag
from mlflow.store.workspace.sqlalchemy_store import _WORKSPACE_ROOT_MODELS
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import _validate_model_name, _validate_run_id
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.azureml.mlflow.artifacts_paths import ARTIFACT_PATH_TAG, JOB_TAG
from localcloud.azureml.mlflow.workspaces import DEFAULT, WORKSPACE_HEADER
from localcloud.core.json import Json
from localcloud.core.streams import whole_body

_SUFFIXED = re.compile(r".+-[0-9a-f]{8}")


@dataclass(frozen=True)
class Stores:
    """MLflow's tracking and registry stores."""

    tracking: Any
    registry: Any


class LoggedModels:
    """Places of logged models' blobs: in their run's folder under the model's name, once for each name."""

    def __init__(self, stores: Stores) -> None:
        self._tracking = stores.tracking
        self._known: dict[str, str] = {}
        self._roots: dict[str, str] = {}

    def folder(self, model_id: str) -> str:
        """Return the folder of a logged model. Raises MlflowException 404 for an unknown model."""
        if model_id not in self._known:
            with self._tracking.ManagedSessionMaker(read_only=False) as session:
                self._known[model_id] = self._decide(session, model_id)
        return self._known[model_id]

    def root(self, run_id: str) -> str:
        """Return the folder of a run's artifacts: its job's, which has another name where two workspaces share one."""
        if run_id not in self._roots:
            job = None
            if _SUFFIXED.fullmatch(run_id):
                with self._tracking.ManagedSessionMaker() as session:
                    tag = session.get(SqlTag, (JOB_TAG, run_id))
                    job = None if tag is None else str(tag.value)
            self._roots[run_id] = f"ExperimentRun/dcid.{job or run_id}"
        return self._roots[run_id]

    def folders_of(self, run_id: str) -> frozenset[str]:
        """Return the folders in a run's artifacts that are logged models."""
        with self._tracking.ManagedSessionMaker() as session:
            rows = (
                session.query(SqlLoggedModelTag.tag_value)
                .join(SqlLoggedModel, SqlLoggedModel.model_id == SqlLoggedModelTag.model_id)
                .filter(SqlLoggedModel.source_run_id == run_id, SqlLoggedModelTag.tag_key == ARTIFACT_PATH_TAG)
                .all()
            )
        return frozenset(str(row[0]) for row in rows)

    def _decide(self, session: Any, model_id: str) -> str:
        model = session.get(SqlLoggedModel, model_id)
        if model is None:
            self._tracking._raise_model_not_found(model_id)
        for tag in model.tags:
            if tag.tag_key == ARTIFACT_PATH_TAG:
                return str(tag.tag_value)
        root = self.root(model.source_run_id) if model.source_run_id else f"ExperimentRun/dcid.{model_id}"
        folder = f"{root}/{model.name}"
        others = session.query(SqlLoggedModelTag).filter(
            SqlLoggedModelTag.tag_key == ARTIFACT_PATH_TAG, SqlLoggedModelTag.tag_value == folder
        )
        if others.count():
            folder = f"{folder}.{model_id}"
        session.add(
            SqlLoggedModelTag(
                model_id=model_id, experiment_id=model.experiment_id, tag_key=ARTIFACT_PATH_TAG, tag_value=folder
            )
        )
        return folder


class Answers:
    """The handlers of /_localcloud in the MLflow server."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def create_run(self, request: Request) -> Response:
        return await _answered(request, self._create_run)

    async def create_model_version(self, request: Request) -> Response:
        return await _answered(request, self._create_model_version)

    async def empty_default(self, request: Request) -> Response:
        return await _answered(request, self._empty_default)

    def _create_run(self, body: Json) -> Json:
        store, run_id = self._stores.tracking, str(body["run_id"])
        _validate_run_id(run_id)
        experiment = store.get_experiment(str(body["experiment_id"]))
        tags = {tag["key"]: tag["value"] for tag in body.get("tags") or []}
        tags["mlflow.runName"] = body["run_name"]
        with store.ManagedSessionMaker(read_only=False) as session:
            if session.get(SqlRun, run_id) is not None:
                raise MlflowException(f"Run '{run_id}' already exists.", RESOURCE_ALREADY_EXISTS)
            run = SqlRun(
                name=body["run_name"], run_uuid=run_id, experiment_id=experiment.experiment_id,
                artifact_uri=append_to_uri_path(experiment.artifact_location, run_id, "artifacts"),
                source_type=SourceType.to_string(SourceType.UNKNOWN), source_name="", entry_point_name="",
                user_id=body.get("user_id") or "", status=RunStatus.to_string(RunStatus.RUNNING),
                start_time=body["start_time"], end_time=None, deleted_time=None, source_version="",
                lifecycle_stage=LifecycleStage.ACTIVE,
            )  # fmt: skip
            run.tags = [SqlTag(key=key, value=value) for key, value in tags.items()]
            session.add(run)
        return {"run_id": run_id}

    def _create_model_version(self, body: Json) -> Json:
        store, name, version = self._stores.registry, str(body["name"]), int(body["version"])
        _validate_model_name(name)
        stamp = int(time.time() * 1000)
        tags = {tag["key"]: tag["value"] for tag in body.get("tags") or []}
        try:
            with store.ManagedSessionMaker(read_only=False) as session:
                model = store._get_registered_model(session, name)
                model.last_updated_time = stamp
                row = store._with_workspace_field(
                    SqlModelVersion(
                        name=name, version=version, creation_time=stamp, last_updated_time=stamp,
                        source=body["source"], storage_location=body["source"], run_id=body.get("run_id"),
                        run_link=None, description=body.get("description"),
                    )
                )  # fmt: skip
                row.model_version_tags = [
                    store._with_workspace_field(SqlModelVersionTag(name=name, version=version, key=key, value=value))
                    for key, value in tags.items()
                ]
                session.add(row)
                session.flush()
        except (sqlalchemy.exc.IntegrityError, MlflowException) as error:
            if not isinstance(getattr(error, "__cause__", error), sqlalchemy.exc.IntegrityError):
                raise
            raise MlflowException(
                f"Model '{name}' already has a version {version}.", RESOURCE_ALREADY_EXISTS
            ) from error
        return {"name": name, "version": str(version)}

    def _empty_default(self, body: Json) -> Json:
        with self._stores.tracking.ManagedSessionMaker(read_only=False) as session:
            for model in _WORKSPACE_ROOT_MODELS:
                for row in session.query(model).filter(model.workspace == DEFAULT).all():
                    if getattr(row, "experiment_id", None) != 0:  # MLflow needs its experiment 0
                        session.delete(row)
        for run in self._stores.tracking.search_runs(["0"], "", ViewType.ALL):
            self._stores.tracking._hard_delete_run(run.info.run_id)
        return {}


_LARGEST = 16 * 1024 * 1024
_TOO_LARGE = MlflowException("The request has more than 16 MB.", BAD_REQUEST)


async def _answered(request: Request, work: Callable[[Json], Json]) -> Response:
    if WORKSPACE_HEADER.lower() not in request.headers:
        # A page in a browser cannot send it: its preflight request would be refused.
        return JSONResponse({"error_code": "BAD_REQUEST", "message": f"{WORKSPACE_HEADER} is missing."}, 400)
    try:
        raw = await whole_body(request, _LARGEST, _TOO_LARGE)
        return JSONResponse(await asyncio.to_thread(work, json.loads(raw) if raw else {}))
    except MlflowException as error:
        return JSONResponse(json.loads(error.serialize_as_json()), error.get_http_status_code())
