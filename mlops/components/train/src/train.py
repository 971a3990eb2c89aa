"""Fit the model on four fifths of the rows; log parameters, metrics and the model to the job's MLflow run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

TARGET = "progression"
_HELD_OUT_SHARE = 0.2
_HASH_RANGE = 10_000
_FEWEST_ROWS = 50
_MODEL_PACKAGES = ("cloudpickle", "numpy", "pandas", "scikit-learn", "scipy")
_FORMAT = mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE
"""MLflow's default, skops, refuses every tree model. MLflow warns that a pickle runs code when it is loaded: whoever
loads this one trusts the pipeline that wrote it, by the version's lineage and by who may register models."""
RUN_FILE = "training_run.json"
"""Beside the model: the MLflow run that made it."""


def split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and held-out rows, by a hash of each row.

    A row is on the same side whatever other rows there are, so that no registered model is judged by rows that it was
    trained on. Raises ValueError when there are too few rows to learn from.
    """
    if len(rows) < _FEWEST_ROWS:
        raise ValueError(f"there are {len(rows)} complete rows: at least {_FEWEST_ROWS} are needed to train")
    ordered = rows.sort_values(list(rows.columns)).reset_index(drop=True)
    hashes = pd.util.hash_pandas_object(ordered, index=False)
    held_out = hashes % _HASH_RANGE < _HELD_OUT_SHARE * _HASH_RANGE
    return ordered[~held_out], ordered[held_out]


def fit(rows: pd.DataFrame, alpha: float) -> Pipeline:
    """Scaled ridge regression on all columns but the target."""
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha)).fit(rows.drop(columns=TARGET), rows[TARGET])


def parameter(name: str) -> str:
    """Return a literal input, which Azure ML gives to the process as a variable.

    Ends the program when the variable is missing. The name of the variable: azure-ai-ml, docstring of `CommandJob`.
    """
    variable = f"AZUREML_PARAMETER_{name}"
    if variable not in os.environ:
        sys.exit(f"The variable {variable} is not set: it has the input {name} of this component.")
    return os.environ[variable]


def requirements() -> list[str]:
    """Return the packages that the model needs, in the versions that it is trained with."""
    return [f"{package}=={version(package)}" for package in _MODEL_PACKAGES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("engineered", "model", "held-out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    alpha = float(parameter("alpha"))
    rows = pd.read_parquet(options.engineered)
    try:
        training, held_out = split(rows)
    except ValueError as error:
        sys.exit(str(error))
    with mlflow.start_run() as run:
        model = fit(training, alpha)
        predicted = model.predict(training.drop(columns=TARGET))
        mlflow.log_params({"alpha": alpha})
        mlflow.log_metrics(
            {
                "training_rows": len(training),
                "held_out_rows": len(held_out),
                "training_r2": float(r2_score(training[TARGET], predicted)),
                "training_rmse": float(root_mean_squared_error(training[TARGET], predicted)),
            }
        )
        example = training.drop(columns=TARGET).head(2).astype(float)
        signature = mlflow.models.infer_signature(example, model.predict(example))
        mlflow.sklearn.save_model(
            model, options.model, signature=signature, pip_requirements=requirements(), serialization_format=_FORMAT
        )
        (options.model / RUN_FILE).write_text(json.dumps({"run_id": run.info.run_id}), encoding="utf-8")
        mlflow.log_artifacts(str(options.model), "model")
    options.held_out.mkdir(parents=True, exist_ok=True)
    held_out.to_parquet(options.held_out / "held_out.parquet", index=False)
    print(f"Trained on {len(training)} rows; {len(held_out)} rows are held out.")


if __name__ == "__main__":
    main()
