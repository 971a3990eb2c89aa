"""Folders of the training container that both sides know by name."""

from __future__ import annotations

from pathlib import Path

from infra import storage
from mlops import pipeline, training_data


def test_the_expiring_folder_is_the_output_of_feature_engineering() -> None:
    """The stack deletes old files there, and nothing else."""
    assert storage.ENGINEERED == pipeline.ENGINEERED != pipeline.REPORTS


def test_notebook_runs_may_read_the_folder_that_training_data_are_uploaded_to() -> None:
    data = training_data.read(Path(__file__))
    assert data.blob.split("/")[0] == storage.DATA
