"""The cells of a table, evaluated once and kept: measures and features read them instead of the file.

Spark keeps the values in memory, and the rest of them on the disk where memory is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from .cells import Cell
from .rules import Rules

MALFORMED, HASH = "malformed", "hash"
"""Columns of the kept table: whether a row has the wrong number of values; the hash of the row."""


@dataclass(frozen=True)
class Evaluated:
    """`rows` has the values that `cells` name, and HASH where the rules limit duplicates."""

    rows: DataFrame
    cells: Sequence[Cell]

    @property
    def hashed(self) -> bool:
        return HASH in self.rows.columns

    def typed(self, schema: StructType) -> DataFrame:
        """Return the columns of the schema in its order; a wrong cell is null, as is a column that the table lacks."""
        values = {cell.name: cell.value for cell in self.cells}
        return self.rows.select(
            *(values.get(named.name, F.lit(None)).cast(named.dataType).alias(named.name) for named in schema.fields)
        )

    def release(self) -> None:
        """Forget the kept values. Spark would take them for the rows of any later read of the same file."""
        self.rows.unpersist()


def evaluate(rows: DataFrame, cells: Sequence[Cell], rules: Rules, malformed: Column | None = None) -> Evaluated:
    """Return the table of the cells' values, which Spark keeps from its first use until `release`.

    `malformed` is the condition of rows with the wrong number of values.
    """
    parts = [(F.lit(False) if malformed is None else malformed).alias(MALFORMED)]
    if rules.duplicates is not None:
        parts.append(_hash(cells).alias(HASH))
    evaluated: list[Cell] = []
    for index, cell in enumerate(cells):
        value, too_large, text = (f"{part}{index}" for part in ("value", "large", "text"))
        if cell.kind == "text":
            value = text  # it is the same, and kept once
        else:
            parts.append(cell.value.alias(value))
        parts.append(cell.too_large.alias(too_large))
        if needs_text(cell, rules):
            parts.append(cell.text.alias(text))
            typed = None
        else:
            # Only whether there is a text is kept: the column is null where it is missing.
            parts.append(F.when(cell.present.isNotNull(), F.lit(True)).alias(text))
            typed = F.col(text)
        evaluated.append(replace(cell, text=F.col(text), value=F.col(value), too_large=F.col(too_large), typed=typed))
    return Evaluated(rows.select(*parts).persist(), evaluated)


def needs_text(cell: Cell, rules: Rules) -> bool:
    """Return whether rows are counted by the texts of a column."""
    return not cell.is_number or rules.of(cell.name).unique is not None


def _hash(cells: Sequence[Cell]) -> Column:
    """Return a row's hash of 64 bits: of ten million different rows two agree in one of 300,000 files.

    A missing value has a text of its own: null would leave the hash unchanged.
    """
    return F.xxhash64(*(F.coalesce(cell.text, F.lit("\x00")) for cell in cells))
