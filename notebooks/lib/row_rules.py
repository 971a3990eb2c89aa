"""The contract's rules that a single row can break, as reasons to refuse it. Reasons have limits, and no values."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from .cells import Cell
from .measures import broken
from .rules import ERROR, ColumnRules, Rules

_KINDS = {"integer": "not a whole number", "number": "not a number"}


def reasons(cells: Sequence[Cell], rules: Rules) -> Column | None:
    """Return the reasons for which a row is refused, empty for none; None where no column has a rule.

    A rule that is a warning refuses nothing.
    """
    parts: list[Column] = []
    for cell in cells:
        own = rules.of(cell.name)
        conditions = broken(cell, rules)
        for name, condition in conditions.items():
            rule = getattr(own, name)
            if (ERROR if rule is None else rule.severity) == ERROR:
                parts.append(F.when(condition, _reason(name, cell, own)))
    return F.concat_ws("; ", *parts) if parts else None


def _reason(name: str, cell: Cell, own: ColumnRules) -> Column:
    if name == "type":
        other = F.lit(f"{_KINDS.get(cell.kind, f'no {cell.kind}')}: {cell.name}")
        return F.when(cell.too_large, F.lit(f"infinite: {cell.name}")).otherwise(other)
    rule = getattr(own, name)
    words = {"minimum": f"below {rule.text}", "maximum": f"above {rule.text}", "allowed": "not allowed"}
    return F.lit(f"{words[name]}: {cell.name}")
