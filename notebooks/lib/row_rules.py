"""The contract's rules that a single row can break, as reasons to refuse it. Reasons have limits, and no values."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from .cells import Cell
from .measures import broken
from .rules import ERROR, ColumnRules, Rules

_KINDS = {"integer": "not a whole number", "number": "not a number"}


def reasons(cells: Sequence[Cell], rules: Rules) -> Column:
    """Return the reasons for which a row is refused, empty for none.

    A rule that is a warning refuses nothing.
    """
    parts = [
        F.when(condition, _reason(name, cell, rules.of(cell.name)))
        for cell in cells
        for name, condition in _errors(cell, rules)
    ]
    return F.concat_ws("; ", *parts) if parts else F.lit("")


def refused(cells: Sequence[Cell], rules: Rules) -> Column:
    """Return whether a row has a reason. It is much cheaper than the reasons, which few rows need."""
    conditions = [condition for cell in cells for condition in _conditions(cell, rules)]
    return reduce(Column.__or__, conditions, F.lit(False))


def _conditions(cell: Cell, rules: Rules) -> list[Column]:
    """Return conditions of which one is met where a cell has a reason.

    Of floating-point numbers, two comparisons hold for the bounds and for infinity. The JVM compiles no method of more
    than 8,000 bytes, and a condition for each rule takes 600 bytes of a column.
    """
    errors = dict(_errors(cell, rules))
    if cell.double is None or "type" not in errors or "allowed" in errors:
        return list(errors.values())
    own, largest = rules.of(cell.name), sys.float_info.max
    lower = float(own.minimum.limit) if own.minimum is not None and "minimum" in errors else -largest
    upper = float(own.maximum.limit) if own.maximum is not None and "maximum" in errors else largest
    number = F.coalesce(F.nanvl(cell.double, F.lit(lower)), F.lit(lower))
    return [number < lower, number > upper]


def _errors(cell: Cell, rules: Rules) -> Iterator[tuple[str, Column]]:
    """Yield the rules that refuse a row, and the condition of a cell that breaks each."""
    own = rules.of(cell.name)
    for name, condition in broken(cell, rules).items():
        rule = getattr(own, name)
        if (ERROR if rule is None else rule.severity) == ERROR and not (name == "type" and cell.fits):
            yield name, condition


def _reason(name: str, cell: Cell, own: ColumnRules) -> Column:
    if name == "type":
        other = F.lit(f"{_KINDS.get(cell.kind, f'no {cell.kind}')}: {cell.name}")
        return F.when(cell.too_large, F.lit(f"infinite: {cell.name}")).otherwise(other)
    rule = getattr(own, name)
    words = {"minimum": f"below {rule.text}", "maximum": f"above {rule.text}", "allowed": "not allowed"}
    return F.lit(f"{words[name]}: {cell.name}")
