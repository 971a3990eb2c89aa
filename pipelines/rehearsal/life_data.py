"""Files of a rehearsal's life: rows as the model knows them, rows that have drifted, and new training data.

They are made from the pipeline's own training data. Drifted rows have greater numbers, within the bounds of the data
contract, so that none is refused; in the new training data the target is inverted as well, so that the serving version
is wrong about them and a new version is not. A seed makes each life's files new ones: a file is scored once, and a run
on known data would be reused.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_runner.errors import RunnerError

ROWS = 200
"""Rows of a file to be scored: enough for a drift to be more than chance."""
_FACTOR = 1.3
_Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class LifeData:
    """The complete rows of a pipeline's data. `bounds` are the greatest values of the columns that drift."""

    rows: _Rows
    target: str
    bounds: Mapping[str, float]
    seed: int

    def usual(self, number: int = 1) -> bytes:
        """Return rows to be scored, distributed as the training data; `number` distinguishes a life's files."""
        return self._scored(self.rows, number)

    def drifted(self, number: int = 1) -> bytes:
        """Return rows to be scored that have drifted."""
        return self._scored([self._greater(row) for row in self.rows], number)

    def training(self) -> bytes:
        """Return new training data: drifted rows with an inverted target."""
        targets = [float(row[self.target]) for row in self.rows]
        ends = min(targets) + max(targets)
        rows = [self._greater(row) | {self.target: f"{ends - float(row[self.target]):g}"} for row in self.rows]
        return _csv(self._shuffled(rows, 0), list(self.rows[0]))

    def _greater(self, row: Mapping[str, str]) -> dict[str, str]:
        changed = {
            name: f"{min(float(row[name]) * _FACTOR, bound):.6g}"
            for name, bound in self.bounds.items()
            if name != self.target
        }
        return dict(row) | changed

    def _scored(self, rows: _Rows, number: int) -> bytes:
        return _csv(self._shuffled(rows, number)[:ROWS], [name for name in self.rows[0] if name != self.target])

    def _shuffled(self, rows: _Rows, number: int) -> _Rows:
        chance = random.Random(f"{self.seed}/{number}")  # noqa: S311 - an order, and no secret
        return chance.sample(list(rows), len(rows))


def read(checkout: Path, specification: Mapping[str, Any], seed: int) -> LifeData:
    """Read the data of a pipeline. Raises RunnerError where no life can be played with them."""
    name = specification.get("model")
    columns: Mapping[str, Mapping[str, Any]] = (specification.get("data_contract") or {}).get("columns") or {}
    bounds = {
        column: _bound(rules.get("maximum"))
        for column, rules in columns.items()
        if rules.get("type") == "number" and column != specification["target"]
    }
    if specification.get("task") != "regression" or not specification.get("score") or not bounds:
        raise RunnerError(
            f"The life of {name} cannot be played: it takes a regression with a section score and numbers in its "
            "data contract."
        )
    with (checkout / specification["data"]).open(encoding="utf-8-sig", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if all(row.values())]
    return LifeData(rows, specification["target"], bounds, seed)


def _bound(maximum: Any) -> float:
    """Return the greatest value of a column; a rule may be a number or a limit with its severity."""
    limit = maximum.get("limit") if isinstance(maximum, Mapping) else maximum
    return float("inf") if limit is None else float(limit)


def _csv(rows: _Rows, columns: Sequence[str]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
