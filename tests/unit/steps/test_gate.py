"""The gate: bounds, slices, and the comparison with the version that serves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from steps.gate import Champion, GateError, judge
from steps.metrics import Predictions
from steps.specification import Gate

ROWS = 200
_random = np.random.default_rng(7)
ACTUAL = _random.normal(100, 20, ROWS)
HELD_OUT = pd.DataFrame({"group": np.where(np.arange(ROWS) < 40, "few", "many"), "target": ACTUAL})


def _predictions(spread: float, seed: int = 1) -> Predictions:
    return Predictions(ACTUAL, ACTUAL + np.random.default_rng(seed).normal(0, spread, ROWS))


def _gate(**fields: Any) -> Gate:
    return Gate.model_validate({"metrics": [{"name": "rmse"}, {"name": "r2", "minimum": 0.25}], "seed": 3} | fields)


POOR, FAIR, GOOD, BEST = (_predictions(spread) for spread in (40.0, 10.0, 9.6, 5.0))


def test_the_first_version_is_accepted_by_its_bounds_only() -> None:
    verdict = judge(_gate(), HELD_OUT, FAIR, None)

    assert verdict.register and verdict.reason == "it is the first version"
    assert verdict.champion_version is None and verdict.comparisons == ()
    assert verdict.metrics["rmse"] == pytest.approx(float(np.sqrt(np.mean((FAIR.actual - FAIR.predicted) ** 2))))


def test_a_model_below_a_minimum_is_refused_even_as_the_first() -> None:
    verdict = judge(_gate(), HELD_OUT, POOR, None)

    assert not verdict.register
    assert verdict.reason.startswith("r2 -") and verdict.reason.endswith("is below its minimum 0.25")


def test_a_clearly_better_model_is_accepted_with_its_numbers() -> None:
    verdict = judge(_gate(), HELD_OUT, BEST, Champion("7", FAIR))

    assert verdict.register
    assert "is better than version 7's" in verdict.reason
    (comparison,) = verdict.comparisons
    assert comparison.metric == "rmse" and comparison.gain > 0, "a lower rmse is a gain"
    assert comparison.low < comparison.gain < comparison.high
    assert comparison.probability == 1.0
    assert verdict.champion_metrics["rmse"] == pytest.approx(comparison.champion)


@pytest.mark.parametrize(
    ("former", "classes"),
    [
        (["spam", "ham & eggs"] * 50, ("ham & eggs", "spam")),  # the data's owner has renamed a class
        ([1, 0] * 50, (0, 1)),  # numbers became names
        ([0.3, 0.7] * 50, ()),  # it was a regression
    ],
)
def test_a_champion_with_other_classes_cannot_be_compared(former: list[Any], classes: tuple[Any, ...]) -> None:
    actual = np.array(["spam", "ham"] * 50, dtype=object)
    rows = pd.DataFrame({"target": actual})
    new = Predictions(actual, actual, np.tile([[0.1, 0.9], [0.9, 0.1]], (50, 1)), ("ham", "spam"))
    old = Predictions(actual, np.array(former, dtype=object), None, classes)

    verdict = judge(Gate.model_validate({"metrics": [{"name": "f1"}]}), rows, new, Champion("7", old))

    assert not verdict.register
    assert verdict.reason == (
        "version 7, which serves, cannot be compared: the classes that the model predicts are not those of the rows "
        "(gate.when_not_comparable: refuse)"
    )


def test_a_model_that_predicts_no_numbers_is_refused_by_name() -> None:
    with pytest.raises(GateError, match=r"^the target or the predictions have values that are no finite numbers$"):
        judge(_gate(), HELD_OUT, Predictions(ACTUAL, np.full(ROWS, np.nan)), None)


def test_a_gain_that_may_be_chance_is_refused() -> None:
    verdict = judge(_gate(confidence=0.99), HELD_OUT, GOOD, Champion("7", _predictions(9.7, seed=2)))

    assert not verdict.register
    assert "is not better than version 7's" in verdict.reason and "0.99 is asked for" in verdict.reason


def test_the_same_model_again_is_not_better() -> None:
    verdict = judge(_gate(), HELD_OUT, FAIR, Champion("7", FAIR))

    assert not verdict.register
    assert verdict.comparisons[0].probability == 0.0 and verdict.comparisons[0].gain == 0.0


def test_a_gain_below_the_margin_is_refused_and_a_negative_margin_tolerates_a_loss() -> None:
    gate_ = _gate(metrics=[{"name": "rmse", "margin": 50}])
    assert not judge(gate_, HELD_OUT, BEST, Champion("7", FAIR)).register
    tolerant = _gate(metrics=[{"name": "rmse", "margin": -1}])
    assert judge(tolerant, HELD_OUT, FAIR, Champion("7", FAIR)).register


def test_every_metric_with_a_margin_must_pass() -> None:
    both = _gate(metrics=[{"name": "rmse"}, {"name": "mae", "margin": 50}])

    verdict = judge(both, HELD_OUT, BEST, Champion("7", FAIR))

    assert not verdict.register
    assert verdict.reason.startswith("mae ") and "rmse" not in verdict.reason, "the reason names what failed"


def test_the_decision_is_the_same_each_time() -> None:
    first, second = (judge(_gate(), HELD_OUT, GOOD, Champion("7", FAIR)) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("policy", "register", "reason"),
    [
        ("refuse", False, "cannot be compared: column s6 is gone (gate.when_not_comparable: refuse)"),
        ("accept", True, "cannot be compared: column s6 is gone; accepted by its own bounds"),
    ],
)
def test_a_champion_that_cannot_judge_these_rows_follows_the_policy(policy: str, register: bool, reason: str) -> None:
    champion = Champion("7", None, "column s6 is gone")

    verdict = judge(_gate(when_not_comparable=policy), HELD_OUT, FAIR, champion)

    assert verdict.register is register
    assert reason in verdict.reason
    assert not judge(_gate(when_not_comparable=policy), HELD_OUT, POOR, champion).register, "bounds hold all the same"


def test_a_slice_below_its_bound_refuses_and_names_the_group() -> None:
    spoilt = Predictions(ACTUAL, np.where(HELD_OUT["group"] == "few", 500.0, BEST.predicted))
    slices = [{"column": "group", "metric": "rmse", "maximum": 20, "fewest_rows": 5}]

    verdict = judge(_gate(metrics=[{"name": "rmse"}], slices=slices), HELD_OUT, spoilt, None)

    assert not verdict.register
    assert verdict.reason.startswith("rmse of group few is ") and "on 40 rows, outside its bound" in verdict.reason
    accepted = {result.group: result.accepted for result in verdict.slices}
    assert accepted == {"few": False, "many": True}


def test_a_slice_with_few_rows_is_shown_and_not_judged() -> None:
    slices = [{"column": "group", "metric": "rmse", "maximum": 0, "fewest_rows": 50}]

    verdict = judge(_gate(metrics=[{"name": "rmse"}], slices=slices), HELD_OUT, BEST, None)

    assert not verdict.register, "many has enough rows"
    few = next(result for result in verdict.slices if result.group == "few")
    assert few.value is None and few.accepted and few.rows == 40


def test_numbers_with_many_values_are_sliced_by_quartiles() -> None:
    slices = [{"column": "target", "metric": "rmse", "maximum": 100}]

    verdict = judge(_gate(slices=slices), HELD_OUT, BEST, None)

    assert [result.rows for result in verdict.slices] == [50, 50, 50, 50]


def test_groups_of_numbers_are_in_the_order_of_the_numbers() -> None:
    rows = HELD_OUT.assign(rooms=np.resize([10.0, 9.0, 100.0, np.nan], len(HELD_OUT)))
    slices = [
        {"column": "rooms", "metric": "rmse", "maximum": 100},
        {"column": "target", "metric": "rmse", "maximum": 1},
    ]

    verdict = judge(_gate(slices=slices), rows, BEST, None)

    groups = [result.group for result in verdict.slices]
    assert groups[:4] == ["9.0", "10.0", "100.0", "nan"], "numbers, and rows without a value last"
    assert [float(group.strip("(]").split(",")[1]) for group in groups[4:]] == sorted(
        float(group.strip("(]").split(",")[1]) for group in groups[4:]
    ), "quartiles from the least to the greatest"


def test_an_own_metric_gets_the_rows_and_decides() -> None:
    def cost(actual: Any, predicted: Any, rows: pd.DataFrame) -> float:
        weights = np.where(rows["group"] == "few", 10.0, 1.0)
        return float(np.mean(weights * np.abs(actual - predicted)))

    own = _gate(metrics=[{"name": "cost", "direction": "lower"}])

    assert judge(own, HELD_OUT, BEST, Champion("7", FAIR), {"cost": cost}).register
    with pytest.raises(GateError, match=r"the metrics cost are neither built in nor functions of the pipeline's m"):
        judge(own, HELD_OUT, BEST, Champion("7", FAIR))


def _classes(sharpness: float) -> Predictions:
    """Labels and probabilities of two classes; the sharper, the more of them are right."""
    actual = np.where(np.arange(ROWS) % 3 == 0, 1, 0)
    noise = np.random.default_rng(5).uniform(-1, 1, ROWS)
    positive = np.clip(0.5 + (actual - 0.5) * sharpness + noise * (1 - sharpness) / 2, 0, 1)
    return Predictions(actual, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), (0, 1))


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss", "brier", "f1", "recall", "accuracy"])
def test_classification_metrics_know_which_way_is_better(metric: str) -> None:
    gate = _gate(metrics=[{"name": metric}], resamples=100)

    assert judge(gate, HELD_OUT, _classes(0.9), Champion("7", _classes(0.2))).register
    assert not judge(gate, HELD_OUT, _classes(0.2), Champion("7", _classes(0.9))).register


def test_a_group_in_which_a_metric_is_not_defined_is_not_judged() -> None:
    predictions = _classes(0.9)
    rows = pd.DataFrame({"size": np.where(predictions.actual == 1, "large", "small")})
    slices = [{"column": "size", "metric": "recall", "minimum": 0.5}]

    verdict = judge(_gate(metrics=[{"name": "recall"}], slices=slices), rows, predictions, None)

    assert verdict.register
    assert {result.group: result.value for result in verdict.slices} == {"large": 1.0, "small": None}


def test_a_metric_of_probabilities_needs_them() -> None:
    labels = Predictions(_classes(0.5).actual, _classes(0.5).predicted)

    with pytest.raises(GateError, match="roc_auc_score needs probabilities, and the model gives labels alone"):
        judge(_gate(metrics=[{"name": "roc_auc"}]), HELD_OUT, labels, None)
    verdict = judge(_gate(metrics=[{"name": "roc_auc"}]), HELD_OUT, _classes(0.5), Champion("7", labels))
    assert not verdict.register and "cannot be compared: roc_auc_score needs probabilities" in verdict.reason
