"""Types of the columns of a CSV file, from its values."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlops.errors import InvalidError
from mlops.terminal import plain
from steps.file_names import printable

Kind = Literal["IntegerType", "LongType", "DoubleType", "StringType"]
_INT32, _INT64 = 2**31, 2**63
FEWEST_ROWS = 50
_MOST_CLASSES = 50
MOST_VALUES = 20
"""Different values up to which a column is one of categories."""


@dataclass(frozen=True)
class Column:
    """A column. `kind` is the name of Spark's type; `missing` counts empty values.

    `least` and `greatest` are there for numbers; `values`, sorted, where there are few different ones.
    """

    name: str
    kind: Kind
    missing: int
    distinct: int
    least: float | None = None
    greatest: float | None = None
    values: tuple[str, ...] = ()


def read_columns(file: Path) -> tuple[list[Column], int]:
    """Return the columns in the file's order, and the number of rows.

    Raises InvalidError, which names the line, for a file without rows, with other separators than commas, with unnamed
    or repeated columns, or with rows of different lengths.
    """
    name = printable(file.name)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream, strict=True))
    except UnicodeDecodeError as error:
        raise InvalidError(f"{name} is not UTF-8, at byte {error.start}: save it as UTF-8.") from error
    except csv.Error as error:
        raise InvalidError(f"{name} is not a CSV file: {error}.") from error
    if not rows:
        raise InvalidError(f"{name} is empty: it has no header and not a single row.")
    header, *values = rows
    if len(header) == 1 and ";" in header[0]:
        raise InvalidError(f"{name} is separated by semicolons: save it with commas.")
    if unnamed := [str(index + 1) for index, column in enumerate(header) if not column.strip()]:
        raise InvalidError(f"{name}: column {', '.join(unnamed)} has no name in the header.")
    if twice := sorted({plain(column) for column in header if header.count(column) > 1}):
        raise InvalidError(f"{name}: the header has {', '.join(twice)} more than once.")
    if len(values) < FEWEST_ROWS:
        raise InvalidError(f"{name} has {len(values)} rows: at least {FEWEST_ROWS} are needed to train.")
    for index, row in enumerate(values):
        if len(row) != len(header):
            raise InvalidError(f"{name}, row {index + 1}, has {len(row)} values, and the header has {len(header)}.")
    return [_column(column, [row[index] for row in values]) for index, column in enumerate(header)], len(values)


def check_target(columns: list[Column], target: str, task: str, file: Path) -> Column:
    """Return the target's column. Raises InvalidError when it is not there, or does not fit the task."""
    chosen = next((column for column in columns if column.name == target), None)
    if chosen is None:
        names = ", ".join(plain(column.name) for column in columns)
        raise InvalidError(f"{printable(file.name)} has no column {plain(target)} to predict: it has {names}.")
    if chosen.distinct < 2:
        raise InvalidError(f"The target {plain(target)} is constant: there is nothing to learn.")
    if task == "regression" and chosen.kind == "StringType":
        raise InvalidError(f"The target {plain(target)} has text: give --task classification.")
    if task == "classification" and chosen.distinct > _MOST_CLASSES:
        raise InvalidError(
            f"The target {plain(target)} has {chosen.distinct} different values: give --task regression, or a "
            f"target with at most {_MOST_CLASSES} classes."
        )
    return chosen


def _column(name: str, texts: list[str]) -> Column:
    present = [text for text in texts if text]
    kinds: tuple[tuple[Kind, Callable[[str], bool]], ...] = (
        ("IntegerType", lambda text: -_INT32 <= int(text) < _INT32),
        ("LongType", lambda text: -_INT64 <= int(text) < _INT64),
        ("DoubleType", lambda text: math.isfinite(float(text))),
    )
    fitting: list[Kind] = [kind for kind, fits in kinds if present and all(_holds(fits, text) for text in present)]
    kind: Kind = fitting[0] if fitting else "StringType"
    numbers = [float(text) for text in present] if kind != "StringType" else []
    different = sorted(set(present))
    return Column(
        name,
        kind,
        missing=len(texts) - len(present),
        distinct=len(different),
        least=min(numbers, default=None),
        greatest=max(numbers, default=None),
        values=tuple(different) if len(different) <= MOST_VALUES else (),
    )


def _holds(fits: Callable[[str], bool], text: str) -> bool:
    try:
        # Python accepts underscores and blanks in numbers, and Spark does not.
        return "_" not in text and text == text.strip() and fits(text)
    except ValueError:
        return False
