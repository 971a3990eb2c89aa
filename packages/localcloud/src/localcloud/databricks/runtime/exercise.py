"""The usual work of notebooks on rows of its own, for a JVM that waits: its compilers learn Spark's code from it.

A JVM interprets code until it has run often enough to be compiled. The first notebook of a driver that has only started
spends a third of its processor time on that. Each step is short, since a run may come at any time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from .local_files import address

Step = Callable[[], object]

_ROWS = 20_000
_NUMBERS = [f"number{index}" for index in range(8)]
_WHOLE = ["whole0", "whole1"]
_WORDS = ["alpha", "beta", "gamma", "delta"]
_COLUMNS = [*_WHOLE, *_NUMBERS, "word", "day"]
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_PERCENT = [point / 100 for point in range(101)]


def steps(spark: Any, folder: Path) -> list[Step]:
    """Return the steps in their order. All files are in `folder`, which exists and is empty."""
    exercise = _Exercise(spark, folder)
    return [
        exercise.write_csv, exercise.header, exercise.texts, exercise.measures, exercise.groups, exercise.engineered,
        exercise.parquet, exercise.joins, exercise.lines,
    ]  # fmt: skip


class _Exercise:
    """The steps, which share files and kept rows."""

    def __init__(self, spark: Any, folder: Path) -> None:
        self._spark = spark
        self._csv, self._parquet = folder / "rows.csv", folder / "rows.parquet"
        self._lines = folder / "lines"
        self._kept: Any = None

    def write_csv(self) -> None:
        """Write the rows as CSV, with missing values."""
        numbers = random.Random(0)  # noqa: S311  (rows, not keys)
        with self._csv.open("w", encoding="utf-8") as file:
            file.write(",".join(_COLUMNS) + "\n")
            for row in range(_ROWS):
                values = [str(row), str(row % 7)]
                values += [f"{numbers.gauss(0, 1):.5f}" if numbers.random() > 0.01 else "" for _ in _NUMBERS]
                file.write(",".join([*values, _WORDS[row % 4], f"2025-01-{row % 28 + 1:02}"]) + "\n")

    def header(self) -> None:
        """Read the first line."""
        self._spark.read.text(address(self._csv)).take(1)

    def texts(self) -> None:
        """Read texts, cast the numbers, and keep the result."""
        from pyspark.sql import functions as F
        from pyspark.sql.types import StringType, StructField, StructType

        schema = StructType([StructField(name, StringType()) for name in (*_COLUMNS, "malformed")])
        texts = self._spark.read.option("columnPruning", "false").csv(
            address(self._csv), schema=schema, header=True, mode="PERMISSIVE", enforceSchema=False,
            columnNameOfCorruptRecord="malformed", quote='"', escape='"',
        )  # fmt: skip
        parts = [F.col("malformed").isNotNull().alias("malformed"), F.xxhash64(*_COLUMNS).alias("hash"), "word"]
        for name in (*_WHOLE, *_NUMBERS):
            text = F.trim(F.when(F.trim(name) == "NaN", None).otherwise(F.col(name)))
            cast = text.try_cast("int" if name in _WHOLE else "double")
            plain = (text >= "+") & (F.substring(text, -1, 1) <= "9") & ~text.contains("x")
            value = F.when(plain & cast.isNotNull(), cast).otherwise(F.when(text.rlike(_NUMBER), cast))
            parts.append(F.when(F.abs(value.cast("double")) != float("inf"), value).alias(name))
            parts.append(F.when(value.isNull(), F.coalesce(text.rlike("(?i)^inf"), F.lit(False))).alias(f"is_{name}"))
        self._kept = texts.select(*parts, F.col("day").try_cast("date").alias("day")).persist()

    def measures(self) -> None:
        """Count different rows, and observe counts, bounds and quantiles."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as F

        observed = Observation()
        aggregates = [F.count(F.lit(1)).alias("rows"), F.count(F.when(F.col("malformed"), 1)).alias("malformed")]
        for name in (*_WHOLE, *_NUMBERS):
            number = F.col(name).cast("double")
            quantiles = F.percentile_approx(number, _PERCENT, 10_000).cast("array<string>")
            named = {
                "least": F.min(number), "greatest": F.max(number), "sum": F.sum(number), "present": F.count(name),
                "below": F.count(F.when(F.coalesce(number < -2, F.lit(False)), 1)),
                "quantiles": F.array_join(quantiles, ","),
            }  # fmt: skip
            aggregates += [aggregate.alias(f"{key}_{name}") for key, aggregate in named.items()]
        self._kept.observe(observed, *aggregates).agg(F.count_distinct("hash")).collect()
        dict(observed.get)

    def groups(self) -> None:
        """Group rows by their texts, and rank the groups."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        texts = {name: F.col(name).cast("string") for name in ("word", "whole1", "day")}
        cells = F.array(*(F.struct(F.lit(key).alias("key"), text.alias("value")) for key, text in texts.items()))
        exploded = self._kept.select(F.explode(cells).alias("cell")).where("cell.value is not null")
        groups = exploded.groupBy("cell.key", "cell.value").agg(F.count(F.lit(1)).alias("rows"))
        order = Window.partitionBy("key").orderBy(F.desc("rows"), "value")
        ranked = groups.withColumn("rank", F.row_number().over(order))
        sums = groups.groupBy("key").agg(F.sum("rows").alias("rows"))
        columns = [F.col("key"), F.lit(None).cast("string").alias("value"), F.col("rows"), F.lit(0).alias("rank")]
        ranked.where("rank <= 50").union(sums.select(*columns)).collect()

    def engineered(self) -> None:
        """Write the kept rows without missing values, and release them."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as F

        observed = Observation()
        rows = self._kept.select(*_WHOLE, *_NUMBERS).dropna(how="any", subset=_NUMBERS)
        rows.observe(observed, F.count(F.lit(1)).alias("rows")).write.mode("overwrite").parquet(address(self._parquet))
        dict(observed.get)
        self._kept.unpersist()

    def parquet(self) -> None:
        """Read the written rows, filter and aggregate them."""
        from pyspark.sql import functions as F

        rows = self._spark.read.parquet(address(self._parquet))
        total = reduce(lambda left, right: left + right, (F.col(name) for name in _NUMBERS))
        rows.withColumn("total", total).where("total > 0").agg(F.avg("total"), F.stddev("total")).collect()

    def joins(self) -> None:
        """Join the rows with a small table and with themselves, and sort them."""
        rows = self._spark.read.parquet(address(self._parquet))
        keys = self._spark.createDataFrame([(number, str(number)) for number in range(7)], "whole1 int, name string")
        rows.join(keys, "whole1").orderBy("number0").limit(10).collect()
        rows.select("whole0").join(rows.select("whole0", "number1"), "whole0").groupBy("whole0").count().count()

    def lines(self) -> None:
        """Write one line of text."""
        lines = self._spark.createDataFrame([("line",)], "value string")
        lines.coalesce(1).write.mode("overwrite").text(address(self._lines))
