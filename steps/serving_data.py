"""Comparison of a run's data with the data of the registered version that serves."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from steps import champion, data_results, downloads, drift
from steps.data_results import ContractResult, Profile
from steps.specification import Specification


class UnreadableVersionError(Exception):
    """A registered version whose files cannot be had; the text says why."""


def serving_version(model: str) -> str | None:
    """Return the number of the registered version that serves, None when there is none."""
    versions = mlflow.MlflowClient().search_model_versions(f"name='{model}'")
    return champion.champion((str(item.version), dict(item.tags or {})) for item in versions)


def files_of(model: str, version: str) -> Path:
    """Return the files of a registered version on this machine. Raises UnreadableVersionError."""
    try:
        return Path(mlflow.artifacts.download_artifacts(f"models:/{model}/{version}"))
    except (MlflowException, OSError) as error:
        raise UnreadableVersionError(f"its artifacts cannot be read: {downloads.problem(error)}") from error


def compare(specified: Specification, checked: Path, version: str | None, files: Path | None) -> ContractResult:
    """Return the result of the data's check with the rules of drift, against the data of a registered version.

    `checked`: the output of the step check_data. `files`: the version's, None when they cannot be read.
    """
    result = data_results.read_contract(checked)
    if version is None:
        return result.model_copy(update={"not_compared": f"no version of {specified.model} is registered"})
    former = None if files is None else _profile(files)
    if former is None:
        return result.model_copy(update={"not_compared": f"version {version} has no profile of its data"})
    measures = json.loads((checked / data_results.MEASURES_FILE).read_text(encoding="utf-8"))
    judged = drift.judge(specified.data_contract, former, data_results.read_profile(checked), measures)
    accepted = all(rule.passed or rule.severity == "warning" for rule in judged)
    rules = (*result.rules, *judged)
    return result.model_copy(update={"rules": rules, "accepted": accepted, "compared_with": version})


def _profile(files: Path) -> Profile | None:
    try:
        return data_results.read_profile(files)
    except (OSError, ValueError):  # a version that was registered before there was one
        return None
