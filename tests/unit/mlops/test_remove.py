"""Files of the checkout that belong to one pipeline."""

from __future__ import annotations

from mlops import remove, specifications


def test_a_pipeline_s_files_exclude_shared_ones_and_its_specification_is_deleted_last() -> None:
    files = [
        file.relative_to(specifications.ROOT).as_posix()
        for file in remove.files(specifications.load("breast_cancer"))
        if "__pycache__" not in file.parts
    ]

    assert files == [
        "tests/spark/test_breast_cancer_features.py",
        "notebooks/breast_cancer_features.py",
        "notebooks/breast_cancer_scoring.py",
        "notebooks/lib/breast_cancer.py",
        "mlops/pipelines/breast_cancer/components/train/component.yml",
        "mlops/pipelines/breast_cancer/components/train/src/train.py",
        "mlops/pipelines/breast_cancer/pipeline.yml",
    ]
