"""The functions that exist in every expression, and the conversions between types.

Source: learn.microsoft.com "Azure Pipelines expressions", sections Functions and Type casting. Strings compare without
case; the right side is cast to the left side's type, and a value that cannot be cast is not equal. Every string but the
empty one is true.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline_runner.errors import ExpressionError

Value = Any


def truth(value: Value) -> bool:
    """Return a value as a boolean: every string but the empty one is true, 'false' too."""
    return value not in (None, "", False, 0)


def text(value: Value) -> str:
    """Return a value as a string: True and False with a capital, null empty. Raises ExpressionError for objects."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping | list | tuple):
        raise ExpressionError("an object or a list cannot be a string: use convertToJson or join")
    return str(value)


def number(value: Value) -> float:
    """Return a value as a number. Raises ExpressionError when it is none."""
    if value is None or value == "":
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        written = str(value).strip()
        return float(int(written, 16)) if written.lower().startswith("0x") else float(written)
    except ValueError as error:
        raise ExpressionError(f"Unable to convert from String to Number. Value: {value!r}") from error


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are equal, the right one cast to the left one's type."""
    if isinstance(left, bool):
        return left == truth(right)
    try:
        if isinstance(left, int | float):
            return float(left) == number(right)
        if left is None:
            return right is None or right == ""
        if isinstance(left, Mapping | list | tuple):
            return left is right
        return text(left).lower() == text(right).lower()
    except ExpressionError:
        return False


def _order(left: Value, right: Value) -> int:
    if isinstance(left, bool | int | float):
        first, second = number(left), number(right)
        return (first > second) - (first < second)
    before, after = text(left).lower(), text(right).lower()
    return (before > after) - (before < after)


def _contains(where: Value, element: Value) -> bool:
    return text(element).lower() in text(where).lower()


def _contains_value(where: Value, element: Value) -> bool:
    values = where.values() if isinstance(where, Mapping) else where if isinstance(where, Sequence) else []
    return any(equal(value, element) for value in values)


def _format(pattern: Value, *values: Value) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        position = int(match[1])
        if position >= len(values):
            raise ExpressionError(f"format() has no argument {position} for {pattern!r}.")
        return text(values[position])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}", replace, text(pattern))


def _join(separator: Value, values: Value) -> str:
    return text(separator).join(text(value) for value in values) if isinstance(values, list | tuple) else text(values)


def _length(value: Value) -> int:
    return len(value) if isinstance(value, Mapping | list | tuple) else len(text(value))


TABLE: Mapping[str, Callable[..., Value]] = {
    "and": lambda first, second, *more: all(truth(value) for value in (first, second, *more)),
    "or": lambda first, second, *more: any(truth(value) for value in (first, second, *more)),
    "not": lambda value: not truth(value),
    "xor": lambda first, second: truth(first) != truth(second),
    "eq": equal,
    "ne": lambda left, right: not equal(left, right),
    "in": lambda left, first, *more: any(equal(left, value) for value in (first, *more)),
    "notin": lambda left, first, *more: not any(equal(left, value) for value in (first, *more)),
    "lt": lambda left, right: _order(left, right) < 0,
    "le": lambda left, right: _order(left, right) <= 0,
    "gt": lambda left, right: _order(left, right) > 0,
    "ge": lambda left, right: _order(left, right) >= 0,
    "contains": _contains,
    "containsvalue": _contains_value,
    "startswith": lambda value, start: text(value).lower().startswith(text(start).lower()),
    "endswith": lambda value, end: text(value).lower().endswith(text(end).lower()),
    "coalesce": lambda first, second, *more: next(
        (value for value in (first, second, *more) if value not in (None, "")), None
    ),
    "format": _format,
    "join": _join,
    "split": lambda value, separator: text(value).split(text(separator)),
    "length": _length,
    "lower": lambda value: text(value).lower(),
    "upper": lambda value: text(value).upper(),
    "trim": lambda value: text(value).strip(),
    "replace": lambda value, old, new: text(value).replace(text(old), text(new)),
    "converttojson": lambda value: json.dumps(value, indent=2),
}
