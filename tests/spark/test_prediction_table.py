"""Spark with Delta Lake reads the table of predictions that delta-rs writes, and both may write it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from localcloud.core.settings import load_settings
from localcloud.databricks.launch import find_tools
from localcloud.engine.java_runtime import jvm_options

from steps.prediction_table import PredictionFile, PredictionTable

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
_SPARK = """
import json, shlex, sys
from pyspark.sql import SparkSession
folder, jars, options = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.driver.extraClassPath", jars).config("spark.driver.extraJavaOptions", options)
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.session.timeZone", "Etc/UTC").config("spark.sql.shuffle.partitions", "1").getOrCreate()
)
rows = spark.read.format("delta").load(folder)
texts = [list(map(str, row)) for row in rows.sort("run", "row").collect()]
print(json.dumps({"types": dict(rows.dtypes), "rows": texts}))
rows.where("run = 'old'").write.format("delta").mode("append").save(folder)
spark.sql(f"DELETE FROM delta.`{folder}` WHERE run = 'new'")
spark.sql(f"OPTIMIZE delta.`{folder}`")
"""


def _add(folder: Path, run: str, **columns: object) -> None:
    values = {"row": [0, 1], "prediction": [1.0, 2.0], "scored_at": pd.Timestamp(NOW), "run": run} | columns
    rows = pa.Table.from_pandas(pd.DataFrame(values), preserve_index=False)
    path = f"date=2026-11-29/run={run}/predictions.parquet"
    (folder / path).parent.mkdir(parents=True)
    pq.write_table(rows, folder / path)
    table = PredictionTable(str(folder))
    table.ensure(rows.schema)
    table.add(PredictionFile(path, (folder / path).stat().st_size, 2, "2026-11-29", NOW), f"{run}/first")


@pytest.mark.nightly
def test_spark_reads_adds_deletes_and_compacts_rows_of_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "a table"
    _add(folder, "old")
    _add(folder, "new", probability_yes=[0.25, 0.5])
    tools = find_tools(load_settings())
    arguments = [str(folder), ":".join(map(str, tools.jars)), " ".join(jvm_options(tmp_path / "jvm"))]
    environment = {
        "JAVA_HOME": str(tools.java_home), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
        "SPARK_LAUNCHER_OPTS": "-XX:-UsePerfData",
    }  # fmt: skip
    (tmp_path / "jvm").mkdir()

    read = subprocess.run(
        [sys.executable, "-c", _SPARK, *arguments], env=os.environ | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert read.returncode == 0, read.stderr
    content = json.loads(read.stdout.strip().splitlines()[0])
    assert content["types"] == {
        "row": "bigint", "prediction": "double", "scored_at": "timestamp", "run": "string", "date": "date",
        "probability_yes": "double",
    }  # fmt: skip
    moment = "2026-11-29 12:00:00"
    assert content["rows"] == [
        ["0", "1.0", moment, "new", "2026-11-29", "0.25"], ["1", "2.0", moment, "new", "2026-11-29", "0.5"],
        ["0", "1.0", moment, "old", "2026-11-29", "None"], ["1", "2.0", moment, "old", "2026-11-29", "None"],
    ]  # fmt: skip

    _add(folder, "later")
    table = PredictionTable(str(folder))
    table.add(PredictionFile("date=2026-11-29/run=new/predictions.parquet", 1, 2, "2026-11-29", NOW), "new/first")

    rows: pd.DataFrame = DeltaTable(str(folder)).to_pandas()
    assert rows.groupby("run").size().to_dict() == {"old": 4, "later": 2}, "deleted rows do not come back"
    assert [uri for uri in DeltaTable(str(folder)).file_uris() if "run=old" in uri] == [], "they are in another file"
