"""A job's run in MLflow: made when the job starts, with the job's name as its id, and ended with the job."""

from __future__ import annotations

import secrets
import time

from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.mlflow.artifacts_paths import JOB_TAG
from localcloud.azureml.mlflow.client import Mlflow, MlflowError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}


class Tracking:
    """MLflow runs of jobs."""

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow

    async def begin(self, workspace: Resource, run: Run, parent: Run | None, user: str) -> str:
        """Make the run; the id of its experiment. Raises MlflowError, ServiceError 503."""
        experiment = await self._mlflow.experiment(workspace, run.experiment)
        tags = {
            "mlflow.user": user, "mlflow.source.name": run.spec.get("component") or run.name,
            "mlflow.source.type": "JOB", "azureml.rootRunId": run.root,
        } | run.tags  # fmt: skip
        if parent is not None and parent.mlflow_run_id:
            tags["mlflow.parentRunId"] = parent.mlflow_run_id
        body: Json = {
            "experiment_id": experiment, "run_id": run.id, "run_name": run.display_name or run.name, "user_id": user,
            "start_time": int(time.time() * 1000), "tags": [{"key": key, "value": str(tags[key])} for key in tags],
        }  # fmt: skip
        try:
            await self._create(workspace, body)
        except MlflowError as error:
            if error.code == "RESOURCE_DOES_NOT_EXIST":  # the experiment was deleted since
                self._mlflow.forget_experiment(workspace, run.experiment)
                body["experiment_id"] = experiment = await self._mlflow.experiment(workspace, run.experiment)
                await self._create(workspace, body)
            else:
                raise
        run.mlflow_run_id = str(body["run_id"])
        run.spec["mlflow_experiment"] = experiment
        return experiment

    async def _create(self, workspace: Resource, body: Json) -> None:
        """Run ids are unique in all of MLflow's workspaces, job names only in their own."""
        try:
            await self._mlflow.call(workspace, "POST", "/_localcloud/runs", body)
        except MlflowError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
            tag = {"key": JOB_TAG, "value": body["run_id"]}
            body |= {"run_id": f"{body['run_id']}-{secrets.token_hex(4)}", "tags": [*body["tags"], tag]}
            await self._mlflow.call(workspace, "POST", "/_localcloud/runs", body)

    async def end(self, workspace: Resource, run: Run, status: str) -> None:
        """Set the status of MLflow's run to the job's, a terminal status. Raises MlflowError, ServiceError 503."""
        if run.mlflow_run_id is None:
            return
        body = {
            "run_id": run.mlflow_run_id, "status": _STATUS[status],
            "end_time": int(time.time() * 1000),
        }  # fmt: skip
        try:
            await self._mlflow.call(workspace, "POST", "runs/update", body)
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":  # someone deleted it
                raise

    async def delete(self, workspace: Resource, run: Run) -> None:
        """Delete the run of a deleted job, but not the run of a step that it reused.

        Raises MlflowError, ServiceError 503.
        """
        if run.mlflow_run_id is None or run.reused is not None:
            return
        try:
            await self._mlflow.call(workspace, "POST", "runs/delete", {"run_id": run.mlflow_run_id})
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
