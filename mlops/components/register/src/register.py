"""Register the model of the training run, when the evaluation decided so."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from steps.inputs import parameter, specification
from steps.model_card import model_card
from steps.models import MODEL_FILE_FOLDER, RUN_FILE
from steps.specification import Specification

_TAG_LENGTH = 250
"""ARM takes tag values of up to 256 characters."""
_CARD = "README.md"


def register(specified: Specification, run_id: str, tags: dict[str, str], card: str) -> str:
    """Make a version of the run's model, with the card beside the model's files. Return the version number."""
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(specified.model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _CARD
        file.write_text(card, encoding="utf-8")
        client.log_artifact(run_id, str(file), MODEL_FILE_FOLDER)
    source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL_FILE_FOLDER}"
    version = client.create_model_version(specified.model, source, run_id=run_id, tags=tags)
    return str(version.version)


def lineage(run_id: str, evaluation: dict[str, Any]) -> dict[str, str]:
    """Return the tags that a promotion checks later: code, data, runs and metrics that the version came from."""
    metrics = {f"metric.{name}": f"{value:.6f}" for name, value in evaluation["metrics"].items()}
    champion = evaluation["champion"]
    return {
        "code_version": parameter("code_version"),
        "commit": parameter("commit"),
        "data_version": parameter("data_version"),
        "training_run": run_id,
        "pipeline_run": os.environ.get("AZUREML_ROOT_RUN_ID", ""),
        "decision": evaluation["decision"]["reason"][:_TAG_LENGTH],
        "compared_with": "none" if champion is None else str(champion["version"]),
        **metrics,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "evaluation", "report"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    specified = specification()
    evaluation = json.loads((options.evaluation / "evaluation.json").read_text(encoding="utf-8"))
    run_id = json.loads((options.model / RUN_FILE).read_text(encoding="utf-8"))["run_id"]
    tags = lineage(run_id, evaluation)
    version = None
    if evaluation["decision"]["register"]:
        version = register(specified, run_id, tags, model_card(specified, evaluation, tags))
        print(f"Registered {specified.model} version {version}: {evaluation['decision']['reason']}.")
    else:
        print(f"{specified.model} is not registered: {evaluation['decision']['reason']}.")
    options.report.mkdir(parents=True, exist_ok=True)
    report = {**evaluation, "model_name": specified.model, "model_version": version, "lineage": tags}
    (options.report / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
