"""Register the model of the training run, when the evaluation decided so, and make the report of the pipeline's run.

This step has all content of the report: the evaluation, the lineage, the version. A step of its own would take
seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from steps.data_results import CONTRACT_FILE, PREDICTION_PROFILE_FILE, PROFILE_FILE, read_contract, read_profile
from steps.inputs import parameter, specification
from steps.model_card import model_card
from steps.models import MODEL_FILE_FOLDER, RUN_FILE
from steps.reporting.page import RunFacts, html
from steps.specification import Specification

_TAG_LENGTH = 250
"""ARM accepts tag values of up to 256 characters."""
_CARD = "README.md"


def register(specified: Specification, run_id: str, tags: dict[str, str], card: str, evaluation: Path) -> str:
    """Make a version of the run's model, with the card and the results of the data's check beside the model's files.

    Return the version number.
    """
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(specified.model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _CARD
        file.write_text(card, encoding="utf-8")
        for name in (CONTRACT_FILE, PROFILE_FILE, PREDICTION_PROFILE_FILE):
            shutil.copyfile(evaluation / name, Path(folder) / name)
        client.log_artifacts(run_id, folder, MODEL_FILE_FOLDER)
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


def publish_report(root_run: str, content: dict[str, Any], folder: Path) -> None:
    """Write report.json and report.html, and put them with the decision and the metrics into the pipeline's own run.

    The model is registered by now: a tracking server that refuses them is named, and does not fail the step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "report.json", folder / "report.html"
    files[0].write_text(json.dumps(content, indent=2), encoding="utf-8")
    files[1].write_text(html(content, RunFacts(root_run)), encoding="utf-8")
    if not root_run:  # outside of a pipeline
        return
    try:
        _log(root_run, content, files)
    except MlflowException as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        print(f"The report is in this step's output, and not in the run {root_run}: {reason}", file=sys.stderr)


def _log(root_run: str, content: dict[str, Any], files: Iterable[Path]) -> None:
    client = mlflow.MlflowClient()
    for file in files:
        client.log_artifact(root_run, str(file))
    tags = {
        "decision": content["decision"]["reason"][:_TAG_LENGTH],
        "registered": content["model_version"] or "no",
        "model": content["model_name"],
    }
    now = int(time.time() * 1000)
    client.log_batch(
        root_run,
        metrics=[Metric(name, value, now, 0) for name, value in content["metrics"].items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "evaluation", "report"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    specified = specification()
    evaluation = json.loads((options.evaluation / "evaluation.json").read_text(encoding="utf-8"))
    run_id = json.loads((options.model / RUN_FILE).read_text(encoding="utf-8"))["run_id"]
    data = read_contract(options.evaluation)
    tags = lineage(run_id, evaluation)
    version = None
    if evaluation["decision"]["register"]:
        version = register(specified, run_id, tags, model_card(specified, evaluation, tags, data), options.evaluation)
        print(f"Registered {specified.model} version {version}: {evaluation['decision']['reason']}.")
    else:
        print(f"{specified.model} is not registered: {evaluation['decision']['reason']}.")
    root_run = os.environ.get("AZUREML_ROOT_RUN_ID", "")
    content = {
        **evaluation,
        "model_name": specified.model,
        "model_version": version,
        "lineage": tags | {"notebook": parameter("notebook"), "environment": parameter("environment")},
        "parameters": mlflow.MlflowClient().get_run(run_id).data.params,
        "data_contract": data.model_dump(mode="json"),
        "profile": read_profile(options.evaluation).model_dump(mode="json"),
    }
    publish_report(root_run, content, options.report)


if __name__ == "__main__":
    main()
