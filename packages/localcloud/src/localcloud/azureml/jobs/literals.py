"""Literal inputs: their types, and whether a text is a value of one."""

from __future__ import annotations

import math
import re
from typing import Any

from localcloud.azureml.jobs.specification import InputDeclaration

TYPES = ("string", "integer", "number", "boolean", "enum")
_INTEGER = re.compile(r"[+-]?\d+")
_TRUTHS = {"true": "True", "false": "False", "1": "True", "0": "False"}


class LiteralError(ValueError):
    """A value that is not of the declared type; the text names both."""


def text_of(value: Any) -> str:
    """Return the service's text of a JSON value: booleans as True and False, others as written."""
    return str(value)


def check(name: str, value: str, declared: InputDeclaration) -> str:
    """Return the value as the command gets it. Raises LiteralError."""
    kind = declared.kinds[0]
    if kind == "integer":
        if _INTEGER.fullmatch(value.strip()) is None:
            raise LiteralError(f"The value '{value}' of input '{name}' is not an integer.")
        _check_range(name, float(value), value, declared)
    elif kind == "number":
        try:
            number = float(value)
        except ValueError as error:
            raise LiteralError(f"The value '{value}' of input '{name}' is not a number.") from error
        if not math.isfinite(number):
            raise LiteralError(f"The value '{value}' of input '{name}' is not a finite number.")
        _check_range(name, number, value, declared)
    elif kind == "boolean":
        if value.strip().lower() not in _TRUTHS:
            raise LiteralError(f"The value '{value}' of input '{name}' is not a boolean: use True or False.")
        return _TRUTHS[value.strip().lower()]
    elif kind == "enum":
        allowed = [text_of(member) for member in declared.enum]
        if value not in allowed:
            raise LiteralError(f"The value '{value}' of input '{name}' is not one of {', '.join(allowed)}.")
    return value


def _check_range(name: str, number: float, value: str, declared: InputDeclaration) -> None:
    low, high = declared.min, declared.max
    if low is not None and number < float(low):
        raise LiteralError(f"The value '{value}' of input '{name}' is below the minimum of {low}.")
    if high is not None and number > float(high):
        raise LiteralError(f"The value '{value}' of input '{name}' is above the maximum of {high}.")
