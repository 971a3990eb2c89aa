"""Records of the data in the pipeline's run: results as artifacts, where reports read them, and a summary as tags.

Source of the right to write to the pipeline's run on Azure: Azure/azureml-assets, `add_action_analyzer_tag` of its
model monitoring components.
"""

from __future__ import annotations

import os
from pathlib import Path

import mlflow

from steps import data_results
from steps.data_results import ContractResult

_TAG_LENGTH = 250


def keep(result: ContractResult, folder: Path) -> None:
    """Log the files of `folder` and set the tags.

    Outside of a pipeline, such as by hand, they go to a run of its own.
    """
    client = mlflow.MlflowClient()
    run = os.environ.get("AZUREML_ROOT_RUN_ID")
    if run is None:
        with mlflow.start_run() as own:
            run = own.info.run_id
    for name in (data_results.CONTRACT_FILE, data_results.PROFILE_FILE):
        if (folder / name).exists():
            client.log_artifact(run, str(folder / name))
    tags = {
        "data_contract": summary(result)[:_TAG_LENGTH],
        "data_rows_read": str(result.rows_read),
        "data_rows_dropped": str(result.rows_dropped),
        "data_warnings": str(len(result.warnings)),
    }
    for name, value in tags.items():
        client.set_tag(run, name, value)


def summary(result: ContractResult) -> str:
    """Return the result in a line."""
    if not result.accepted:
        return f"broken: {'; '.join(rule.message for rule in result.errors)}"
    if result.warnings:
        return f"kept, with warnings: {'; '.join(rule.message for rule in result.warnings)}"
    return "kept"
