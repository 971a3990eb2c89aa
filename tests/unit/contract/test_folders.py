"""Folders of the training container that both sides know by name."""

from __future__ import annotations

from infra import storage
from mlops import pipeline


def test_the_folder_that_ends_is_the_one_that_feature_engineering_writes_to() -> None:
    """The stack deletes what is old there, and nothing else."""
    assert storage.ENGINEERED == pipeline.ENGINEERED != pipeline.REPORTS
