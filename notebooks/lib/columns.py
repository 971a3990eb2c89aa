"""The header of a file against the columns that a notebook reads: missing and extra ones, with their positions."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .judgement import Result
from .rules import Rules


@dataclass(frozen=True)
class Columns:
    """`sources`: by the name that the notebook reads, the column's name in the file; the order is the notebook's."""

    sources: Mapping[str, str]
    results: tuple[Result, ...]


def compare(header: Sequence[str], wanted: Sequence[str], rules: Rules) -> Columns:
    """Return which column is which. Any order will do; names may differ by case, as Spark reads them."""
    by_case = {name.casefold(): name for name in header}
    sources = {
        name: name if name in header else by_case[name.casefold()] for name in wanted if name.casefold() in by_case
    }
    missing = [name for name in wanted if name not in sources]
    extra = [name for name in header if name not in sources.values()]
    results = [
        Result(
            "columns",
            passed=False,
            message=_missing(name, extra),
            column=name,
            severity=rules.of(name).required.severity,
            count=1,
        )
        for name in missing
        if rules.of(name).required.limit
    ]
    results += [
        Result(
            "extra_columns",
            passed=False,
            message=f"the column {name} (number {header.index(name) + 1}) is extra: the notebook reads no such column",
            column=name,
            severity=rules.extra_columns,
            count=1,
        )
        for name in extra
    ]
    unknown = [name for name in rules.columns if name not in wanted]
    results += [
        Result(
            "columns",
            passed=False,
            message=f"the contract has rules for {name}, and the notebook's schema has no such column"
            f"{_closest(name, list(wanted))}",
            column=name,
            count=1,
        )
        for name in unknown
    ]
    return Columns(sources, tuple(results))


def _missing(name: str, extra: list[str]) -> str:
    near = difflib.get_close_matches(name, extra, n=1, cutoff=0.6)
    hint = f": is {near[0]} its name misspelt?" if near else ""
    return f"the column {name} is missing from the header{hint}"


def _closest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""
