"""The version that scores: which one it is, and the model itself."""

from __future__ import annotations

from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from steps import champion, downloads, models
from steps.specification import Specification


class NoVersionError(Exception):
    """Error of a run without a version that can score any file; the text says why."""


def resolve(specified: Specification, wanted: str, deployment: str) -> str:
    """Return the number of the version that scores.

    `deployment` is the deployment beside which this code was published. Raises NoVersionError when no version is
    registered, or when the serving version was promoted with other code: a promotion or a rollback is under way.
    """
    if wanted != champion.CHAMPION:
        return wanted
    registered = mlflow.MlflowClient().search_model_versions(f"name='{specified.model}'")
    versions = {str(item.version): dict(item.tags or {}) for item in registered}
    version = champion.champion(versions.items())
    if version is None:
        raise NoVersionError(f"no version of {specified.model} is registered: train and promote a model first")
    promoted_with = versions[version].get(champion.DEPLOYMENT, deployment)
    if promoted_with != deployment:
        raise NoVersionError(
            f"version {version} of {specified.model} serves with {promoted_with}, and this run is of {deployment}: "
            "a promotion is under way, and the next run takes the files"
        )
    return version


def load(specified: Specification, version: str) -> Any:
    """Return the version as a pyfunc. Raises NoVersionError when it cannot be had."""
    try:
        return models.load(mlflow.artifacts.download_artifacts(f"models:/{specified.model}/{version}"))
    except models.NotComparableError as error:
        raise NoVersionError(f"version {version} of {specified.model}: {error}") from error
    except (MlflowException, OSError) as error:
        reason = downloads.problem(error)
        raise NoVersionError(f"version {version} of {specified.model} cannot be read: {reason}") from error
