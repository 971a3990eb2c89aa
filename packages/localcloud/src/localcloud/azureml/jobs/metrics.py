"""A run's metrics as Azure ML's metric service shows them; MLflow keeps them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.mlflow.client import Mlflow, MlflowError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_SCHEMA = "azureml.scalar"


async def latest(mlflow: Mlflow, workspace: Resource, run: Run) -> dict[str, float]:
    """Return the last value of each metric; no metrics when MLflow does not have the run."""
    data = await _data(mlflow, workspace, run)
    return {metric["key"]: _number(metric["value"]) for metric in data.get("metrics") or []}


async def listed(mlflow: Mlflow, workspace: Resource, run: Run) -> Json:
    """PaginatedMetricDefinitionList."""
    names = sorted(await latest(mlflow, workspace, run))
    return {"value": [_definition(name) for name in names], "continuationToken": None}


async def full(mlflow: Mlflow, workspace: Resource, run: Run, name: str) -> Json:
    """Return a metric with all of its values."""
    params = {"run_id": run.mlflow_run_id or run.id, "metric_key": name}
    answer = await mlflow.call(workspace, "GET", "metrics/get-history", params=params)
    values = [
        {
            "metricId": f"{run.id}/{name}/{metric.get('step', 0)}", "createdUtc": _time(metric["timestamp"]),
            "step": int(metric.get("step", 0)), "data": {name: _number(metric["value"])},
        }
        for metric in answer.get("metrics") or []
    ]  # fmt: skip
    return {
        "dataContainerId": f"dcid.{run.id}", "name": name, "columns": {name: "Double"}, "namespace": "",
        "standardSchemaId": _SCHEMA, "value": values,
    }  # fmt: skip


async def _data(mlflow: Mlflow, workspace: Resource, run: Run) -> Json:
    try:
        answer = await mlflow.call(workspace, "GET", "runs/get", params={"run_id": run.mlflow_run_id or run.id})
    except MlflowError as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    data: Json = answer["run"].get("data") or {}
    return data


def _definition(name: str) -> Json:
    return {
        "metricKey": {"namespace": "", "name": name, "labels": [], "columnNames": [name]},
        "columns": {name: "Double"},
        "properties": {"uxMetricType": _SCHEMA},
    }


def _number(value: Any) -> float:
    """MLflow writes NaN and infinity as text."""
    number = float(value)
    return number if math.isfinite(number) else 0.0


def _time(milliseconds: Any) -> str:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat()
