"""Reading CSV files strictly, and saying plainly what is wrong with one."""

from __future__ import annotations

import csv
import re
from contextlib import suppress

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DataType, DoubleType, IntegerType, LongType, StringType, StructField, StructType

_MALFORMED, _PATH_NOT_FOUND = "MALFORMED_RECORD_IN_PARSING", "PATH_NOT_FOUND"
"""Spark's error conditions (error-conditions.json of apache/spark). One of a group begins with the group's name."""
# Spark's check of the header and the storage driver's refusals have no condition: their text is all that there is.
_HEADER = re.compile(
    r"CSV header does not conform to the schema\.\s*Header: (.*?)\s*Schema: (.*?)\s*Expected", re.DOTALL
)
_HEADER_LENGTH = re.compile(r"Number of column in CSV header is not equal to number of fields in the schema", re.DOTALL)
_MISSING = re.compile(r"The specified blob does not exist|FileNotFoundException|BlobNotFound")
_FORBIDDEN = re.compile(r"AuthorizationPermissionMismatch|AuthorizationFailure|StatusCode=403|Status code: 403")


QUOTING = {"quote": '"', "escape": '"'}
"""A quote inside of a quoted value is doubled, as in RFC 4180; Spark's own default is a backslash before it."""


class DataError(Exception):
    """The data are not what they should be; the text is for the person who provides them."""


def read_csv(spark: SparkSession, uri: str, schema: StructType) -> DataFrame:
    """Return a file or folder with a header line. Nothing is read yet: errors show when the rows are.

    FAILFAST: a value that does not fit its column ends the read. The header's names must be the schema's.
    """
    return spark.read.csv(uri, schema=schema, header=True, mode="FAILFAST", enforceSchema=False, **QUOTING)


def explain(spark: SparkSession, error: Exception, uri: str, schema: StructType) -> Exception:
    """Return a DataError for wrong data at `uri`; `error` itself for everything else.

    `error` is what Spark raised: pyspark's own exceptions, or a Py4J error with Java's text. Spark names a malformed
    record by what it could read of it, so that the file is read once more for its first bad line.
    """
    text, conditions = str(error), _conditions(error)
    if header := _HEADER.search(text):
        wrong = _difference(_names(header[1]), schema.names)
        return DataError(f"{uri}: the header is wrong: {wrong}. Expected: {', '.join(schema.names)}.")
    if _HEADER_LENGTH.search(text):
        return DataError(f"{uri}: the header has the wrong number of columns. Expected: {', '.join(schema.names)}.")
    if any(condition.startswith(_MALFORMED) for condition in conditions):
        return DataError(f"{uri}: {_bad_value(_first_malformed(spark, uri, schema), schema)}")
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
    """Return the error conditions of an exception and its causes, as far as this kind of Spark tells them.

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


def _first_malformed(spark: SparkSession, uri: str, schema: StructType) -> str:
    """Return the first line that does not fit, as it is in the file; empty when every line does."""
    corrupt = "_corrupt"
    marked = StructType([*schema.fields, StructField(corrupt, StringType())])
    rows = spark.read.csv(
        uri, schema=marked, header=True, mode="PERMISSIVE", columnNameOfCorruptRecord=corrupt, **QUOTING
    )
    malformed = rows.where(rows[corrupt].isNotNull()).take(1)
    return str(malformed[0][corrupt]) if malformed else ""


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",")]


def _difference(header: list[str], wanted: list[str]) -> str:
    pairs = zip(header, wanted, strict=False)
    return "; ".join(f"column '{is_}' should be '{should}'" for is_, should in pairs if is_ != should)


def _bad_value(row: str, schema: StructType) -> str:
    values = next(csv.reader([row]), [])
    if len(values) != len(schema.fields):
        return f"a row has {len(values)} values and should have {len(schema.fields)}: {row}"
    for field, value in zip(schema.fields, values, strict=True):
        if value and not _fits(value, field.dataType):
            kind = "a whole number" if isinstance(field.dataType, IntegerType | LongType) else "a number"
            return f"'{value}' in column '{field.name}' is not {kind}. The row: {row}"
    return f"a row does not fit the columns {', '.join(schema.names)}: {row}"


def _fits(value: str, kind: DataType) -> bool:
    try:
        if isinstance(kind, IntegerType | LongType):
            int(value)
        elif isinstance(kind, DoubleType):
            float(value)
    except ValueError:
        return False
    return True
