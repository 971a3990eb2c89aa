"""The program of a train component, except for the pipeline's own function that fits its model.

The function gets the features, the target and the run's parameters, and returns a fitted estimator of scikit-learn's
interface. The program splits the rows, logs parameters and metrics, and writes the model with its signature.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import pandas as pd

from steps import metrics
from steps.inputs import run_parameters, specification
from steps.models import MODEL_FILE_FOLDER, RUN_FILE
from steps.specification import ParameterValue, Specification
from steps.splitting import UnusableRowsError, check_values, split

Fit = Callable[[pd.DataFrame, "pd.Series[Any]", Mapping[str, ParameterValue]], Any]

_MODEL_PACKAGES = ("cloudpickle", "mlflow-skinny", "numpy", "pandas", "scikit-learn", "scipy")
"""Packages with mlflow-skinny. Without it MLflow adds mlflow of the same version, which excludes pandas 3.

The environment of such a model cannot be built.
"""
_SCORING_SCRIPT_PACKAGES = ("azureml-ai-monitoring==1.0.0",)
"""Packages that Azure ML's own scoring script imports, and the environment that it builds of a model lacks otherwise
(Azure/azureml-examples#3904): without it, a model cannot be served without code."""
_FORMAT = mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE
"""MLflow's default, skops, refuses every tree model.

MLflow warns that a pickle runs code when it is loaded: a loader of this one trusts the pipeline that wrote it, by the
version's lineage and by the right to register models.
"""
_SIGNATURE_ROWS = 5


def run(fit: Fit, description: str | None = None) -> None:
    """Train with the component's command line and variables. Ends the program with one line for unusable rows."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("engineered", "model", "held-out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    specified = specification()
    parameters = run_parameters(specified)
    rows = pd.read_parquet(options.engineered)
    try:
        check_values(rows, specified.target)
        training, held_out = split(rows, specified.split)
        check_values(training, specified.target)
    except UnusableRowsError as error:
        sys.exit(str(error))
    with mlflow.start_run() as active:
        mlflow.log_params(parameters)
        features, target = training.drop(columns=specified.target), training[specified.target]
        model = fit(features, target, parameters)
        mlflow.log_metrics(
            {"training_rows": len(training), "held_out_rows": len(held_out)}
            | _training_metrics(specified, model, features, target)
        )
        _save(model, features, options.model, requirements(specified.packages))
        (options.model / RUN_FILE).write_text(json.dumps({"run_id": active.info.run_id}), encoding="utf-8")
        mlflow.log_artifacts(str(options.model), MODEL_FILE_FOLDER)
    options.held_out.mkdir(parents=True, exist_ok=True)
    held_out.to_parquet(options.held_out / "held_out.parquet", index=False)
    print(f"Trained on {len(training)} rows; {len(held_out)} rows are held out.")  # noqa: T201 - the job's log


def requirements(own: Sequence[str] = ()) -> list[str]:
    """Return the packages that the model needs, in the versions that it is trained with; `own` are the pipeline's."""
    return [*(f"{package}=={version(package)}" for package in _MODEL_PACKAGES), *_SCORING_SCRIPT_PACKAGES, *own]


def _training_metrics(
    specified: Specification, model: Any, features: pd.DataFrame, target: pd.Series[Any]
) -> dict[str, float]:
    """Return the built-in metrics that need no probabilities, on the rows that the model has learned from."""
    predictions = metrics.Predictions(target.to_numpy(), model.predict(features))
    values: dict[str, float] = {}
    for metric in specified.gate.metrics:
        built_in = metrics.BUILT_IN.get(metric.name)
        if built_in is None:
            continue
        try:
            values[f"training_{metric.name}"] = built_in.compute(predictions)
        except metrics.NotComputableError:
            continue  # the evaluation computes it, with probabilities
    return values


def _save(model: Any, features: pd.DataFrame, folder: Path, needed: list[str]) -> None:
    """Write the model with the signature of its features; whole numbers are floats there, which may be missing."""
    rows = _with_floats(features.head(_SIGNATURE_ROWS))
    signature = mlflow.models.infer_signature(rows, model.predict(rows))
    mlflow.sklearn.save_model(
        model, folder, signature=signature, input_example=typical_row(features), pip_requirements=needed,
        serialization_format=_FORMAT,
    )  # fmt: skip


def typical_row(features: pd.DataFrame) -> pd.DataFrame:
    """Return a row of medians and of the most frequent values, which tests a deployment: no real record."""
    numbers = features.select_dtypes("number")
    values = {
        name: float(column.median()) if name in numbers else next(iter(column.mode()), None)
        for name, column in features.items()
    }
    return pd.DataFrame([values], columns=features.columns)


def _with_floats(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype(dict.fromkeys(rows.select_dtypes("integer").columns, float))
