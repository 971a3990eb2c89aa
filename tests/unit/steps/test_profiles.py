"""Profiles of data, and the distance of data to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from steps import drift, profiles
from steps.data_contract import DataContract
from steps.data_results import Profile, RuleResult
from tests.unit.mlops.data_counts import counts

_RANDOM = np.random.default_rng(0)


def _rows(number: int, shift: float = 0.0, share: float = 0.5) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": _RANDOM.normal(100 + shift, 10, number),
            "rooms": _RANDOM.integers(1, 4, number),
            "city": np.where(_RANDOM.random(number) < share, "Ulm", "Bonn"),
        }
    )


def _profile(rows: pd.DataFrame, *, show_values: bool = False) -> tuple[Profile, dict[str, Any]]:
    measured = counts(rows)["measures"]
    return profiles.profile(measured, len(rows), "size", show_values=show_values), measured


def _drift(
    before: pd.DataFrame, now: pd.DataFrame, contract: DataContract | None = None, *, shown_before: bool = False
) -> dict[str | None, RuleResult]:
    former, _ = _profile(before, show_values=shown_before)
    profile, measured = _profile(now)
    return {rule.column: rule for rule in drift.judge(contract or DataContract(), former, profile, measured)}


def test_shares_of_a_number_are_its_bins_shares() -> None:
    rows = _rows(1000)
    profile, _ = _profile(rows)

    size, rooms = profile.columns["size"], profile.columns["rooms"]
    assert len(size.edges) == 9 and size.shares == pytest.approx([0.1] * 10, abs=0.005)
    assert sum(rooms.shares) == pytest.approx(1)
    assert list(rooms.edges) == [1, 2, 3]
    assert rooms.shares == pytest.approx([(rows["rooms"] == number).mean() for number in (1, 2, 3)] + [0], abs=0.005)


def test_the_index_follows_its_definition() -> None:
    expected = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.6 - 0.5) * np.log(0.6 / 0.5)

    assert drift.stability_index([0.5, 0.5], [0.4, 0.6]) == pytest.approx(expected)
    assert drift.stability_index([0.5, 0.5], [0.5, 0.5]) == 0
    assert drift.stability_index([1.0, 0.0], [0.5, 0.5]) > 3, "an empty bin is a large shift"


def test_data_of_the_same_distribution_have_not_drifted() -> None:
    results = _drift(_rows(2000), _rows(2000))

    assert set(results) == {"size", "rooms", "city"}
    assert all(result.passed and (result.measured or 0) < 0.05 for result in results.values())


def test_a_shift_is_named_with_its_index_as_a_warning() -> None:
    results = _drift(_rows(2000), _rows(2000, shift=15, share=0.9))

    size = results["size"]
    assert (size.passed, size.severity, size.limit) == (False, "warning", "0.25")
    assert (size.measured or 0) > 1
    assert size.message.startswith("size is distributed otherwise than in the data of the model that serves (drift: ")
    assert not results["city"].passed
    assert results["rooms"].passed


def test_a_column_has_a_limit_and_severity_of_its_own() -> None:
    contract = DataContract.model_validate(
        {"columns": {"size": {"drift": {"limit": 0.1, "severity": "error"}}, "city": {"drift": 9}}}
    )

    results = _drift(_rows(2000), _rows(2000, shift=15, share=0.9), contract)

    assert (results["size"].passed, results["size"].severity) == (False, "error")
    assert results["city"].passed


def test_few_rows_differ_by_chance() -> None:
    assert drift.chance(10, 50, 50) > 0.25
    assert _drift(_rows(2000), _rows(40))["size"].passed
    assert not _drift(_rows(2000), _rows(40, shift=30))["size"].passed


def test_categories_are_hashes_unless_values_may_be_shown() -> None:
    rows = _rows(500)
    hidden, named = _profile(rows)[0], _profile(rows, show_values=True)[0]

    assert set(named.columns["city"].categories) == {"Ulm", "Bonn"}
    assert set(hidden.columns["city"].categories) == {profiles.hashed("Ulm"), profiles.hashed("Bonn")}
    assert "Ulm" not in hidden.model_dump_json()
    assert (named.columns["size"].minimum is None, hidden.columns["size"].minimum) == (False, None)
    for shown_before in (True, False):
        assert _drift(rows, rows, shown_before=shown_before)["city"].measured == 0


def test_new_categories_and_new_columns() -> None:
    before = _rows(2000)
    now = _rows(2000).assign(city="Rom", colour="red")

    results = _drift(before, now)

    assert not results["city"].passed and (results["city"].measured or 0) > 1
    assert "colour" not in results, "a column without a former distribution cannot drift"
