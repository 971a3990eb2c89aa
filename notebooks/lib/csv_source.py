"""Reading CSV files as texts, column by column of their own header, and saying plainly why one cannot be read."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

MALFORMED = "_malformed_row"
"""Column of `read_texts` with the line of a row that has more or fewer values than the header; null in the others."""
_PATH_NOT_FOUND = "PATH_NOT_FOUND"
"""Spark's error condition (error-conditions.json of apache/spark)."""
# Spark's check of the header and the storage driver's refusals have no condition: only their text is available.
_HEADER = re.compile(r"CSV header does not conform to the schema|Number of column in CSV header is not equal")
_MISSING = re.compile(r"The specified blob does not exist|FileNotFoundException|BlobNotFound")
_FORBIDDEN = re.compile(r"AuthorizationPermissionMismatch|AuthorizationFailure|StatusCode=403|Status code: 403")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BYTE_ORDER_MARK = "\ufeff"
QUOTING = {"quote": '"', "escape": '"'}
"""A quote inside of a quoted value is doubled, as in RFC 4180; Spark's own default is a backslash before it."""


class DataError(Exception):
    """The data are faulty; the text is for their provider."""


def read_header(spark: SparkSession, uri: str, expected: Sequence[str]) -> list[str]:
    """Return the names in the header line of a file, or of the first file in a folder.

    `expected` are the columns that the notebook reads. Raises DataError for an empty file, another separator than
    commas, a line with none of the columns, which is not quoted since it may have values, and a repeated name.
    """
    lines = spark.read.text(uri).take(1)
    line = str(lines[0][0]).removeprefix(_BYTE_ORDER_MARK) if lines else ""
    if not line.strip():
        raise DataError(f"{uri}: there is not a single row, and no header.")
    header = next(csv.reader([line]))
    if len(header) == 1 and len(expected) > 1:
        for separator, name in _SEPARATORS.items():
            if separator in line:
                raise DataError(f"{uri}: it is separated by {name}: save it with commas.")
    folded = [name.casefold() for name in header]
    if not {name.casefold() for name in expected} & set(folded):
        raise DataError(f"{uri}: the first line has none of the columns' names: has the file a header?")
    if twice := [name for name in dict.fromkeys(header) if folded.count(name.casefold()) > 1]:
        raise DataError(f"{uri}: the header has {', '.join(twice)} more than once.")
    return header


def read_texts(spark: SparkSession, uri: str, header: Sequence[str]) -> DataFrame:
    """Return the rows as texts, with MALFORMED. Nothing is read yet: errors occur when the rows are read.

    The header of every file in a folder must be the same.
    """
    schema = StructType([StructField(name, StringType()) for name in (*header, MALFORMED)])
    # Spark does not check the number of values in rows of which it parses only some columns.
    return spark.read.option("columnPruning", "false").csv(
        uri,
        schema=schema,
        header=True,
        mode="PERMISSIVE",
        enforceSchema=False,
        columnNameOfCorruptRecord=MALFORMED,
        **QUOTING,
    )


@contextmanager
def plain_errors(uri: str) -> Iterator[None]:
    """Replace an error of Spark's in the block by the error of `explain`, such as a DataError."""
    try:
        yield
    except read_errors() as error:
        plain = explain(error, uri)
        if plain is error:
            raise
        raise plain from None


def explain(error: Exception, uri: str) -> Exception:
    """Return a DataError for a file at `uri` that cannot be read; `error` itself for everything else.

    `error` is Spark's: one of pyspark's own exceptions, or a Py4J error with Java's text.
    """
    text, conditions = str(error), _conditions(error)
    if _HEADER.search(text):
        return DataError(f"{uri}: its files have different headers.")
    if _FORBIDDEN.search(text):
        return DataError(f"{uri}: this identity may not read it (403). It needs Storage Blob Data Reader there.")
    if _PATH_NOT_FOUND in conditions or _MISSING.search(text):
        return DataError(f"{uri}: there is no such file.")
    return error


def read_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of Spark's reads and actions, classic or Connect."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]

    return (PySparkException, Py4JJavaError)


def _conditions(error: Exception) -> set[str]:
    """Return the error conditions of an exception and its causes, as far as this kind of Spark has them.

    A Py4J error has the Java exceptions, each of which may have a condition; pyspark's own exceptions have one. Spark
    Connect has no causes, and quotes their conditions in brackets.
    """
    if isinstance(error, PySparkException):
        quoted = re.findall(r"\[([A-Z][A-Z0-9_.]+)\]", str(error))
        return {condition for condition in (error.getCondition(), *quoted) if condition}
    from py4j.protocol import Py4JError

    conditions: set[str] = set()
    cause = getattr(error, "java_exception", None)
    while cause is not None:
        with suppress(Py4JError):  # Java's own exceptions have no such method
            conditions.add(str(cause.getCondition()))
        cause = cause.getCause()
    return conditions
