"""The Spark of a driver: started with a cluster's defaults while idle, then fitted to its run."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import exercise as exercises
from .local_files import address

_FREE = ("spark.hadoop.", "spark.databricks.")
"""Prefixes that need no new context: Hadoop's options are set on it, Databricks' own mean nothing to Spark."""


def start(conf: dict[str, str]) -> Any:
    """Return a new SparkSession (and, the first time, its JVM)."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("Databricks Shell")
    for key, value in conf.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel(conf.get("spark.log.level", "WARN"))
    return session


def warm_up(spark: Any) -> None:
    """Run the usual operations of notebooks on a few rows, so that classes are loaded before the run comes."""
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "rows.csv"
        csv.write_text("a,b\n1,2\n3,\n")
        rows = spark.read.csv(address(csv), header=True, schema="a INT, b DOUBLE", mode="FAILFAST")
        rows.dropna().write.parquet(address(Path(folder) / "rows.parquet"))
        rows.groupBy("a").count().collect()
        spark.createDataFrame([(1, 2.0)], "a INT, b DOUBLE").createOrReplaceTempView("warm_up")
        spark.sql("SELECT count(*) FROM warm_up").collect()
        spark.catalog.dropTempView("warm_up")
        spark.read.parquet(address(Path(folder) / "rows.parquet")).count()
        rows.write.format("delta").save(address(Path(folder) / "rows.delta"))
    spark._jvm.java.lang.Class.forName("org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem")


def exercise(spark: Any, conf: dict[str, str], interrupted: Callable[[], bool]) -> tuple[Any, int]:
    """Run the usual work of notebooks until it is done or interrupted.

    Returns a session of a new context, and the number of steps that were done. The JVM stays, with the code that it has
    compiled. A failure goes to the driver's log: a run needs no exercise.
    """
    done = 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            for step in exercises.steps(spark, Path(folder)):
                if interrupted():
                    break
                step()
                done += 1
    except Exception:
        traceback.print_exc()
    jvm = spark._jvm
    spark.stop()
    jvm.System.gc()  # the heap that the exercise has grown goes back
    return start(conf), done


def fit(spark: Any, started_with: dict[str, str], conf: dict[str, str]) -> Any:
    """Return the session for a run's spark_conf. Options that only a new context accepts make one, in the same JVM."""
    static = {
        key: value
        for key, value in conf.items()
        if not key.startswith(_FREE) and started_with.get(key) != value and not spark.conf.isModifiable(key)
    }
    if any(key.startswith("spark.") for key in static):
        spark.stop()
        spark = start({**started_with, **conf})
    hadoop = spark._jsc.hadoopConfiguration()
    for key, value in conf.items():
        if key.startswith("spark.hadoop."):
            hadoop.set(key.removeprefix("spark.hadoop."), value)
        elif key.startswith("fs."):
            hadoop.set(key, value)
            spark.conf.set(key, value)
        elif key not in static:
            spark.conf.set(key, value)
    return spark
