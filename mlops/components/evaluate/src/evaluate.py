"""Decide whether the new model is good enough and better than the newest registered version."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import pandas as pd
import yaml
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

TARGET = "progression"
_THRESHOLDS = Path(__file__).with_name("thresholds.yml")


@dataclass(frozen=True)
class Metrics:
    """On the held-out rows; rmse and mae in the target's unit."""

    r2: float
    rmse: float
    mae: float


@dataclass(frozen=True)
class Thresholds:
    minimum_r2: float
    minimum_improvement: float


@dataclass(frozen=True)
class Decision:
    register: bool
    reason: str


def read_thresholds(file: Path = _THRESHOLDS) -> Thresholds:
    """Check the file. Raises ValueError that names a missing or wrong column."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    try:
        return Thresholds(**{name: float(value) for name, value in content.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{file.name} must have minimum_r2 and minimum_improvement, both numbers: {error}") from error


def decide(new: Metrics, registered: Metrics | None, thresholds: Thresholds) -> Decision:
    """Decide by the metrics; `registered` is None when no version is registered yet."""
    if new.r2 < thresholds.minimum_r2:
        return Decision(False, f"r2 {new.r2:.4f} is below the threshold {thresholds.minimum_r2}")
    if registered is None:
        return Decision(True, "it is the first version")
    wanted = registered.rmse * (1 - thresholds.minimum_improvement)
    if new.rmse < wanted:
        return Decision(True, f"rmse {new.rmse:.4f} is below the registered version's {registered.rmse:.4f}")
    return Decision(False, f"rmse {new.rmse:.4f} is not below {wanted:.4f}, which the registered version asks for")


def measure(model: Any, rows: pd.DataFrame) -> Metrics:
    predicted = model.predict(rows.drop(columns=TARGET))
    actual = rows[TARGET]
    return Metrics(
        r2=float(r2_score(actual, predicted)),
        rmse=float(root_mean_squared_error(actual, predicted)),
        mae=float(mean_absolute_error(actual, predicted)),
    )


def newest_version(name: str) -> str | None:
    """Return the highest version number in the registry, None when there is none. Other names do not count."""
    versions = [str(one.version) for one in mlflow.MlflowClient().search_model_versions(f"name='{name}'")]
    return max((version for version in versions if version.isdecimal()), key=int, default=None)


def parameter(name: str) -> str:
    """Return a literal input, which Azure ML gives to the process as a variable.

    Ends the program when the variable is missing. The name of the variable: azure-ai-ml, docstring of `CommandJob`.
    """
    variable = f"AZUREML_PARAMETER_{name}"
    if variable not in os.environ:
        sys.exit(f"The variable {variable} is not set: it has the input {name} of this component.")
    return os.environ[variable]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "held-out", "evaluation"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    model_name = parameter("model_name")
    rows = pd.read_parquet(options.held_out)
    new = measure(mlflow.sklearn.load_model(str(options.model)), rows)
    version = newest_version(model_name)
    registered = None
    if version is not None:
        local = mlflow.artifacts.download_artifacts(f"models:/{model_name}/{version}")
        registered = measure(mlflow.sklearn.load_model(local), rows)
    decision = decide(new, registered, read_thresholds())
    with mlflow.start_run():
        mlflow.log_metrics(asdict(new))
        if registered is not None:
            mlflow.log_metrics({f"registered_{name}": value for name, value in asdict(registered).items()})
        mlflow.set_tag("decision", decision.reason)
    options.evaluation.mkdir(parents=True, exist_ok=True)
    report = {
        "metrics": asdict(new),
        "registered": None if registered is None else {"version": version, "metrics": asdict(registered)},
        "decision": asdict(decision),
    }
    (options.evaluation / "evaluation.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    print(f"{'Register' if decision.register else 'Do not register'}: {decision.reason}.")


if __name__ == "__main__":
    main()
