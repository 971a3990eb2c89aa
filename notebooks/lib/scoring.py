"""Features of a CSV file without the target for a model, by the training notebook's own function.

A row that cannot be used does not end the read, as it does in training: it is refused with a reason, so that every row
of the file is either prepared or refused. All rows that fit are measured, as training measures its data: columns that
the features change by the action that writes them, and plain numbers that they keep by the step that scores the rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from .cells import Cell, column
from .csv_source import DataError, explain, plain_errors, read_errors
from .measures import ColumnMeasures, aggregates, categories, observed
from .row_measures import ROW, measure, plain_numbers, row_hash, sampled, source_cells, valued
from .row_rules import reasons, refused
from .rules import Rules, parse
from .scored_file import (
    CORRUPT,
    Columns,
    Head,
    RefusedFileError,
    even_parts,
    fits,
    fitting_rows,
    read_head,
    read_rows,
)

__all__ = ["Columns", "Counts", "RefusedFileError", "prepare"]

ROWS, REFUSED, COUNTS = "rows", "refused", "counts"
"""Folders of the output: features and keys; rows that are refused, with reasons; how many there are of each, with the
measures of the columns. Of a column that the step `score` has to measure, there is the kind alone."""
FAILED = "failed"
"""Folder in their place: why the file cannot be used, and whether that is the file's own fault (`refused`)."""
_LIST = ".json"
_CARRIED = "_carried"
_BROKEN, _EMPTY, _FITS, _HASH = "_broken", "_empty", "_fits", "_hash"
_VALUE = "_value"
"""Prefix, before a position, of the refused rows' columns of numbers that the step `score` has to measure."""
_KEPT, _VALUES = "_kept", "_dataopsml_values"
_UNCHANGED = "dataopsml.unchanged"
"""Key of the metadata of a column that a plan hands on: an expression of the column has none."""
_NOT_MEASURED = ("too_large", "below", "above", "not_allowed", "repeated", "distinct")
"""Measures of the training data's check alone: here, rows that break a rule are counted by their reasons."""
SAMPLED_ROWS = 100_000
"""Rows from which quantiles are made, at least: shares of a distribution are exact to a third of a percent, in two
samples of three to half of that. Files with up to twice as many rows are measured whole."""
_NOT_CSV = "com.univocity.parsers.common.TextParsingException"
"""Exception of Spark's parser for a text that it cannot split, such as a row of more than 20,480 values."""


@dataclass(frozen=True)
class Counts:
    """Rows of the file, rows that became features, and rows that were refused."""

    read: int
    kept: int
    refused: int


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
    head = read_head(spark, input_uri)
    with even_parts(spark, head.size):
        return _prepare_rows(spark, input_uri, output_uri, columns, features, rules, head)


def _prepare_rows(
    spark: SparkSession,
    input_uri: str,
    output_uri: str,
    columns: Columns,
    features: Callable[[DataFrame], DataFrame],
    rules: Rules,
    head: Head,
) -> Counts:
    rows = read_rows(spark, input_uri, columns, head.names)
    cells = source_cells(rows, columns.schema, columns.needed, rules)
    every = max(1, head.rows // SAMPLED_ROWS)
    feature_rows = _features(rows, cells, columns, features, rules, every)
    # The second version of Parquet's pages holds rows' numbers as differences: the files have a third less bytes.
    feature_rows.rows.write.option("parquet.writer.version", "v2").mode("overwrite").parquet(f"{output_uri}/{ROWS}")
    read, kept = feature_rows.read.get, feature_rows.kept.get
    total = read["rows"]
    if total == 0:
        raise RefusedFileError(f"{input_uri}: there is not a single row.")
    written, number, fitting = kept[_KEPT], 0, 0
    as_read = all(kept[name] == read[name] for name in (_KEPT, _VALUES))
    unchanged = [read_cell for read_cell in cells if read_cell.name in feature_rows.unchanged]
    numbers = plain_numbers(unchanged, columns.schema) if as_read else {}
    if written < total or not as_read:
        known = None if as_read else _written(feature_rows, output_uri).select(ROW)
        gone = Observation("gone")
        counted = F.count(F.lit(1)).alias("rows"), F.count(F.when(F.col(_FITS), 1)).alias("fitting")
        left = _refused(rows, cells, columns, rules, known, numbers).observe(gone, *counted)
        left.write.mode("overwrite").parquet(f"{output_uri}/{REFUSED}")
        number, fitting = gone.get["rows"], gone.get["fitting"]
    if written + number != total:
        raise DataError(
            f"{input_uri}: of {total} rows {written} became features and {number} were refused: the features have to "
            "be a row for each row that they keep."
        )
    counts = Counts(total, written, number)
    if as_read:
        others = [read_cell.name for read_cell in unchanged if read_cell.name not in numbers]
        measured = _measured(
            output_uri, others, rows, cells, columns, feature_rows, rules, every, refused_fit=fitting > 0
        )
    else:
        # The features leave out rows, or change a column in a way that Spark's plan does not show.
        measured = measure(fitting_rows(rows, columns), cells, every)
    content = {
        name: {"kind": numbers[name]} if name in numbers else _measures(measured[name]) for name in columns.needed
    }
    _write_json(spark, f"{output_uri}/{COUNTS}", asdict(counts) | {"measures": json.dumps(content)})
    return counts


@dataclass(frozen=True)
class _Features:
    """Rows of features to be written, and the observations that are made with it.

    `evaluated`: the file's rows with their facts; `unchanged`: columns that the features keep; `observed`: the other
    ones, with their measures; `read` and `kept`: numbers and checksums of the file's rows and of the features.
    """

    rows: DataFrame
    evaluated: DataFrame
    unchanged: list[str]
    observed: list[Cell]
    read: Observation
    kept: Observation
    measures: Observation


def _features(
    rows: DataFrame,
    cells: Sequence[Cell],
    columns: Columns,
    features: Callable[[DataFrame], DataFrame],
    rules: Rules,
    every: int,
) -> _Features:
    """Return the features of the rows that fit, break no rule and are not left out.

    Columns that the features change are measured from the file's rows as they go by. The plan shows whether a column
    is changed; the checksum of the values tells whether the plan is right.
    """
    evaluated, evaluated_cells = _evaluated(rows, cells, columns, rules)
    feature_rows, unchanged = _apply(features, evaluated.where(fits() & ~F.col(_BROKEN)), columns)
    others = [read_cell for read_cell in evaluated_cells if read_cell.name not in unchanged]
    read, kept, measures = Observation("read"), Observation("kept"), Observation("measures")
    # Observations look each value up by interfaces, and every time that an expression names it: they get few columns.
    complete = fits() & ~F.col(_BROKEN) & ~F.col(_EMPTY)
    hashed = evaluated.withColumn(_VALUES, F.when(complete, row_hash(unchanged)))
    fitting = hashed.observe(read, F.count(F.lit(1)).alias("rows"), *_total(F.col(_VALUES))).where(fits())
    if others:
        fitting = fitting.observe(measures, *aggregates(others, None, sampled(F.col(_HASH), every)))
    feature_rows, _ = _apply(features, fitting.where(~F.col(_BROKEN)), columns)
    hashed_rows = feature_rows.withColumn(_VALUES, row_hash(unchanged))
    kept_rows = hashed_rows.observe(kept, *_total(F.col(_VALUES))).drop(_VALUES)
    return _Features(kept_rows, evaluated, unchanged, others, read, kept, measures)


def _written(feature_rows: _Features, output_uri: str) -> DataFrame:
    """Return the written rows, without a look into their files."""
    rows = feature_rows.rows
    return rows.sparkSession.read.schema(rows.schema).parquet(f"{output_uri}/{ROWS}")


def _measured(
    output_uri: str,
    unchanged: Sequence[str],
    rows: DataFrame,
    cells: Sequence[Cell],
    columns: Columns,
    feature_rows: _Features,
    rules: Rules,
    every: int,
    *,
    refused_fit: bool,
) -> dict[str, ColumnMeasures]:
    """Return the measures of all rows that fit: `unchanged` columns from the written rows, and from the refused ones.

    Those columns are not of plain numbers. `refused_fit`: whether there are refused rows that fit. It takes another
    read of the file to measure them.
    """
    measured: dict[str, ColumnMeasures] = {}
    if unchanged:
        chosen = [*map(column, unchanged), column(ROW)]
        same = _written(feature_rows, output_uri).select(*chosen)
        if refused_fit:
            refused_rows = feature_rows.evaluated.where(fits() & (F.col(_BROKEN) | F.col(_EMPTY)))
            same = same.union(refused_rows.select(*chosen))
        measured = measure(same, source_cells(same, columns.schema, unchanged, rules), every)
    if feature_rows.observed:
        others = [read_cell for read_cell in cells if read_cell.name not in feature_rows.unchanged]
        frequent = categories(fitting_rows(rows, columns), others)
        measured |= observed(feature_rows.observed, feature_rows.measures.get, frequent)
    return measured


def _evaluated(rows: DataFrame, cells: Sequence[Cell], columns: Columns, rules: Rules) -> tuple[DataFrame, list[Cell]]:
    """Return the rows with a column for each fact that aggregates and filter need, so that each is computed once.

    Facts are values, whether a row breaks a rule, whether it lacks a value, and the hash of its number.
    """
    parts, evaluated = valued(cells)
    names = dict.fromkeys([*columns.needed, *columns.keys, ROW, CORRUPT])
    valued_rows = rows.select(*map(column, names), *parts)
    empty = reduce(Column.__or__, (column(name).isNull() for name in columns.needed), F.lit(False))
    facts = (refused(evaluated, rules).alias(_BROKEN), empty.alias(_EMPTY), row_hash().alias(_HASH))
    return valued_rows.select("*", *facts), evaluated


def _total(hashes: Column) -> list[Column]:
    """Return the number and the checksum of rows, by their hashes: two sets of rows that agree are the same."""
    return [F.count(hashes).alias(_KEPT), F.coalesce(F.bit_xor(hashes), F.lit(0)).alias(_VALUES)]


def _measures(profile: ColumnMeasures) -> dict[str, object]:
    """Return the measures that the score step hands on."""
    return {name: value for name, value in asdict(profile).items() if name not in _NOT_MEASURED}


def _apply(
    features: Callable[[DataFrame], DataFrame], rows: DataFrame, columns: Columns
) -> tuple[DataFrame, list[str]]:
    """Return the features, the number of each row, and its keys as _key_0, _key_1 and so on; and unchanged columns.

    Number and keys go through the function as one column, which is never null: it drops no row for a missing key.
    """
    keys = [column(name).alias(f"_key_{index}") for index, name in enumerate(columns.keys)]
    sources = [column(name).alias(name, metadata={_UNCHANGED: name}) for name in columns.needed]
    input_rows = rows.select(*sources, F.struct(column(ROW).alias(ROW), *keys).alias(_CARRIED))
    try:
        feature_rows = features(input_rows)
    except AnalysisException as error:
        raise DataError(
            f"the features cannot be made of rows without the target {columns.target}: {_first_line(error)}"
        ) from error
    if _CARRIED not in feature_rows.columns:
        raise DataError("the features leave out a column that they do not know: they have to keep all columns.")
    own = [field for field in feature_rows.schema.fields if field.name != _CARRIED]
    unchanged = [
        field.name
        for field in own
        if field.metadata.get(_UNCHANGED) == field.name and field.dataType == columns.schema[field.name].dataType
    ]
    kept = [column(field.name) for field in own]
    carried = [F.col(_CARRIED)[name].alias(name) for name in (ROW, *(f"_key_{i}" for i in range(len(keys))))]
    return feature_rows.select(*kept, *carried), [name for name in columns.needed if name in unchanged]


def _refused(
    rows: DataFrame,
    cells: Sequence[Cell],
    columns: Columns,
    rules: Rules,
    known: DataFrame | None,
    numbers: Iterable[str],
) -> DataFrame:
    """Return the rows that are not among the prepared ones: number, reason, the row itself as text, and _FITS.

    `known` has the numbers of the prepared rows; None where the others are just the rows that are malformed, break a
    rule or lack a value. `numbers` are columns that are handed on unchanged.
    """
    corrupt, broken = column(CORRUPT), reasons(cells, rules)
    empty = F.concat_ws(", ", *(F.when(column(name).isNull(), F.lit(name)) for name in columns.needed))
    if known is None:
        rows = rows.where(corrupt.isNotNull() | (broken != "") | (empty != ""))
    else:
        rows = rows.join(known, ROW, "left_anti")
    malformed = F.when(empty == "", F.lit("malformed: more or fewer values than columns")).otherwise(
        F.concat(F.lit("malformed: no value that fits in "), empty)
    )
    fitting = (
        F.when(broken != "", broken)
        .when(empty == "", F.lit("left out by the features"))
        .otherwise(F.concat(F.lit("missing: "), empty))
    )
    content = F.to_json(F.struct(*(column(name) for name in rows.columns if name not in (ROW, CORRUPT))))
    is_malformed = corrupt.isNotNull()
    return rows.select(
        ROW,
        F.when(is_malformed, malformed).otherwise(fitting).alias("reason"),
        F.when(is_malformed, corrupt).otherwise(content).alias("record"),
        (~is_malformed).alias(_FITS),
        *(column(name).alias(f"{_VALUE}{index}") for index, name in enumerate(numbers)),
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
