"""The features of breast_cancer, on its own training data, which keep its data contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from mlops import specifications
from notebooks.lib.breast_cancer import SCHEMA, features
from notebooks.lib.engineering import engineer

PIPELINE = specifications.load("breast_cancer")


@pytest.mark.nightly
def test_the_training_data_become_features(spark: SparkSession, tmp_path: Path) -> None:
    contract = PIPELINE.specification.data_contract.notebook_json(PIPELINE.specification.target)

    outcome = engineer(spark, str(PIPELINE.data), f"{tmp_path}/out", SCHEMA, features, contract)

    assert outcome.broken == ()
    assert 0 < outcome.kept <= outcome.read
    assert spark.read.parquet(f"{tmp_path}/out").count() == outcome.kept
