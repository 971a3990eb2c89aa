"""The page of watched files: its content, and escaped names from data."""

from __future__ import annotations

import pytest

from steps.reporting import monitoring
from tests.unit.steps.reports import HOSTILE, Page
from tests.unit.steps.windows import SPECIFICATION, history


def page(*arguments: object) -> Page:
    page = Page(monitoring.html(SPECIFICATION, history(*arguments)))  # type: ignore[arg-type]
    assert page.faults == []
    return page


def test_the_newest_verdict_comes_first_and_then_trend_columns_and_windows() -> None:
    words = page(6).words

    assert "The newest file is beyond a limit" in words
    assert "march.csv, scored by version 3 at 2026-11-06 03:15 UTC: breach: bmi has drifted: index 0.61." in words
    assert "2 files in a row are beyond a limit." in words
    assert words.index("Drift of the columns:") < words.index("Columns of the newest file") < words.index("Windows")
    assert "rmse by labels:" in words and "r2 by labels:" in words and "mae by labels:" not in words
    assert "bmi 0.61 0.25 0.2 2.0 % 1.0 % in training –" in words
    assert "4.0 % Rom" in words and "390 labels" in words


def test_one_window_and_none_have_a_page_too() -> None:
    assert "1 window" in page(1).words
    empty = page(0).words
    assert "No file was watched yet" in empty and "Trend" not in empty


@pytest.mark.parametrize("place", [("bmi", HOSTILE), (HOSTILE, "march.csv")])
def test_names_from_data_are_text(place: tuple[str, str]) -> None:
    shown_page = page(3, *place)

    assert HOSTILE in shown_page.words
    assert not [tag for tag, attributes in shown_page.tags if tag in ("img", "script") or "onerror" in attributes]
