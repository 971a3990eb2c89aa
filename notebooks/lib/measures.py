"""Measures of the data, counted by one action of Spark, which reads the table once.

Counts, bounds and quantiles are aggregates that are observed while the rows go by. Duplicates and categories need
groups, which the same action makes from each row's hash and from texts, where a rule or a category needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame, Observation, Row, Window
from pyspark.sql import functions as F

from .cells import Cell
from .evaluation import HASH, MALFORMED, Evaluated, needs_text
from .rules import Rules

MOST_CATEGORIES = 50
_POINTS = 400
_PROBABILITIES = [point / _POINTS for point in range(_POINTS + 1)]
_ACCURACY = 10_000
Categories = tuple[tuple[str, int], ...]
"""Values, with their rows."""
_WHOLE_ROW, _BETWEEN = -1, ","
_SUMS = 0
"""Rank of a key's sums; its values have ranks from 1."""


@dataclass(frozen=True)
class ColumnMeasures:
    """A column. `quantiles` are evenly spaced, the least and greatest value included."""

    kind: str
    count: int
    missing: int
    wrong: int = 0
    too_large: int = 0
    """Wrong cells that are numbers."""
    below: int = 0
    above: int = 0
    not_allowed: int = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    quantiles: tuple[float, ...] = ()
    repeated: int = 0
    """Rows with a value that a row before has; counted where a rule or the categories need it."""
    distinct: int = 0
    categories: Categories = ()
    """The most frequent values, with their rows."""

    @property
    def varies(self) -> bool:
        """Whether there are two different values."""
        return self.minimum != self.maximum if self.kind in ("integer", "number") else self.distinct > 1


@dataclass(frozen=True)
class Measures:
    """The table. `malformed` rows have more or fewer values than there are columns."""

    rows: int
    malformed: int
    duplicates: int
    columns: Mapping[str, ColumnMeasures] = field(default_factory=dict)


def broken(cell: Cell, rules: Rules) -> dict[str, Column]:
    """Return, by the name of the rule, the condition that a cell meets which breaks it."""
    own = rules.of(cell.name)
    conditions: dict[str, Column] = {"type": cell.wrong}
    if own.minimum is not None and cell.is_number:
        conditions["minimum"] = cell.value < own.minimum.limit
    if own.maximum is not None and cell.is_number:
        conditions["maximum"] = cell.value > own.maximum.limit
    if own.allowed is not None:
        value = cell.value.cast("double") if cell.is_number else cell.text
        limits = [float(limit) if cell.is_number else str(limit) for limit in own.allowed.limit]
        conditions["allowed"] = ~value.isin(limits)
    return {name: F.coalesce(condition, F.lit(False)) for name, condition in conditions.items()}


def measure(table: Evaluated, rules: Rules) -> Measures:
    """Count everything."""
    cells, passing = table.cells, Observation("rows")
    counted = [_count(F.col(MALFORMED)).alias("malformed"), *aggregates(cells, rules)]
    different = F.count_distinct(F.col(HASH)) if table.hashed else F.count(F.lit(1))
    whole = table.rows.observe(passing, *counted).agg(different.alias("distinct"))
    counts = _sums(whole, key=F.lit(_WHOLE_ROW), rows=F.lit(None))
    if keys := [_key(index, cell) for index, cell in enumerate(cells) if needs_text(cell, rules)]:
        groups = _groups(table.rows, keys)
        distinct = groups.groupBy("key").agg(F.sum("rows").alias("rows"), F.count(F.lit(1)).alias("distinct"))
        counts = counts.union(_sums(distinct, key=F.col("key"), rows=F.col("rows"))).union(_ranked(groups))
    collected = counts.collect()
    sums = {row["key"]: row for row in collected if row["rank"] == _SUMS}
    different_rows = sums.pop(_WHOLE_ROW)["distinct"]
    if not different_rows:
        # Spark drops the observations of an empty table, and reading one would never end.
        return Measures(0, 0, 0, {cell.name: ColumnMeasures(cell.kind, 0, 0) for cell in cells})
    seen: dict[str, Any] = dict(passing.get)
    for key, row in sums.items():
        seen |= {f"repeated{key}": row["rows"] - row["distinct"], f"distinct{key}": row["distinct"]}
    return Measures(
        rows=seen["rows"] or 0,
        malformed=seen["malformed"] or 0,
        duplicates=seen["rows"] - different_rows if table.hashed else 0,
        columns=observed(cells, seen, _by_key(row for row in collected if row["rank"] != _SUMS)),
    )


def aggregates(cells: Sequence[Cell], rules: Rules | None, sampled: Column | None = None) -> list[Column]:
    """Return the observed aggregates of the columns and the number of rows.

    Without `rules`, breaches are not counted. `sampled` is the condition of the rows from which the quantiles are made;
    None for all rows.
    """
    return [*sums(cells, rules), *quantiles(cells, sampled)]


def sums(cells: Sequence[Cell], rules: Rules | None, first: int = 0) -> list[Column]:
    """Return the aggregates but the quantiles. Spark generates code for all of them, which it does for no quantile.

    `first` is the position of the first cell among the columns.
    """
    counted = [F.count(F.lit(1)).alias("rows")]
    for index, cell in enumerate(cells, first):
        counted += [aggregate.alias(f"{name}{index}") for name, aggregate in _aggregates(cell, rules).items()]
    return counted


def quantiles(cells: Sequence[Cell], sampled: Column | None = None) -> list[Column]:
    """Return the quantiles of the columns of numbers, of all rows or of the sampled ones."""
    # One literal of all probabilities: Spark would analyze an array of hundreds of literals for each column.
    probabilities = F.lit(np.array(_PROBABILITIES))
    return [
        _quantile_texts(cell, probabilities, sampled).alias(f"quantiles{index}")
        for index, cell in enumerate(cells)
        if cell.is_number
    ]


def observed(
    cells: Sequence[Cell], seen: Mapping[str, Any], frequent: Mapping[int, Categories]
) -> dict[str, ColumnMeasures]:
    """Return the columns' measures. `seen` has the values of `aggregates`; `frequent` the categories by position."""
    return {cell.name: _column(cell, seen, index, frequent.get(index, ())) for index, cell in enumerate(cells)}


def categories(rows: DataFrame, cells: Sequence[Cell]) -> dict[int, Categories]:
    """Return the most frequent values of each column that is not of numbers, by its position. Reads the rows again."""
    keys = [_key(index, cell) for index, cell in enumerate(cells) if not cell.is_number]
    return _by_key(_ranked(_groups(rows, keys)).collect()) if keys else {}


def _key(index: int, cell: Cell) -> Column:
    return F.struct(F.lit(index).alias("key"), cell.category.alias("value"))


def _groups(rows: DataFrame, keys: Sequence[Column]) -> DataFrame:
    """Return how many rows have each value: a row for each key and value that is not null."""
    exploded = rows.select(F.explode(F.array(*keys)).alias("cell")).where("cell.value is not null")
    return exploded.groupBy("cell.key", "cell.value").agg(F.count(F.lit(1)).alias("rows"))


def _sums(groups: DataFrame, *, key: Column, rows: Column) -> DataFrame:
    """Return the numbers of rows and different values of keys, in the columns of `_ranked`."""
    value = F.lit(None).cast("string")
    return groups.select(
        key.alias("key"), value.alias("value"), rows.cast("long").alias("rows"), "distinct", F.lit(_SUMS).alias("rank")
    )


def _ranked(groups: DataFrame) -> DataFrame:
    """Return the most frequent values of each key with their ranks."""
    order = Window.partitionBy("key").orderBy(F.col("rows").desc(), F.col("value"))
    ranked = groups.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= MOST_CATEGORIES)
    return ranked.select("key", "value", "rows", F.lit(None).cast("long").alias("distinct"), "rank")


def _by_key(ranked: Iterable[Row]) -> dict[int, Categories]:
    frequent: dict[int, list[tuple[str, int]]] = {}
    for row in sorted(ranked, key=lambda row: row["rank"]):
        frequent.setdefault(row["key"], []).append((row["value"], row["rows"]))
    return {key: tuple(values) for key, values in frequent.items()}


def _aggregates(cell: Cell, rules: Rules | None) -> dict[str, Column]:
    aggregates = {"present": F.count(cell.present)}
    if not cell.fits:
        aggregates["value"] = F.count(cell.value)
    if rules is not None:
        aggregates["too_large"] = _count(cell.too_large)
        aggregates |= {name: _count(condition) for name, condition in broken(cell, rules).items() if name != "type"}
    if cell.is_number:
        number = cell.value.cast("double")
        aggregates |= {"least": F.min(number), "greatest": F.max(number), "sum": F.sum(number)}
    return aggregates


def _quantile_texts(cell: Cell, probabilities: Column, sampled: Column | None) -> Column:
    """Return the quantiles as one text: an observation hands arrays on as Java objects."""
    number = cell.value.cast("double")
    wanted = number if sampled is None else F.when(sampled, number)
    quantiles = F.percentile_approx(wanted, probabilities, _ACCURACY)
    return F.array_join(quantiles.cast("array<string>"), _BETWEEN)


def _column(cell: Cell, measures: Mapping[str, Any], index: int, frequent: Categories) -> ColumnMeasures:
    def number(name: str) -> int:
        return int(measures.get(f"{name}{index}") or 0)

    count, total = number("present" if cell.fits else "value"), measures.get(f"sum{index}")
    return ColumnMeasures(
        kind=cell.kind,
        count=count,
        missing=int(measures["rows"] or 0) - number("present"),
        wrong=number("present") - count,
        too_large=number("too_large"),
        below=number("minimum"),
        above=number("maximum"),
        not_allowed=number("allowed"),
        minimum=measures.get(f"least{index}"),
        maximum=measures.get(f"greatest{index}"),
        mean=None if total is None else total / count,
        quantiles=_quantiles(
            measures.get(f"quantiles{index}") or "", measures.get(f"least{index}"), measures.get(f"greatest{index}")
        ),
        repeated=number("repeated"),
        distinct=number("distinct"),
        categories=() if cell.is_number else frequent,
    )


def _quantiles(text: str, least: float | None, greatest: float | None) -> tuple[float, ...]:
    """Return the quantiles of a column's text; quantiles of a sample, too, begin and end with all rows' extremes."""
    values = [float(value) for value in text.split(_BETWEEN) if value]
    if not values or least is None or greatest is None:
        return ()
    return (least, *values[1:-1], greatest)


def _count(condition: Column) -> Column:
    return F.count(F.when(condition, 1))
