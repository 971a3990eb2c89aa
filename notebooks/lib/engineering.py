"""From a CSV file to the engineered set, in one pass over the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from .csv_source import DataError, explain, read_csv, read_errors


@dataclass(frozen=True)
class Counts:
    """Rows of the file, and rows that were kept."""

    read: int
    kept: int


def engineer(
    spark: SparkSession,
    input_uri: str,
    output_uri: str,
    schema: StructType,
    features: Callable[[DataFrame], DataFrame],
) -> Counts:
    """Write the features of the rows of `input_uri` (CSV) to `output_uri` (Parquet, replaced).

    `features` returns the engineered rows, a row for each row that it keeps. Rows are counted while they
    are written. Raises DataError when the data are not usable; then nothing is replaced.
    """
    try:
        rows = read_csv(spark, input_uri, schema)
        if not rows.take(1):
            raise DataError(f"{input_uri}: there is not a single row.")
        return _write(rows, output_uri, features)
    except read_errors() as error:
        plain = explain(spark, error, input_uri, schema)
        if plain is error:
            raise
        raise plain from None


def _write(rows: DataFrame, output_uri: str, features: Callable[[DataFrame], DataFrame]) -> Counts:
    read, kept = Observation("read"), Observation("kept")
    count = F.count(F.lit(1)).alias("rows")
    features(rows.observe(read, count)).observe(kept, count).write.mode("overwrite").parquet(output_uri)
    counts = Counts(read.get["rows"], kept.get["rows"])
    if counts.kept == 0:
        raise DataError(f"not one of the {counts.read} rows is complete.")
    return counts
