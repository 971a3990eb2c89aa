"""Draft of the data contract of a new pipeline, from the content of its CSV file.

Properties that later files must have, too, are errors: columns, types, classes of the target. Properties that later
files may well exceed, such as the least and greatest value, are warnings. A person tightens it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mlops.scaffold.columns import FEWEST_ROWS, Column
from mlops.specifications import EXPRESSION

_TYPES = {"IntegerType": "integer", "LongType": "integer", "DoubleType": "number", "StringType": "text"}
_MORE_MISSING = 0.05


def draft(columns: Sequence[Column], rows: int, target: str, task: str) -> dict[str, Any]:
    """Return the section data_contract."""
    return {
        "show_values": False,
        "rows": max(FEWEST_ROWS, rows // 2),
        "duplicates": {"limit": 0.01, "severity": "warning"},
        "drift": {"limit": 0.25, "severity": "warning"},
        "columns": {column.name: _rules(column, rows, column.name == target, task) for column in columns},
    }


def _rules(column: Column, rows: int, is_target: bool, task: str) -> dict[str, Any]:
    rules: dict[str, Any] = {"type": _TYPES[column.kind]}
    is_class = is_target and task == "classification"
    if is_class or (column.kind == "StringType" and column.values):
        if column.values and not any(EXPRESSION.search(value) for value in column.values):
            values: list[Any] = list(column.values)
            if column.kind != "StringType":
                values = sorted(_number(float(value)) for value in values)
            rules["allowed"] = values if is_class else {"limit": values, "severity": "warning"}
    elif column.least is not None and column.greatest is not None:
        rules["minimum"] = {"limit": _number(column.least), "severity": "warning"}
        rules["maximum"] = {"limit": _number(column.greatest), "severity": "warning"}
    missing_limit = math.ceil(round((column.missing / rows + _MORE_MISSING) * 100, 6)) / 100
    rules["missing"] = 0 if is_target and not column.missing else min(1.0, missing_limit)
    return rules


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
