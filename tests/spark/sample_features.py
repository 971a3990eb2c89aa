"""Columns and features of a pipeline of the tests' own: owners change the shipped features of notebooks/lib."""

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


def complete_rows(rows: DataFrame) -> DataFrame:
    """Return the rows in which no column of SCHEMA is missing; rows to be scored lack the target."""
    return rows.dropna(how="any", subset=[name for name in SCHEMA.names if name in rows.columns])
