"""The rules of a data contract, as the notebook's parameter `contract` has them: JSON of `steps/data_contract.py`.

That program has validated them, so that reading them here is plain. Without the parameter only the general rules hold:
the columns of the notebook's schema and their types, at least one row, and a target that varies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Rule:
    """A limit, and the consequence of a breach."""

    limit: Any
    severity: str = ERROR

    @property
    def text(self) -> str:
        """The limit for people."""
        if isinstance(self.limit, list):
            return ", ".join(map(str, self.limit))
        return f"{self.limit:g}" if isinstance(self.limit, float) else str(self.limit)


@dataclass(frozen=True)
class ColumnRules:
    """The rules of a column; None where there is none."""

    type: Rule | None = None
    required: Rule = Rule(True)
    minimum: Rule | None = None
    maximum: Rule | None = None
    allowed: Rule | None = None
    missing: Rule | None = None
    unique: Rule | None = None


@dataclass(frozen=True)
class Rules:
    """The rules of all columns, and of the whole."""

    columns: Mapping[str, ColumnRules] = field(default_factory=dict)
    target: str | None = None
    show_values: bool = False
    extra_columns: str = ERROR
    rows: Rule | None = None
    duplicates: Rule | None = None

    def of(self, column: str) -> ColumnRules:
        """Return the rules of a column; return the general ones when the contract does not name it."""
        return self.columns.get(column, ColumnRules())


def parse(contract: str) -> Rules:
    """Return the rules of the parameter's JSON, empty for none."""
    if not contract:
        return Rules()
    content: dict[str, Any] = json.loads(contract)
    columns = {name: _column(rules) for name, rules in content.get("columns", {}).items()}
    return Rules(
        columns,
        target=content.get("target"),
        show_values=bool(content.get("show_values", False)),
        extra_columns=content.get("extra_columns", ERROR),
        rows=_rule(content.get("rows")),
        duplicates=_rule(content.get("duplicates")),
    )


def _column(content: Mapping[str, Any]) -> ColumnRules:
    names = ("type", "minimum", "maximum", "allowed", "missing", "unique")
    rules = {name: _rule(content.get(name)) for name in names}
    if rules["unique"] is not None and not rules["unique"].limit:
        rules["unique"] = None
    return ColumnRules(**rules, required=_rule(content.get("required")) or Rule(True))


def _rule(content: Mapping[str, Any] | None) -> Rule | None:
    # Defaults are left out: the limit of a rule that is a flag, and the severity error.
    return None if content is None else Rule(content.get("limit", True), content.get("severity", ERROR))
