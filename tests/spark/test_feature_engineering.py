"""The notebook itself, cell after cell, with a `dbutils` of the test's own: its parameters and its exit value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark.sql import SparkSession

from data.make_diabetes import FILE

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "feature_engineering.py"


class Exit(Exception):
    """dbutils.notebook.exit ends the notebook."""


def run(spark: SparkSession, parameters: dict[str, str]) -> str:
    """Run the notebook and return its exit value."""
    defaults: dict[str, str] = {}

    def leave(value: str) -> None:
        raise Exit(value)

    dbutils = SimpleNamespace(
        widgets=SimpleNamespace(text=defaults.__setitem__, get=lambda name: parameters.get(name, defaults[name])),
        notebook=SimpleNamespace(exit=leave),
    )
    source = compile(NOTEBOOK.read_text(encoding="utf-8"), str(NOTEBOOK), "exec")
    with pytest.raises(Exit) as left:
        exec(source, {"spark": spark, "dbutils": dbutils})  # noqa: S102
    return str(left.value)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Databricks puts the notebook's folder on the path."""
    monkeypatch.syspath_prepend(str(NOTEBOOK.parent))
    yield


def test_the_notebook_is_in_databricks_source_format() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")

    assert text.startswith("# Databricks notebook source\n")
    assert "# COMMAND ----------" in text


@pytest.mark.nightly
@pytest.mark.usefixtures("beside")
def test_the_notebook_writes_to_its_output_and_exits_with_the_counts(spark: SparkSession, tmp_path: Path) -> None:
    output = (tmp_path / "out").as_uri()

    result = json.loads(run(spark, {"input_uri": FILE.as_uri(), "output_uri": output}))

    assert result == {"rows_read": 442, "rows_kept": 406, "broken": []}
    assert spark.read.parquet(output).count() == 406
