"""Measures of columns of numbers that come in batches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from steps import column_measures, profiles
from steps.column_measures import NumberColumns


def _added(columns: NumberColumns, rows: pd.DataFrame, batch: int) -> NumberColumns:
    for start in range(0, len(rows), batch):
        part = rows.iloc[start : start + batch]
        columns.add(part, part["_row"])
    return columns


def test_missing_and_wrong_values_are_counted_and_left_out() -> None:
    rows = pd.DataFrame({"size": [1.5, np.nan, np.inf, -np.inf, 2.0], "rooms": [1.0, 2.5, 3.0, np.nan, np.inf]})
    columns = _added(NumberColumns({"size": "number", "rooms": "integer"}, 5), rows.assign(_row=range(5)), batch=2)

    size, rooms = columns.measures()["size"], columns.measures()["rooms"]

    assert (size["kind"], size["count"], size["missing"], size["wrong"]) == ("number", 2, 1, 2)
    assert (size["minimum"], size["maximum"], size["mean"]) == (1.5, 2.0, 1.75)
    assert (rooms["kind"], rooms["count"], rooms["missing"], rooms["wrong"]) == ("integer", 2, 1, 2)
    assert (rooms["minimum"], rooms["maximum"], rooms["mean"]) == (1.0, 3.0, 2.0), "2.5 is no whole number"


def test_batches_are_measured_as_all_values_at_once() -> None:
    values = np.random.default_rng(7).normal(size=1000)
    rows = pd.DataFrame({"a": values, "_row": np.arange(1000)})

    measured = _added(NumberColumns({"a": "number"}, 1000), rows, batch=33).measures()["a"]

    at_once = profiles.measured(values)
    assert measured["mean"] == pytest.approx(at_once.pop("mean"))
    assert {name: measured[name] for name in at_once} == at_once


def test_quantiles_of_many_rows_are_of_a_sample_that_does_not_follow_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(column_measures, "SAMPLED_ROWS", 1000)
    rows = pd.DataFrame({"a": np.arange(20_000.0), "_row": np.arange(20_000) + (1 << 33)})

    first, second = (
        _added(NumberColumns({"a": "number"}, 20_000), rows, batch).measures()["a"] for batch in (777, 20_000)
    )

    assert first["quantiles"] == second["quantiles"], "the sample is by the rows' numbers"
    assert (first["count"], first["quantiles"][0], first["quantiles"][-1]) == (20_000, 0.0, 19_999.0)
    distances = np.abs(np.array(first["quantiles"]) - np.linspace(0, 19_999, 401))
    assert 20 < distances.max() < 1500, "a twentieth of the rows"


def test_a_column_without_a_value_has_no_quantiles() -> None:
    rows = pd.DataFrame({"a": [np.nan, np.inf], "_row": [0, 1]})

    measured = _added(NumberColumns({"a": "number"}, 2), rows, batch=2).measures()["a"]

    assert (measured["count"], measured["missing"], measured["wrong"], measured["quantiles"]) == (0, 1, 1, [])
    assert measured["minimum"] is measured["maximum"] is measured["mean"] is None
