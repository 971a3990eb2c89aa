"""Scored files against the profile of the version that scored them, by numbers computed by hand and by scipy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from mlops import specifications
from steps import drift, profiles, scored_measures, watching
from steps.data_contract import DataContract
from steps.data_results import Profile
from steps.metrics import Predictions
from steps.scored_measures import ScoredMeasures
from steps.specification import Specification
from steps.watch import Watch
from steps.watch_results import Breach, History, Judgement, Window, summary, window_id
from steps.watching import Champion
from tests import samples
from tests.unit.mlops.data_counts import counts

_RANDOM = np.random.default_rng(7)
NOW = datetime(2026, 11, 29, 12, 41, 7, tzinfo=UTC)


def _specified(*, show_values: bool = False, **watch: Any) -> Specification:
    specified = specifications.load("diabetes", samples.PIPELINES).specification
    changes = {"data_contract": DataContract(show_values=show_values), "watch": Watch(**watch), "target": "y"}
    return specified.model_copy(update=changes)


def _rows(number: int, shift: float = 0.0, **columns: Any) -> pd.DataFrame:
    rows = {
        "size": _RANDOM.normal(100 + shift, 10, number),
        "city": np.where(_RANDOM.random(number) < 0.5, "Ulm", "Bonn"),
    }
    return pd.DataFrame(rows | columns)


def _profile(rows: pd.DataFrame, *, show_values: bool = False) -> Profile:
    return profiles.profile(counts(rows)["measures"], len(rows), "y", show_values=show_values)


def _window(read: int, refused: int = 0) -> Window:
    return Window(
        id=window_id(NOW, "f", "first"), model="m", model_version="3", run="r", attempt="first", file_name="march.csv",
        file_version="f", output="scoring/out/m/date=2026-11-29/run=r", scored_at=NOW, watched_at=NOW, rows_read=read,
        rows_scored=read - refused, rows_refused=refused, verdict="passed",
    )  # fmt: skip


def _judge(before: pd.DataFrame, now: pd.DataFrame, specified: Specification | None = None, refused: int = 0) -> Window:
    specified = specified or _specified()
    show_values = specified.data_contract.show_values
    champion = Champion(_profile(before, show_values=show_values), _predicted(before["size"]))
    scored = ScoredMeasures(columns=counts(now)["measures"], predictions={"prediction": _measured(now["size"])})
    return watching.judge(_window(len(now) + refused, refused), specified, scored, champion)


def _predicted(values: Any) -> Profile:
    return profiles.profile({"prediction": _measured(values)}, len(values), "y", show_values=False)


def _measured(values: Any) -> dict[str, Any]:
    return profiles.measured(np.asarray(values))


def test_numbers_of_records_are_no_drift_where_they_are_left_out() -> None:
    before, now = (_rows(200, record=range(first, first + 200)) for first in (0, 1000))

    assert [breach.column for breach in _judge(before, now).breaches] == ["record"]
    left = _judge(before, now, _specified(leave_out=["record"]))
    assert left.verdict == "passed" and "record" not in left.columns


def test_index_and_distance_follow_their_definitions() -> None:
    before = _rows(400, city=["Ulm"] * 200 + ["Bonn"] * 200)
    now = _rows(400, city=["Ulm"] * 160 + ["Bonn"] * 240)

    city = _judge(before, now).columns["city"]

    assert city.index == pytest.approx((0.4 - 0.5) * np.log(0.4 / 0.5) + (0.6 - 0.5) * np.log(0.6 / 0.5), abs=1e-4)
    # The mixture of (0.5, 0.5) and (0.4, 0.6) is (0.45, 0.55); the distance is the root of the divergence in bits.
    left = 0.5 * np.log2(0.5 / 0.45) + 0.5 * np.log2(0.5 / 0.55)
    right = 0.4 * np.log2(0.4 / 0.45) + 0.6 * np.log2(0.6 / 0.55)
    assert city.distance == pytest.approx(np.sqrt((left + right) / 2), abs=1e-4)
    assert city.distance == pytest.approx(jensenshannon([0.5, 0.5], [0.4, 0.6], base=2), abs=1e-4)
    assert drift.distance([1.0, 0.0], [0.0, 1.0]) == 1 and drift.distance([0.3, 0.7], [0.3, 0.7]) == 0


def test_measures_of_values_equal_a_notebook_s() -> None:
    values = np.array([3.0, 1.0, np.nan, 2.0, 2.0])
    measured = profiles.measured(values)

    assert (measured["kind"], measured["count"], measured["missing"]) == ("number", 4, 1)
    assert (measured["minimum"], measured["maximum"], measured["mean"]) == (1.0, 3.0, 2.0)
    assert len(measured["quantiles"]) == 401 and set(measured["quantiles"]) == {1.0, 2.0, 3.0}
    assert profiles.measured(np.array(["b", "a", "b", None], dtype=object))["categories"] == [("b", 2), ("a", 1)]
    assert profiles.measured(np.array([1, 0, 1]), categories=True)["categories"] == [("1", 2), ("0", 1)]
    assert profiles.measured(np.array([]))["quantiles"] == []


def test_a_file_of_the_same_distribution_is_within_its_limits() -> None:
    window = _judge(_rows(2000), _rows(1000))

    assert (window.verdict, window.breaches, window.not_compared) == ("passed", (), "")
    assert set(window.columns) == {"size", "city"} and set(window.predictions) == {"prediction"}
    assert summary(window).startswith("no breach, ")


def test_a_shifted_column_is_named_and_so_are_the_predictions() -> None:
    window = _judge(_rows(2000), _rows(1000, shift=20))

    assert window.verdict == "breach"
    assert [(breach.kind, breach.column) for breach in window.breaches] == [
        ("drift", "size"), ("prediction_drift", "prediction"),
    ]  # fmt: skip
    assert window.worst is not None and window.worst[0] == "size" and (window.worst[1].index or 0) > 1
    assert summary(window).startswith(f"breach: size has drifted: index {window.columns['size'].index:.2f}, and 0.25")


def test_a_column_s_own_limits_come_before_the_general_ones() -> None:
    specified = _specified(columns={"size": {"drift": 9}}, prediction_drift=9)

    assert _judge(_rows(2000), _rows(1000, shift=20), specified).verdict == "passed"


def test_few_rows_differ_by_chance_and_fewer_are_not_judged() -> None:
    before = _rows(2000)

    sixty = _judge(before, _rows(60))
    assert sixty.columns["size"].limit == pytest.approx(drift.chance(10, 2000, 60), abs=1e-4)
    assert sixty.verdict == "passed"
    ten = _judge(before, _rows(10, shift=50))
    assert (ten.verdict, ten.breaches) == ("too_few_rows", ())
    assert summary(ten) == "not judged, 10 rows are too few"


def test_missing_values_are_compared_with_the_training_data_s() -> None:
    before, now = _rows(1000), _rows(1000)
    before.loc[:99, "size"] = np.nan
    now.loc[:189, "size"] = np.nan
    assert _judge(before, now).verdict == "passed", "9 points more, and 10 may be"
    now.loc[:299, "size"] = np.nan

    window = _judge(before, now)

    (breach,) = [breach for breach in window.breaches if breach.kind == "missing"]
    assert (breach.column, breach.measured, breach.limit) == ("size", 0.3, 0.2)
    assert breach.message == (
        "size is missing in 30.0% of the rows, and in 10.0% of the training data (10.0% more may be)"
    )


@pytest.mark.parametrize("show_values", [True, False])
def test_new_categories_are_counted_and_named_where_values_may_be_shown(show_values: bool) -> None:
    before = _rows(1000)
    now = _rows(1000, city=["Rom"] * 80 + ["Ulm"] * 460 + ["Bonn"] * 460)

    window = _judge(before, now, _specified(show_values=show_values))

    city = window.columns["city"]
    assert (city.new_categories, city.new_names) == (0.08, ("Rom",) if show_values else ())
    (breach,) = [breach for breach in window.breaches if breach.kind == "new_categories"]
    names = " (Rom)" if show_values else ""
    assert breach.message == (
        f"city has categories{names} that the training data do not have, in 8.0% of the rows, and 5.0% may be"
    )
    assert show_values or "Rom" not in window.model_dump_json()


def test_refused_rows_are_a_breach_of_their_own() -> None:
    window = _judge(_rows(2000), _rows(940), refused=60)

    (breach,) = window.breaches
    assert (breach.kind, breach.measured) == ("refused", 0.06)
    assert breach.message == "6.0% of the rows are refused, and 5.0% may be"
    (close,) = _judge(_rows(2000), _rows(9499), refused=501).breaches
    assert close.message == "5.010% of the rows are refused, and 5.0% may be", "a share is told from its limit"


def test_a_version_without_profiles_is_not_comparable_and_no_failure() -> None:
    scored = ScoredMeasures(columns=counts(_rows(100))["measures"])

    window = watching.judge(_window(100), _specified(), scored, Champion(None, None))

    assert window.verdict == "not_comparable"
    assert summary(window) == (
        "not comparable (version 3 has no profile of its data; version 3 has no profile of its predictions)"
    )
    half = watching.judge(_window(100), _specified(), scored, Champion(_profile(_rows(500)), None))
    assert (half.verdict, half.not_compared) == ("passed", "version 3 has no profile of its predictions")


def test_dates_are_not_held_against_earlier_ones() -> None:
    before, now = _rows(500), _rows(500)
    profile = _profile(before)
    dated = profile.columns["city"].model_copy(update={"type": "date"})
    profile = profile.model_copy(update={"columns": profile.columns | {"city": dated}})
    scored = ScoredMeasures(columns=counts(now)["measures"])

    assert watching.judge(_window(500), _specified(), scored, Champion(profile, None)).columns["city"].index is None


def test_predictions_are_profiled_alike_when_a_model_is_registered_and_when_it_scores() -> None:
    specified = _specified().model_copy(update={"task": "classification"})
    probabilities = _RANDOM.random(400)
    labels = (probabilities > 0.5).astype(int)
    both = np.column_stack([1 - probabilities, probabilities])
    profile = scored_measures.prediction_profile(Predictions(labels, labels, both, (0, 1)), specified)
    answers = scored_measures.Answers(specified, 400)
    for part in (slice(0, 100), slice(100, 400)):
        answers.add(pd.DataFrame({
            "row": range(400)[part], "prediction": labels[part],
            "probability_0": both[part, 0], "probability_1": both[part, 1],
        }))  # fmt: skip

    window = watching.judge(
        _window(400), specified, ScoredMeasures(predictions=answers.measures()), Champion(None, profile)
    )

    assert set(window.predictions) == {"prediction", "probability"}
    assert all(column.index == 0 for column in window.predictions.values())
    assert "1" not in profile.columns["prediction"].categories, "classes are values of the data"


def test_breaches_in_a_row_count_from_the_newest_and_skip_unjudged_files() -> None:
    breach = Breach(kind="drift", column="a", measured=1, limit=0.25, message="a has drifted")

    def window(number: int, verdict: Any) -> Window:
        breaches = (breach,) if verdict == "breach" else ()
        return _window(100).model_copy(update={"id": str(number), "verdict": verdict, "breaches": breaches})

    windows = [window(*item) for item in enumerate(["breach", "passed", "breach", "too_few_rows", "breach"])]

    assert History(windows).breached_in_a_row == 2
    by_labels = Judgement(
        window="1", model="m", model_version="3", judged_at=NOW, rows_scored=9, rows_labelled=9, breaches=(breach,)
    )
    assert History(windows, {"1": by_labels}).breached_in_a_row == 4, "labels have shown one more"
    assert History([]).breached_in_a_row == 0


def test_a_refused_file_is_a_breach_unless_it_has_too_few_rows() -> None:
    def refused(read: int) -> Window:
        numbers = {"rows_read": read, "rows_scored": 0, "rows_refused": read}
        return watching.refused_file(_window(1).model_copy(update=numbers), _specified(), "no column bmi")

    whole, unreadable, small = refused(100), refused(0), refused(3)

    message = "nothing is scored, the file is refused: no column bmi"
    for window in (whole, unreadable):
        assert (window.verdict, window.refused_share) == ("breach", 1.0)
        assert [(breach.kind, breach.measured, breach.message) for breach in window.breaches] == [
            ("refused", 1.0, message)
        ]
    assert (small.verdict, small.breaches) == ("too_few_rows", ())
    assert summary(small) == "not judged, 3 rows are too few; it is refused: no column bmi"
    assert [History([]).is_judged(window) for window in (whole, unreadable, small)] == [True, False, False]
    assert History([whole, unreadable, small, whole]).breached_in_a_row == 2


def test_a_window_s_name_sorts_by_time_and_follows_from_file_and_attempt() -> None:
    assert window_id(NOW, "f", "first").startswith("20261129T124107Z-")
    assert window_id(NOW, "f", "first") == window_id(NOW, "f", "first") != window_id(NOW, "f", "again-1")
