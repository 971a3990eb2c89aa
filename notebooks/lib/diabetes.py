"""Columns of the diabetes data, and features made from them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, IntegerType, StructField, StructType

SCHEMA = StructType(
    [
        StructField("age", IntegerType()),
        StructField("sex", IntegerType()),
        *(StructField(name, DoubleType()) for name in ("bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")),
        StructField("progression", DoubleType()),
    ]
)
"""Columns of the CSV file, in its order. Units are in data/README.md."""


def complete_rows(rows: DataFrame) -> DataFrame:
    """Return the rows in which no column of SCHEMA is missing; columns and their order stay.

    Rows that are to be scored lack the target.
    """
    return rows.dropna(how="any", subset=[name for name in SCHEMA.names if name in rows.columns])
