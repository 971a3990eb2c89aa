"""Features of a CSV file without the target for a model, by the training notebook's own function.

A row that cannot be used does not end the read, as it does in training: it is refused with a reason, so that every row
of the file is either prepared or refused. The action that writes the features also measures the rows, as training
measures its data.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from .cells import Cell, cell, column
from .csv_source import QUOTING, DataError, explain, plain_errors, read_errors
from .measures import ColumnMeasures, aggregates, categories, observed
from .row_rules import reasons, refused
from .rules import Rules, parse

ROWS, REFUSED, COUNTS = "rows", "refused", "counts"
"""Folders of the output: features and keys; rows that are refused, with reasons; how many there are of each, with the
measures of the columns."""
FAILED = "failed"
"""Folder in their place: why the file cannot be used, and whether that is the file's own fault (`refused`)."""
_LIST = ".json"
_ROW, _CORRUPT, _CARRIED, _VALUE = "_row", "_corrupt", "_carried", "_value"
_BROKEN, _EMPTY, _HASH = "_broken", "_empty", "_hash"
_KEPT, _CHECKSUM = "kept", "checksum"
_NOT_MEASURED = ("too_large", "below", "above", "not_allowed", "repeated", "distinct")
"""Measures of the training data's check alone: here, rows that break a rule are counted by their reasons."""
SAMPLED_ROWS = 100_000
"""Rows from which quantiles are made, at least: shares of a distribution are exact to a third of a percent, in two
samples of three to half of that. Files with up to twice as many rows are measured whole."""
_FIRST_LINES = 100
"""Lines by whose mean length the number of a file's rows is estimated."""
_MOST_COLUMNS, _LONGEST_NAME = 30, 60
"""Limits of a header in a message: it may be a line of anything."""
_NOT_CSV = "com.univocity.parsers.common.TextParsingException"
"""Exception of Spark's parser for a text that it cannot split, such as a row of more than 20,480 values."""


class RefusedFileError(DataError):
    """The file cannot be used by any reader or repetition."""


@dataclass(frozen=True)
class Counts:
    """Rows of the file, rows that became features, and rows that were refused."""

    read: int
    kept: int
    refused: int


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


def prepare(
    spark: SparkSession,
    input_uri: str,
    output_uri: str,
    columns: Columns,
    features: Callable[[DataFrame], DataFrame],
    contract: str = "",
) -> Counts:
    """Write features, refused rows, counts and measures of a file's rows below `output_uri`, or of each file in a list.

    `input_uri` is a CSV file, or the list of files that the scoring pipeline took (JSON); of a list, each file gets a
    folder of its version. `features` gets the columns of the schema but the target, and one more column, which it has
    to keep. `contract` is the notebook's parameter of that name: rows that break a rule of it are refused. Raises
    RefusedFileError when the file lacks columns or rows, DataError for a missing file, or when a row is neither
    prepared nor refused. For a list, the reason is written in place of the rows of a refused file; a file that fails
    for another reason does not stop the preparation of the others.
    """
    if not input_uri.endswith(_LIST):
        return _explained(spark, input_uri, output_uri, columns, features, parse(contract))
    files, rules = _listed(spark, input_uri), parse(contract)
    total = Counts(0, 0, 0)
    kept_going: tuple[type[Exception], ...] = (DataError, *read_errors()) if len(files) > 1 else (RefusedFileError,)
    for file in files:
        place = f"{output_uri}/{file['version']}"
        try:
            counts = _explained(spark, file["uri"], place, columns, features, rules)
        except kept_going as error:
            # People use the file's original name, not its copy's.
            reason = _first_line(error).removeprefix(f"{file['uri']}: ")
            failed = {"reason": reason, "refused": isinstance(error, RefusedFileError)}
            _write_json(spark, f"{place}/{FAILED}", failed)
        else:
            total = Counts(total.read + counts.read, total.kept + counts.kept, total.refused + counts.refused)
    return total


def _explained(
    spark: SparkSession,
    input_uri: str,
    output_uri: str,
    columns: Columns,
    features: Callable[[DataFrame], DataFrame],
    rules: Rules,
) -> Counts:
    """Call `_prepare`, and raise a DataError in place of a Spark error that the file caused."""
    try:
        return _prepare(spark, input_uri, output_uri, columns, features, rules)
    except read_errors() as error:
        if _NOT_CSV in str(error):
            raise RefusedFileError(f"{input_uri}: it cannot be read as CSV with at most 20,480 columns.") from error
        plain = explain(error, input_uri)
        if plain is error:
            raise
        raise plain from None


def _listed(spark: SparkSession, uri: str) -> list[dict[str, str]]:
    with plain_errors(uri):
        (row,) = spark.read.text(uri, wholetext=True).collect()
    files: list[dict[str, str]] = json.loads(row[0])["files"]
    return files


def _write_json(spark: SparkSession, uri: str, row: Mapping[str, object]) -> None:
    """Write one row as one file. Spark starts no Python worker for literals, as it does for rows of Python's."""
    values = (F.lit(value).alias(name) for name, value in row.items())
    spark.range(0, 1, 1, 1).select(*values).write.mode("overwrite").json(uri)


def _prepare(
    spark: SparkSession,
    input_uri: str,
    output_uri: str,
    columns: Columns,
    features: Callable[[DataFrame], DataFrame],
    rules: Rules,
) -> Counts:
    head = _read_head(spark, input_uri)
    rows = _read(spark, input_uri, columns, head.names)
    source_cells = [_cell(rows, columns, name, rules) for name in columns.needed]
    evaluated, cells = _evaluated(rows, source_cells, columns, rules)
    read, measured, kept = Observation("read"), Observation("measured"), Observation("kept")
    counted = evaluated.observe(read, F.count(F.lit(1)).alias("rows"), F.count(column(_CORRUPT)).alias("malformed"))
    every = max(1, head.rows // SAMPLED_ROWS)
    sampled = F.pmod(F.col(_HASH), F.lit(every)) == 0 if every > 1 else None
    complete = ~F.col(_BROKEN) & ~F.col(_EMPTY)
    fitting = counted.where(column(_CORRUPT).isNull()).observe(
        measured, *_total(F.when(complete, F.col(_HASH))), *aggregates(cells, None, sampled)
    )
    prepared = _apply(features, fitting.where(~F.col(_BROKEN)), columns).observe(kept, *_total(_hash()))
    prepared.write.mode("overwrite").parquet(f"{output_uri}/{ROWS}")
    total, written = read.get["rows"], kept.get[_KEPT]
    if total == 0:
        raise RefusedFileError(f"{input_uri}: there is not a single row.")
    number = 0
    by_rows_alone = kept.get == {name: measured.get[name] for name in (_KEPT, _CHECKSUM)}
    if written < total or not by_rows_alone:
        known = None if by_rows_alone else spark.read.parquet(f"{output_uri}/{ROWS}").select(_ROW)
        gone = Observation("gone")
        left = _refused(rows, source_cells, columns, rules, known).observe(gone, F.count(F.lit(1)).alias("rows"))
        left.write.mode("overwrite").parquet(f"{output_uri}/{REFUSED}")
        number = gone.get["rows"]
    if written + number != total:
        raise DataError(
            f"{input_uri}: of {total} rows {written} became features and {number} were refused: the features have to "
            "be a row for each row that they keep."
        )
    counts = Counts(total, written, number)
    # Spark converts no column that it does not need, and then calls no row malformed for it: a hash needs all of them.
    whole = F.xxhash64(*map(column, columns.needed)) != F.lit(0)
    frequent = categories(rows.where(column(_CORRUPT).isNull() & whole), source_cells)
    profiles = observed(cells, measured.get, frequent).items()
    measures = {name: _measures(profile) for name, profile in profiles}
    _write_json(spark, f"{output_uri}/{COUNTS}", asdict(counts) | {"measures": json.dumps(measures)})
    return counts


def _evaluated(rows: DataFrame, cells: Sequence[Cell], columns: Columns, rules: Rules) -> tuple[DataFrame, list[Cell]]:
    """Return the rows with a column for each fact that aggregates and filter need, so that each is computed once.

    Facts are values, whether a row breaks a rule, whether it lacks a value, and the hash of its number.
    """
    parts: list[Column] = []
    evaluated: list[Cell] = []
    for index, read_cell in enumerate(cells):
        name = f"{_VALUE}{index}"
        if not read_cell.fits:
            parts.append(read_cell.value.alias(name))
        evaluated.append(read_cell if read_cell.fits else replace(read_cell, value=F.col(name)))
    names = dict.fromkeys([*columns.needed, *columns.keys, _ROW, _CORRUPT])
    valued = rows.select(*map(column, names), *parts)
    empty = reduce(Column.__or__, (column(name).isNull() for name in columns.needed), F.lit(False))
    facts = (refused(evaluated, rules).alias(_BROKEN), empty.alias(_EMPTY), _hash().alias(_HASH))
    return valued.select("*", *facts), evaluated


def _hash() -> Column:
    return F.xxhash64(column(_ROW))


def _total(hashes: Column) -> list[Column]:
    """Return the number and the checksum of rows, by their hashes: two sets of rows that agree in both are the same."""
    return [F.count(hashes).alias(_KEPT), F.coalesce(F.bit_xor(hashes), F.lit(0)).alias(_CHECKSUM)]


def _measures(profile: ColumnMeasures) -> dict[str, object]:
    """Return the measures that the score step hands on."""
    return {name: value for name, value in asdict(profile).items() if name not in _NOT_MEASURED}


def _cell(rows: DataFrame, columns: Columns, name: str, rules: Rules) -> Cell:
    own = rules.of(name).type
    return cell(rows, name, columns.schema[name], None if own is None else str(own.limit))


def _read(spark: SparkSession, input_uri: str, columns: Columns, header: Sequence[str]) -> DataFrame:
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
    schema = StructType([*fields, StructField(_CORRUPT, StringType())])
    # Spark does not check the number of values in rows of which it parses only some columns.
    whole = spark.read.option("columnPruning", "false")
    rows = whole.csv(
        input_uri, schema=schema, header=True, mode="PERMISSIVE", columnNameOfCorruptRecord=_CORRUPT, **QUOTING
    )
    return rows.withColumn(_ROW, F.monotonically_increasing_id())


@dataclass(frozen=True)
class _Head:
    """Beginning of a file: the names of its columns, and about how many rows it has."""

    names: list[str]
    rows: int


def _read_head(spark: SparkSession, input_uri: str) -> _Head:
    # Spark's hidden column of files' properties: docs.databricks.com "File metadata column".
    lines = spark.read.text(input_uri).select("value", "_metadata.file_size").take(_FIRST_LINES)
    try:
        names = next(csv.reader([str(lines[0]["value"]).lstrip("\ufeff")]), []) if lines else []
    except csv.Error as error:
        raise RefusedFileError(f"{input_uri}: its first line is no header: {error}.") from error
    if not any(names):
        raise RefusedFileError(f"{input_uri}: there is no header, and not a single row.")
    length = sum(len(line["value"].encode()) + 1 for line in lines) / len(lines)
    return _Head([name.strip() for name in names], int(lines[0]["file_size"] / length))


def _named(header: Sequence[str]) -> str:
    """Return names of a file's columns for a message."""
    names = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in header[:_MOST_COLUMNS]]
    more = len(header) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _apply(features: Callable[[DataFrame], DataFrame], rows: DataFrame, columns: Columns) -> DataFrame:
    """Return the features, the number of each row, and its keys as _key_0, _key_1 and so on.

    Number and keys go through the function as one column, which is never null: it drops no row for a missing key.
    """
    keys = [column(name).alias(f"_key_{index}") for index, name in enumerate(columns.keys)]
    input_rows = rows.select(*map(column, columns.needed), F.struct(column(_ROW).alias(_ROW), *keys).alias(_CARRIED))
    try:
        feature_rows = features(input_rows)
    except AnalysisException as error:
        raise DataError(
            f"the features cannot be made of rows without the target {columns.target}: {_first_line(error)}"
        ) from error
    if _CARRIED not in feature_rows.columns:
        raise DataError("the features leave out a column that they do not know: they have to keep all columns.")
    own = [column(name) for name in feature_rows.columns if name != _CARRIED]
    carried = [F.col(_CARRIED)[name].alias(name) for name in (_ROW, *(f"_key_{i}" for i in range(len(keys))))]
    return feature_rows.select(*own, *carried)


def _refused(
    rows: DataFrame, cells: Sequence[Cell], columns: Columns, rules: Rules, known: DataFrame | None
) -> DataFrame:
    """Return the rows that are not among the prepared ones: number, reason, and the row itself as text.

    `known` has the numbers of the prepared rows; None where the others are just the rows that are malformed, break a
    rule or lack a value.
    """
    corrupt, broken = column(_CORRUPT), reasons(cells, rules)
    empty = F.concat_ws(", ", *(F.when(column(name).isNull(), F.lit(name)) for name in columns.needed))
    if known is None:
        rows = rows.where(corrupt.isNotNull() | (broken != "") | (empty != ""))
    else:
        rows = rows.join(known, _ROW, "left_anti")
    malformed = F.when(empty == "", F.lit("malformed: more or fewer values than columns")).otherwise(
        F.concat(F.lit("malformed: no value that fits in "), empty)
    )
    fitting = (
        F.when(broken != "", broken)
        .when(empty == "", F.lit("left out by the features"))
        .otherwise(F.concat(F.lit("missing: "), empty))
    )
    content = F.to_json(F.struct(*(column(name) for name in rows.columns if name not in (_ROW, _CORRUPT))))
    is_malformed = corrupt.isNotNull()
    return rows.select(
        _ROW,
        F.when(is_malformed, malformed).otherwise(fitting).alias("reason"),
        F.when(is_malformed, corrupt).otherwise(content).alias("record"),
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
