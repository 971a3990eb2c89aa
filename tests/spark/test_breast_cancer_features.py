"""The features of breast_cancer, on its own training data."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from notebooks.lib.breast_cancer import SCHEMA, features
from notebooks.lib.engineering import engineer

DATA = Path(__file__).resolve().parents[2] / "data/breast_cancer.csv"


def test_the_training_data_become_features(spark: SparkSession, tmp_path: Path) -> None:
    counts = engineer(spark, DATA.as_uri(), (tmp_path / "out").as_uri(), SCHEMA, features)

    assert 0 < counts.kept <= counts.read
    assert spark.read.parquet((tmp_path / "out").as_uri()).count() == counts.kept
