"""What the data are, counted in one pass: one action of Spark, whose first stage reads the table once.

Counts, bounds and quantiles are aggregates that are observed while the rows go by. Duplicates and categories need
groups, which the same action makes of each row's hash and texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import Column, DataFrame, Observation, Window
from pyspark.sql import functions as F

from .cells import Cell
from .rules import Rules

MOST_CATEGORIES = 50
_POINTS = 400
_PROBABILITIES = [point / _POINTS for point in range(_POINTS + 1)]
_ACCURACY = 10_000
_WHOLE_ROW, _BETWEEN, _MALFORMED = -1, ",", "malformed"


@dataclass(frozen=True)
class ColumnMeasures:
    """A column. `quantiles` are evenly spaced, the least and greatest value included."""

    kind: str
    count: int
    missing: int
    wrong: int = 0
    too_large: int = 0
    """Of the wrong ones, those that are numbers."""
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
    categories: tuple[tuple[str, int], ...] = ()
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


def measure(rows: DataFrame, cells: Sequence[Cell], rules: Rules, malformed: Column | None = None) -> Measures:
    """Count everything. `malformed` is the condition of rows with the wrong number of values."""
    passing, grouping = Observation("rows"), Observation("groups")
    malformed = F.lit(False) if malformed is None else malformed
    rows, cells = _evaluated(rows, cells, malformed)
    counted: list[Column] = [
        F.count(F.lit(1)).alias("rows"),
        _count(F.col(_MALFORMED)).alias("malformed"),
    ]
    for index, cell in enumerate(cells):
        counted += [aggregate.alias(f"{name}{index}") for name, aggregate in _aggregates(cell, rules).items()]
    grouped_cells = [index for index, cell in enumerate(cells) if not cell.is_number or rules.of(cell.name).unique]
    keys = [F.struct(F.lit(_WHOLE_ROW).alias("key"), _hash(cells).alias("value"))]
    keys += [F.struct(F.lit(index).alias("key"), cells[index].text.alias("value")) for index in grouped_cells]
    groups = (
        rows.observe(passing, *counted)
        .select(F.explode(F.array(*keys)).alias("cell"))
        .where("cell.value is not null")
        .groupBy("cell.key", "cell.value")
        .agg(F.count(F.lit(1)).alias("rows"))
    )
    sums: list[Column] = []
    for key in (_WHOLE_ROW, *grouped_cells):
        sums.append(F.sum(F.when(F.col("key") == key, F.col("rows") - 1)).alias(f"repeated{key}"))
        sums.append(F.sum(F.when(F.col("key") == key, 1)).alias(f"distinct{key}"))
    order = Window.partitionBy("key").orderBy(F.col("rows").desc(), F.col("value"))
    top = groups.observe(grouping, *sums).withColumn("rank", F.row_number().over(order))
    frequent = top.where(F.col("rank") <= MOST_CATEGORIES).collect()
    if not frequent:
        # Every row has a group. Spark drops the observations of an empty table, and reading one would never end.
        return Measures(0, 0, 0, {cell.name: ColumnMeasures(cell.kind, 0, 0) for cell in cells})
    frequent.sort(key=lambda row: row["rank"])
    seen, repeated = passing.get, grouping.get
    return Measures(
        rows=seen["rows"] or 0,
        malformed=seen["malformed"] or 0,
        duplicates=repeated.get(f"repeated{_WHOLE_ROW}") or 0,
        columns={
            cell.name: _column(
                cell,
                seen,
                repeated,
                index,
                tuple((row["value"], row["rows"]) for row in frequent if row["key"] == index),
            )
            for index, cell in enumerate(cells)
        },
    )


def _evaluated(rows: DataFrame, cells: Sequence[Cell], malformed: Column) -> tuple[DataFrame, list[Cell]]:
    """Return the table with a column for each part of each cell, so that each is computed once for all aggregates."""
    parts: list[Column] = [malformed.alias(_MALFORMED)]
    evaluated: list[Cell] = []
    for index, cell in enumerate(cells):
        text, value, too_large = (f"{part}{index}" for part in ("text", "value", "large"))
        parts += [cell.text.alias(text), cell.value.alias(value), cell.too_large.alias(too_large)]
        evaluated.append(replace(cell, text=F.col(text), value=F.col(value), too_large=F.col(too_large)))
    return rows.select(*parts), evaluated


def _aggregates(cell: Cell, rules: Rules) -> dict[str, Column]:
    aggregates = {
        "present": F.count(cell.text),
        "value": F.count(cell.value),
        "too_large": _count(cell.too_large),
    }
    aggregates |= {name: _count(condition) for name, condition in broken(cell, rules).items() if name != "type"}
    if cell.is_number:
        number = cell.value.cast("double")
        aggregates |= {
            "least": F.min(number),
            "greatest": F.max(number),
            "mean": F.avg(number),
            # As text: an observation hands arrays on as Java objects.
            "quantiles": F.array_join(
                F.percentile_approx(number, _PROBABILITIES, _ACCURACY).cast("array<string>"), _BETWEEN
            ),
        }
    return aggregates


def _column(
    cell: Cell, seen: Mapping[str, Any], repeated: Mapping[str, Any], index: int, frequent: tuple[tuple[str, int], ...]
) -> ColumnMeasures:
    def number(name: str) -> int:
        return int(seen.get(f"{name}{index}") or 0)

    return ColumnMeasures(
        kind=cell.kind,
        count=number("value"),
        missing=int(seen["rows"] or 0) - number("present"),
        wrong=number("present") - number("value"),
        too_large=number("too_large"),
        below=number("minimum"),
        above=number("maximum"),
        not_allowed=number("allowed"),
        minimum=seen.get(f"least{index}"),
        maximum=seen.get(f"greatest{index}"),
        mean=seen.get(f"mean{index}"),
        quantiles=tuple(map(float, filter(None, (seen.get(f"quantiles{index}") or "").split(_BETWEEN)))),
        repeated=int(repeated.get(f"repeated{index}") or 0),
        distinct=int(repeated.get(f"distinct{index}") or 0),
        categories=() if cell.is_number else frequent,
    )


def _count(condition: Column) -> Column:
    return F.count(F.when(condition, 1))


def _hash(cells: Sequence[Cell]) -> Column:
    """Return a row's hash as text, of 64 bits: of ten million different rows two agree in one of 300,000 files.

    A missing value has a text of its own: null would leave the hash as it is.
    """
    return F.xxhash64(*(F.coalesce(cell.text, F.lit("\x00")) for cell in cells)).cast("string")
