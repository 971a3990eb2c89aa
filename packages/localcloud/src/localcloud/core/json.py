"""JSON, as request and response bodies are."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

Json = dict[str, Any]

_DEEPEST = 128
"""Levels of nesting. Azure's services read JSON with .NET, whose readers accept 64 levels by default."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parsed(raw: bytes, *, strict: bool = True) -> Any:
    """Return the JSON of a request's body.

    Raises ValueError for text that is not UTF-8 or not JSON (NaN and Infinity are not), for halves of surrogate pairs,
    which no text has, and for values nested too deep. Without `strict`, texts
    may have line feeds and other control characters.
    """
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite, strict=strict)
    except RecursionError as error:
        raise _too_deep() from error
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST:
        _check_depth(value)
    if _SURROGATE.search(raw):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise _too_deep()
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level = [child for part in parts for child in part if isinstance(child, dict | list)]


def _too_deep() -> ValueError:
    return ValueError(f"values are nested more than {_DEEPEST} levels deep")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is larger than any number")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
