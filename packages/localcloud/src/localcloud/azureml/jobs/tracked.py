"""Data of runs in MLflow, for their pages: metrics, tags and the model versions that came from them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.mlflow.client import Mlflow
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_OWN_PREFIXES = ("mlflow.", "azureml.", "localcloud.")
"""Tags of the platform, not of the job."""
_MOST_RUNS = 100
_SECONDS = 10.0


@dataclass(frozen=True)
class Tracked:
    """Metrics and tags of a run."""

    metrics: dict[str, str]
    tags: dict[str, str]


async def of_runs(mlflow: Mlflow, workspace: Resource, runs: list[Run]) -> dict[str, Tracked]:
    """Return the logged data of the first hundred runs, by run id. Raises MlflowError, ServiceError 503."""
    tracked = [run for run in runs if run.mlflow_run_id is not None][:_MOST_RUNS]
    if not tracked:
        return {}
    experiments = sorted({str(run.spec["mlflow_experiment"]) for run in tracked if "mlflow_experiment" in run.spec})
    body: Json = {
        "experiment_ids": experiments, "max_results": len(tracked),
        "filter": f"attributes.run_id IN ({_quoted(str(run.mlflow_run_id) for run in tracked)})",
    }  # fmt: skip
    answer = await _call(mlflow, workspace, "POST", "runs/search", body=body)
    data_by_run = {str(run["info"]["run_id"]): run.get("data") or {} for run in answer.get("runs") or []}
    return {
        run.id: _tracked(data_by_run[str(run.mlflow_run_id)]) for run in tracked if run.mlflow_run_id in data_by_run
    }


async def model_versions(mlflow: Mlflow, workspace: Resource, runs: list[Run]) -> list[tuple[str, str]]:
    """Return name and version of the models that came from the runs. Raises MlflowError, ServiceError 503."""
    ids = [str(run.mlflow_run_id) for run in runs if run.mlflow_run_id is not None]
    if not ids:
        return []
    params = {"filter": f"run_id IN ({_quoted(ids)})", "max_results": "100"}
    answer = await _call(mlflow, workspace, "GET", "model-versions/search", params=params)
    return [(str(version["name"]), str(version["version"])) for version in answer.get("model_versions") or []]


async def _call(mlflow: Mlflow, workspace: Resource, method: str, path: str, **content: Json) -> Json:
    """Call MLflow, and do not wait for its start as jobs do: a page is there without it."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await mlflow.call(workspace, method, path, **content)
    except TimeoutError as error:
        message = f"Its answer takes longer than {_SECONDS:g} seconds."
        raise ServiceError(503, "TEMPORARILY_UNAVAILABLE", message) from error


def _tracked(data: Json) -> Tracked:
    metrics = {str(metric["key"]): f"{float(metric['value']):.5g}" for metric in data.get("metrics") or []}
    tags = {str(tag["key"]): str(tag["value"]) for tag in data.get("tags") or []}
    own = {name: value for name, value in tags.items() if not name.startswith(_OWN_PREFIXES)}
    return Tracked(dict(sorted(metrics.items())), dict(sorted(own.items())))


def _quoted(ids: Iterable[str]) -> str:
    """Return ids as MLflow's filters write them; a run's id holds no quote."""
    return ", ".join(f"'{run_id}'" for run_id in ids)
