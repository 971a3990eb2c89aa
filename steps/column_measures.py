"""Measures of a file's columns of numbers, made batch by batch, as notebooks/lib/measures.py makes them by Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from steps import profiles

SAMPLED_ROWS = 100_000
"""Rows from which quantiles are made, at least, as in notebooks/lib/scoring.py."""
_MIXER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: products of neighbours are far apart (Knuth, "Multiplicative hashing")."""


class NumberColumns:
    """Columns of numbers of a file. `kinds`: integer or number, by the columns' names; `rows`: rows of the file."""

    def __init__(self, kinds: Mapping[str, str], rows: int) -> None:
        self._columns = {name: _Column(kind) for name, kind in kinds.items()}
        self._every = max(1, rows // SAMPLED_ROWS)

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def add(self, rows: pd.DataFrame | Mapping[str, np.ndarray[Any, Any]], numbers: pd.Series) -> None:
        """Measure some rows. `numbers` are the rows' own, by which they are in the sample or not."""
        if not self._columns or not len(numbers):
            return
        sampled = self._sampled(numbers.to_numpy(np.int64)) if self._every > 1 else None
        with np.errstate(invalid="ignore", over="ignore"):  # infinite values have a sum that is no number
            for name, column in self._columns.items():
                column.add(np.asarray(rows[name], np.float64), sampled)

    def _sampled(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the places of the sampled rows: the same ones in each run, in no order of the file's."""
        mixed = (numbers.astype(np.uint64) * _MIXER) >> np.uint64(32)
        return np.flatnonzero(mixed % np.uint64(self._every) == 0)

    def measures(self) -> dict[str, dict[str, Any]]:
        """Return the measures of all rows by the columns' names."""
        return {name: column.measures() for name, column in self._columns.items()}


@dataclass
class _Column:
    """A column: a value that is not a number is missing; an infinite one is wrong, as is a broken one of integers."""

    kind: str
    rows: int = 0
    missing: int = 0
    count: int = 0
    total: float = 0.0
    least: float = np.inf
    greatest: float = -np.inf
    sample: list[np.ndarray[Any, Any]] = field(default_factory=list)

    def add(self, values: np.ndarray[Any, Any], sampled: np.ndarray[Any, Any] | None) -> None:
        """Add values. `sampled` are the places of the sampled ones, None for all."""
        self.rows += len(values)
        total = float(values.sum())
        if not np.isfinite(total) or self.kind == "integer":  # a sum is finite where each value is
            usable = np.isfinite(values)
            if self.kind == "integer":
                usable &= values == np.floor(values)
            self.missing += int(np.isnan(values).sum())
            sampled = usable if sampled is None else sampled[usable[sampled]]
            self.sample.append(values[sampled])
            values = values[usable]
            total = float(values.sum())
        else:
            self.sample.append(values if sampled is None else values[sampled])
        if len(values):
            self.count += len(values)
            self.total += total
            self.least, self.greatest = min(self.least, float(values.min())), max(self.greatest, float(values.max()))

    def measures(self) -> dict[str, Any]:
        counts = {"kind": self.kind, "count": self.count, "missing": self.missing, "categories": []}
        counts["wrong"] = self.rows - self.missing - self.count
        if not self.count:
            return counts | {"minimum": None, "maximum": None, "mean": None, "quantiles": []}
        # Quantiles of a sample, too, begin and end with all rows' extremes.
        inner = profiles.quantiles(np.concatenate(self.sample))[1:-1]
        quantiles = [self.least, *inner, self.greatest] if inner else []
        extremes = {"minimum": self.least, "maximum": self.greatest, "mean": self.total / self.count}
        return counts | extremes | {"quantiles": quantiles}
