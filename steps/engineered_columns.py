"""Check of the engineered set's columns against the specification."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as parquet

from steps.data_contract import closest
from steps.specification import Specification


def unknown(engineered: Path, specified: Specification) -> list[str]:
    """Return a sentence without its full stop for each column that the specification names and the set has not.

    `engineered` is a folder of Parquet files with the same columns. The columns are unknown before the features are
    made: only the step check_data can check them.
    """
    files = sorted(engineered.glob("*.parquet"))
    if not files:
        return ["the notebook wrote no Parquet file to its output"]
    columns = parquet.read_schema(files[0]).names
    named = {
        "target": [specified.target],
        "split.by": specified.split.by,
        "gate.slices": [part.column for part in specified.gate.slices],
    }
    return [
        f"{place} names the column {column}, which the engineered set does not have: {closest(column, columns)}"
        for place, expected in named.items()
        for column in expected
        if column not in columns
    ]
