"""The rows of a CSV file that is scored: its header, and its rows in the types of the training data."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import ceil

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from .cells import column
from .csv_source import QUOTING, DataError
from .row_measures import ROW

CORRUPT = "_corrupt"
"""Column with the text of a row that does not fit; null in the others."""
_FIRST_LINES = 100
"""Lines by whose mean length the number of a file's rows is estimated."""
_PART = "spark.sql.files.maxPartitionBytes"
_LARGEST_PART = 128 * 2**20
"""Spark's own limit of a part, in bytes."""
_CORES = 8
"""Cores where Spark does not tell their number."""
_MOST_COLUMNS, _LONGEST_NAME = 30, 60
"""Limits of a header in a message: it may be a line of anything."""


class RefusedFileError(DataError):
    """The file cannot be used by any reader or repetition."""


@dataclass(frozen=True)
class Columns:
    """`schema`: the columns of the training data; `target` is one of them; `keys`: columns to carry along."""

    schema: StructType
    target: str
    keys: Sequence[str]

    @property
    def needed(self) -> list[str]:
        """Columns from which the features are made."""
        return [name for name in self.schema.names if name != self.target]


def read_rows(spark: SparkSession, input_uri: str, columns: Columns, header: Sequence[str]) -> DataFrame:
    """Return the file's rows with their numbers, in the types of the schema. Columns may be in any order."""
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise RefusedFileError(f"{input_uri}: the header has {_named(twice)} more than once.")
    if missing := [name for name in dict.fromkeys([*columns.needed, *columns.keys]) if name not in header]:
        raise RefusedFileError(
            f"{input_uri}: the header lacks {', '.join(missing)}. It has {_named(header)}; scoring needs "
            f"{', '.join(dict.fromkeys([*columns.needed, *columns.keys]))}."
        )
    # Unneeded columns, the target too, are read as text: nothing in them can be malformed.
    fields = [columns.schema[name] if name in columns.needed else StructField(name, StringType()) for name in header]
    schema = StructType([*fields, StructField(CORRUPT, StringType())])
    # Spark does not check the number of values in rows of which it parses only some columns.
    whole = spark.read.option("columnPruning", "false")
    rows = whole.csv(
        input_uri, schema=schema, header=True, mode="PERMISSIVE", columnNameOfCorruptRecord=CORRUPT, **QUOTING
    )
    return rows.withColumn(ROW, F.monotonically_increasing_id())


@dataclass(frozen=True)
class Head:
    """Beginning of a file: the names of its columns, about how many rows it has, and its bytes."""

    names: list[str]
    rows: int
    size: int


def read_head(spark: SparkSession, input_uri: str) -> Head:
    """Return the beginning of a file. Raises RefusedFileError for a file without a header."""
    # Spark's hidden column of files' properties: docs.databricks.com "File metadata column".
    lines = spark.read.text(input_uri).select("value", "_metadata.file_size").take(_FIRST_LINES)
    try:
        names = next(csv.reader([str(lines[0]["value"]).lstrip("\ufeff")]), []) if lines else []
    except csv.Error as error:
        raise RefusedFileError(f"{input_uri}: its first line is no header: {error}.") from error
    if not any(names):
        raise RefusedFileError(f"{input_uri}: there is no header, and not a single row.")
    length = sum(len(line["value"].encode()) + 1 for line in lines) / len(lines)
    size = int(lines[0]["file_size"])
    return Head([name.strip() for name in names], int(size / length), size)


def part_bytes(size: int, cores: int) -> int | None:
    """Return the bytes of each part in which so many cores read a file; None for a file that Spark's own parts suit.

    Of parts of 128 MiB, the last one is smaller: of a file of 430 MiB, one of two cores reads three parts. A file with
    less than such a part for each core is read in a part for each by Spark itself.
    """
    if size <= cores * _LARGEST_PART:
        return None
    parts = cores * ceil(size / (cores * _LARGEST_PART))
    return ceil(size / parts)


def _cores(spark: SparkSession) -> int:
    # Spark Connect, as on serverless compute, has no context.
    with suppress(PySparkException, AttributeError):
        return int(spark.sparkContext.defaultParallelism)
    return _CORES


@contextmanager
def even_parts(spark: SparkSession, size: int) -> Iterator[None]:
    """Let Spark read a large file in parts of the same size, within the block."""
    part, before = part_bytes(size, _cores(spark)), None
    if part is not None:
        # Serverless compute lets notebooks change few settings: without this one, the parts are Spark's own.
        with suppress(PySparkException):
            own = spark.conf.get(_PART)
            spark.conf.set(_PART, str(part))
            before = own
    try:
        yield
    finally:
        if before is not None:
            spark.conf.set(_PART, before)


def _named(header: Sequence[str]) -> str:
    """Return names of a file's columns for a message."""
    names = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in header[:_MOST_COLUMNS]]
    more = len(header) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def fits() -> Column:
    """Return whether a row has as many values as columns, each of its type."""
    return column(CORRUPT).isNull()


def fitting_rows(rows: DataFrame, columns: Columns) -> DataFrame:
    """Return the rows that fit."""
    # Spark converts no column that it does not need, and then calls no row malformed for it: a hash needs all of them.
    return rows.where(fits() & (F.xxhash64(*map(column, columns.needed)) != F.lit(0)))
