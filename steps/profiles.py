"""Profiles of data: the distribution of each column, from the notebook's measures."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from steps.data_results import ColumnProfile, Profile

BINS = 10
_POINTS = 400
"""Quantiles of a number, as in notebooks/lib/measures.py: shares are exact to a quarter of a percent."""
_HASH_LENGTH = 16
_MOST_CATEGORIES = 50


def profile(columns: Mapping[str, Any], rows: int, target: str, *, show_values: bool) -> Profile:
    """Return the profile of data from the measures of each column.

    Without `show_values` categories are hashes of their values, and the least and greatest value are left out.
    """
    return Profile(
        rows=rows,
        target=target,
        columns={name: _column(column, show_values) for name, column in columns.items()},
    )


def bin_shares(edges: Sequence[float], points: Sequence[float]) -> tuple[float, ...]:
    """Return the share of rows in each bin, by evenly spaced quantiles: exact to the distance of two of them.

    The bins end at the edges, the last one above all edges.
    """
    steps = len(points) - 1
    below = [min(max(bisect_right(points, edge) - 1, 0), steps) / steps for edge in edges]
    if points and edges and points[-1] <= edges[-1]:
        below[-1] = 1.0
    marks = [0.0, *below, 1.0]
    return tuple(round(after - before, 6) for before, after in pairwise(marks))


def measured(values: np.ndarray[Any, Any], *, categories: bool = False) -> dict[str, Any]:
    """Return the measures of values, as a notebook makes them of a column. Texts are categories in any case."""
    present = values[~pd.isna(values)]
    common = {"count": len(present), "missing": len(values) - len(present), "quantiles": [], "categories": []}
    if categories or present.dtype.kind not in "iuf":
        names, rows = np.unique(present.astype(str), return_counts=True)
        ranked = sorted(zip(names.tolist(), rows.tolist(), strict=True), key=lambda item: (-item[1], item[0]))
        return common | {"kind": "text", "categories": ranked[:_MOST_CATEGORIES]}
    if not len(present):
        return common | {"kind": "number"}
    points = quantiles(present)
    extremes = {"minimum": points[0], "maximum": points[-1], "mean": float(present.mean())}
    return common | {"kind": "number", "quantiles": points} | extremes


def quantiles(values: np.ndarray[Any, Any]) -> list[float]:
    """Return evenly spaced quantiles, the least and greatest value included; none of no values.

    A sort takes a sixth of the time of numpy's quantiles, which part the values at each of the points.
    """
    if not len(values):
        return []
    ordered = np.sort(values)
    # Spark's own arithmetic: 7/400 of 400 is a little more than 7 in floating-point numbers.
    places = np.maximum(np.ceil(np.arange(_POINTS + 1) / _POINTS * len(ordered)).astype(int) - 1, 0)
    return ordered[places].astype(float).tolist()  # type: ignore[no-any-return]


def hashed(value: str) -> str:
    """Return the hash of a category whose value may not be shown."""
    return hashlib.sha256(value.encode()).hexdigest()[:_HASH_LENGTH]


def _column(column: Mapping[str, Any], show_values: bool) -> ColumnProfile:
    common = {"type": column["kind"], "count": column["count"], "missing": column["missing"]}
    points = column["quantiles"]
    if column["kind"] in ("integer", "number"):
        if not points:
            return ColumnProfile(**common)
        step = (len(points) - 1) // BINS
        edges = tuple(dict.fromkeys(points[step:-1:step]))
        extremes = {"minimum": column["minimum"], "maximum": column["maximum"]} if show_values else {}
        return ColumnProfile(**common, **extremes, mean=column["mean"], edges=edges, shares=bin_shares(edges, points))
    total = max(column["count"], 1)
    shares = {value if show_values else hashed(value): round(rows / total, 6) for value, rows in column["categories"]}
    return ColumnProfile(
        **common,
        categories=shares,
        hashed=not show_values,
        other=round(max(0.0, 1 - sum(shares.values())), 6),
    )
