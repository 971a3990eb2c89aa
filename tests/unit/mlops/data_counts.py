"""Counts of rows as a notebook makes them, with pandas: the input of the step check_data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_POINTS = 400


def write(engineered: Path, rows: pd.DataFrame, **changes: Any) -> None:
    """Write the counts beside an engineered set. `changes` replace the results' own values."""
    folder = engineered / "_data_contract"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-0.txt").write_text(json.dumps(counts(rows) | changes), encoding="utf-8")


def counts(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the counts of rows that keep every rule."""
    return {
        "version": 1,
        "accepted": True,
        "source": "abfss://d",
        "rows_read": len(rows),
        "rows_kept": len(rows),
        "missing": {},
        "rules": [],
        "quarantine": None,
        "show_values": False,
        "measures": {str(name): measures(rows[name]) for name in rows.columns},
    }


def measures(column: pd.Series[Any]) -> dict[str, Any]:
    """Return the measures of a column."""
    common = {"count": int(column.count()), "missing": int(column.isna().sum()), "quantiles": [], "categories": []}
    if pd.api.types.is_numeric_dtype(column):
        quantiles = np.quantile(column.dropna(), np.linspace(0, 1, _POINTS + 1), method="inverted_cdf").tolist()
        extremes = {"minimum": float(column.min()), "maximum": float(column.max()), "mean": float(column.mean())}
        return common | {"kind": "number", "quantiles": quantiles} | extremes
    categories = [[str(value), int(number)] for value, number in column.value_counts().items()]
    return common | {"kind": "text", "categories": categories}
