"""Errors of downloads name their cause on one line, as MLflow's own client words them."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from steps import downloads


class _Lost(LocalArtifactRepository):  # type: ignore[misc]
    """Artifacts that are listed and cannot be read."""

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        raise MlflowException(f"{remote_file_path} does not exist\nsecond line")

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        return str(super(LocalArtifactRepository, self).download_artifacts(artifact_path, dst_path))


def test_a_failed_download_names_the_first_file_s_error(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/MLmodel").write_text("", encoding="utf-8")

    with pytest.raises(MlflowException) as failed:
        _Lost(str(tmp_path)).download_artifacts("model", str(tmp_path))

    assert "\n" in str(failed.value), "MLflow's own text has several lines"
    assert downloads.problem(failed.value) == (
        f"The following failures occurred while downloading one or more artifacts from {tmp_path}: "
        "model/MLmodel does not exist"
    )


def test_another_error_is_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(MlflowException) as missing:
        mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_model_version("m", "1")

    assert downloads.problem(missing.value) == str(missing.value).splitlines()[0]
    assert downloads.problem(OSError()) == "OSError"
