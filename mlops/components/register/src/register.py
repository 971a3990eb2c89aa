"""Register the model of the training run, when the evaluation decided so."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException


def register(name: str, run_id: str, tags: dict[str, str]) -> str:
    """Make a version of the run's model; the version number."""
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    return str(client.create_model_version(name, source, run_id=run_id, tags=tags).version)


def lineage(run_id: str, evaluation: dict[str, Any]) -> dict[str, str]:
    """Return the tags that a promotion checks later: code, data, runs and metrics that the version came from."""
    metrics = {f"metric.{name}": f"{value:.6f}" for name, value in evaluation["metrics"].items()}
    return {
        "code_version": parameter("code_version"),
        "commit": parameter("commit"),
        "data_version": parameter("data_version"),
        "training_run": run_id,
        "pipeline_run": os.environ.get("AZUREML_ROOT_RUN_ID", ""),
        **metrics,
    }


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
    for name in ("model", "evaluation", "report"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    model_name = parameter("model_name")
    evaluation = json.loads((options.evaluation / "evaluation.json").read_text(encoding="utf-8"))
    run_id = json.loads((options.model / "training_run.json").read_text(encoding="utf-8"))["run_id"]
    tags = lineage(run_id, evaluation)
    version = None
    if evaluation["decision"]["register"]:
        version = register(model_name, run_id, tags)
        print(f"Registered {model_name} version {version}: {evaluation['decision']['reason']}.")
    else:
        print(f"{model_name} is not registered: {evaluation['decision']['reason']}.")
    options.report.mkdir(parents=True, exist_ok=True)
    report = {**evaluation, "model_name": model_name, "model_version": version, "lineage": tags}
    (options.report / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
