"""Histories of watched files for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlops import specifications
from steps.specification import Specification
from steps.watch_results import Breach, ColumnWatch, History, Judgement, Window, window_id
from tests import samples

START = datetime(2026, 11, 1, 3, 15, tzinfo=UTC)
SPECIFICATION: Specification = specifications.load("diabetes", samples.PIPELINES).specification


def history(number: int, column: str = "bmi", file: str = "march.csv") -> History:
    """Return so many windows, of which the last two breach; the first one has labels."""
    windows = [_window(index, column, file, beyond=index >= number - 2) for index in range(number)]
    if not windows:
        return History([])
    first = windows[0]
    judgement = Judgement(
        window=first.id, model="m", model_version="3", judged_at=START, rows_scored=400, rows_labelled=390,
        metrics={"rmse": 55.5, "r2": 0.4}, gate={"rmse": 54.0, "r2": 0.45},
    )  # fmt: skip
    return History(windows, {first.id: judgement})


def _window(index: int, column: str, file: str, *, beyond: bool) -> Window:
    at = START + timedelta(days=index)
    measured = 0.61 if beyond else 0.02 + index / 100
    breach = Breach(
        kind="drift", column=column, measured=measured, limit=0.25, message=f"{column} has drifted: index 0.61"
    )
    columns = {
        column: ColumnWatch(count=400, missing=0.02, missing_before=0.01, index=measured, distance=0.2, limit=0.25),
        "city": ColumnWatch(
            count=400, missing=0.0, index=0.01, distance=0.03, limit=0.25, new_categories=0.04, new_names=("Rom",)
        ),
        "opened": ColumnWatch(count=0, missing=1.0),
    }
    return Window(
        id=window_id(at, f"f{index}", "first"), model="m", model_version="3", run=f"run-{index}", attempt="first",
        file_name=file, file_version=f"f{index}", output="o", scored_at=at, watched_at=at, rows_read=410,
        rows_scored=400, rows_refused=10, verdict="breach" if beyond else "passed", columns=columns,
        predictions={"prediction": ColumnWatch(count=400, missing=0, index=measured / 2, distance=0.1, limit=0.25)},
        breaches=(breach,) if beyond else (),
    )  # fmt: skip
