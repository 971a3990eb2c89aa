"""Measures of a file's rows that are numbered, by Spark's aggregates instead of observations.

Spark observes rows one by one, through interfaces. An aggregate of Parquet's columns runs in generated code, for about
a tenth of the processor time. Columns of plain numbers need neither where the features keep them: the step `score`
reads them anyway, and measures them (steps/column_measures.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DecimalType, StructType

from .cells import Cell, cell, column
from .measures import ColumnMeasures, categories, observed, quantiles, sums
from .rules import Rules

ROW = "_row"
"""Column with a row's number in its file."""
_VALUE = "_value"
_TOGETHER = 20
"""Columns of one aggregate: the JVM compiles no method of more than 8,000 bytes, and sums of 30 columns take more."""


def row_hash(names: Iterable[str] = ()) -> Column:
    """Return the hash of a row's number, and of its values of some columns.

    A missing value has no part in it: it tells rows apart in which no value is missing.
    """
    return F.xxhash64(column(ROW), *map(column, names))


def sampled(hashes: Column, every: int) -> Column | None:
    """Return the condition of every n-th row by its number's hash; None where all rows are in the sample."""
    return F.pmod(hashes, F.lit(every)) == 0 if every > 1 else None


def source_cells(rows: DataFrame, schema: StructType, names: Iterable[str], rules: Rules) -> list[Cell]:
    """Return the cells of some columns by their schema, and by the contract's types."""
    kinds = {name: rules.of(name).type for name in names}
    return [cell(rows, name, schema[name], None if kind is None else str(kind.limit)) for name, kind in kinds.items()]


def valued(cells: Sequence[Cell]) -> tuple[list[Column], list[Cell]]:
    """Return columns of the cells' values, and the cells that read them, so that a row's value is computed once."""
    parts: list[Column] = []
    evaluated: list[Cell] = []
    for index, read_cell in enumerate(cells):
        name = f"{_VALUE}{index}"
        if not read_cell.fits:
            parts.append(read_cell.value.alias(name))
        evaluated.append(read_cell if read_cell.fits else replace(read_cell, value=F.col(name)))
    return parts, evaluated


def plain_numbers(cells: Sequence[Cell], schema: StructType) -> dict[str, str]:
    """Return the kinds of the columns of numbers of 64 bits at most, by their names."""
    return {
        read_cell.name: read_cell.kind
        for read_cell in cells
        if read_cell.is_number and not isinstance(schema[read_cell.name].dataType, DecimalType)
    }


def measure(rows: DataFrame, cells: Sequence[Cell], every: int) -> dict[str, ColumnMeasures]:
    """Return the measures of columns of numbered rows. Quantiles are of every n-th row."""
    parts, evaluated = valued(cells)
    table = rows.select("*", *parts)
    values: dict[str, Any] = {}
    for start in range(0, len(evaluated), _TOGETHER):
        values |= _first(table, sums(evaluated[start : start + _TOGETHER], None, start))
    if points := quantiles(evaluated):
        sample = table if (condition := sampled(row_hash(), every)) is None else table.where(condition)
        values |= _first(sample, points)
    return observed(evaluated, values, categories(rows, cells))


def _first(rows: DataFrame, aggregates: Sequence[Column]) -> dict[str, Any]:
    (row,) = rows.agg(*aggregates).collect()
    return dict(row.asDict())
