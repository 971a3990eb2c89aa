"""Predictions against labels that came later."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops import specifications
from steps import realised
from steps.realised import Labels, LabelsError
from steps.specification import Gate, Metric, Score, Specification
from steps.watch import Watch
from steps.watch_results import Judgement, Window
from tests import samples

NOW = datetime(2026, 11, 29, 12, 41, 7, tzinfo=UTC)
GATE = {"rmse": 1.0}


def _specified(
    task: Any = "regression", metrics: tuple[Metric, ...] = (Metric(name="rmse"),), **labels: Any
) -> Specification:
    section = {"file": "scoring/labels/m.csv", "keys": ["id"]} | labels
    changes = {
        "target": "y", "task": task, "gate": Gate(metrics=metrics, confidence=0.9),
        "score": Score(notebook="n", input="scoring/in/n", keys=("id", "part")),
        "watch": Watch.model_validate({"labels": section, "fewest_rows": 4}),
    }  # fmt: skip
    return specifications.load("diabetes", samples.PIPELINES).specification.model_copy(update=changes)


def _labels(text: str, keys: tuple[str, ...] = ("id",)) -> Labels:
    return realised.read_labels(io.BytesIO(text.encode()), keys, "y")


def _window(scored: int) -> Window:
    return Window(
        id="w", model="m", model_version="3", run="r", attempt="first", file_name="f.csv", file_version="f",
        output="o", scored_at=NOW, watched_at=NOW, rows_read=scored, rows_scored=scored,
        rows_refused=0, verdict="passed",
    )  # fmt: skip


def _judge(predictions: pd.DataFrame, labels: Labels, specified: Specification) -> Judgement | None:
    return realised.judge(_window(len(predictions)), predictions, labels, specified, GATE, NOW)


NUMBERS = pd.DataFrame({"id": [1, 2, 3, 4, 5], "prediction": [10.0, 20.0, 30.0, 40.0, 50.0]})


def test_the_realised_metric_is_of_the_rows_with_a_label() -> None:
    labels = _labels("y,id\n12,1\n20,02\n30,3.0\n44,4\n,5\n99,77\n")

    judgement = _judge(NUMBERS, labels, _specified())

    assert judgement is not None
    assert (judgement.rows_scored, judgement.rows_labelled) == (5, 4)
    assert judgement.metrics == {"rmse": pytest.approx(np.sqrt((4 + 0 + 0 + 16) / 4), abs=1e-6)}
    assert (judgement.gate, judgement.breaches) == ({"rmse": 1.0}, ())
    assert (labels.read, labels.without_label, labels.contradicting) == (6, 1, 0)
    assert realised.unknown_keys(labels, [NUMBERS]) == 1


def test_a_metric_that_is_worse_than_at_the_gate_by_more_than_is_tolerated_is_a_breach() -> None:
    labels = _labels("id,y\n1,12\n2,20\n3,30\n4,44\n5,50\n")

    tolerated = _judge(NUMBERS, labels, _specified(worse_by={"rmse": 1.5}))
    beyond = _judge(NUMBERS, labels, _specified(worse_by={"rmse": 0.5}))
    bounded = _judge(NUMBERS, labels, _specified(metrics=(Metric(name="rmse", maximum=1.9),)))

    assert tolerated is not None and tolerated.breaches == ()
    assert beyond is not None and bounded is not None
    assert [breach.message for breach in (*beyond.breaches, *bounded.breaches)] == [
        "rmse is 2 by the labels, and at most 1.5 is required", "rmse is 2 by the labels, and at most 1.9 is required",
    ]  # fmt: skip


def test_too_few_labels_are_waited_for_and_few_rows_are_no_breach() -> None:
    specified = _specified(complete=0.6, metrics=(Metric(name="rmse", maximum=0.1),))

    assert _judge(NUMBERS, _labels("id,y\n1,12\n2,20\n"), specified) is None
    three = _judge(NUMBERS, _labels("id,y\n1,12\n2,20\n3,30\n"), specified)
    assert three is not None and three.metrics and three.breaches == (), "fewer rows than fewest_rows"


def test_labels_that_contradict_each_other_are_left_out_and_repeated_ones_count_once() -> None:
    labels = _labels("id,y\n1,12\n1,12\n2,20\n2,21\n3,30\n")

    assert (len(labels.rows), labels.contradicting) == (2, 2)


def test_a_key_or_label_that_is_written_in_two_ways_counts_once_and_contradicts_as_the_scored_files_have_it() -> None:
    labels = _labels("id,y\n1,12\n1,12.0\n01, 12\n2,20\n2.0,21\n3,30\n4,44\n5,50\n")

    judgement = _judge(NUMBERS, labels, _specified())

    assert judgement is not None and judgement.rows_labelled == 4, "1 counts once, 2 is left out"
    assert (labels.contradicting, realised.contradicting(labels, [NUMBERS])) == (0, 2)


def test_a_missing_key_has_no_label() -> None:
    rows = NUMBERS.assign(id=[1, 2, 3, 4, None])
    labels = _labels("id,y\n1,12\n2,20\n3,30\n4,44\n,50\nnone,51\n")

    judgement = _judge(rows, labels, _specified())

    assert judgement is not None and judgement.rows_labelled == 4
    assert realised.unknown_keys(labels, [rows]) == 2


@pytest.mark.parametrize(
    ("predictions", "label", "message"),
    [
        ([10.0, 20.0], "nan", "'nan' is no finite number"),
        ([10.0, 20.0], "inf", "'inf' is no finite number"),
        ([1, 0], "inf", "'inf' is no finite number"),
        ([1, 0], "0.5", "'0.5' is no whole number"),
        ([True, False], "maybe", "'maybe' is none of true, 1, 1.0, false, 0, 0.0"),
    ],
)
def test_a_label_that_cannot_be_compared_is_named(predictions: list[Any], label: str, message: str) -> None:
    rows = pd.DataFrame({"id": ["a", "b"], "prediction": predictions})
    task = "regression" if isinstance(predictions[0], float) else "classification"

    with pytest.raises(LabelsError, match=rf"^y has labels that the model does not predict: {message}$"):
        _judge(rows, _labels(f"id,y\na,1\nb,{label}\n"), _specified(task))


def test_several_keys_of_different_types_tell_a_row() -> None:
    rows = NUMBERS.assign(part=["a", "a", "b", "b", "b"], id=[1, 2, 1, 2, 3])
    labels = _labels("id,part,y\n1,a,10\n1,b,30\n2,a,20\n2,b,40\n3,b,50\n3,a,1\n", ("id", "part"))

    judgement = _judge(rows, labels, _specified(keys=["id", "part"]))

    assert judgement is not None and judgement.metrics == {"rmse": 0.0}
    assert realised.unknown_keys(labels, [rows]) == 1


def test_classes_are_compared_with_their_probabilities() -> None:
    metrics = (Metric(name="accuracy"), Metric(name="log_loss"), Metric(name="own", direction="higher"))
    rows = pd.DataFrame({
        "id": list("abcd"), "prediction": [0, 1, 1, 0], "probability_0": [0.9, 0.2, 0.4, 0.8],
        "probability_1": [0.1, 0.8, 0.6, 0.2],
    })  # fmt: skip

    judgement = _judge(rows, _labels("id,y\na,0\nb,1\nc,0\nd,0\n"), _specified("classification", metrics))

    assert judgement is not None
    assert judgement.metrics["accuracy"] == 0.75
    assert judgement.metrics["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.8]).mean(), abs=1e-5)
    assert judgement.not_computed == {"own": "it is the pipeline's own, which needs the features"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not a CSV file with a header"),
        ("id,z\n1,2\n", r"its header lacks y: it has id, z$"),
    ],
)
def test_a_file_without_keys_or_labels_is_refused(text: str, message: str) -> None:
    with pytest.raises(LabelsError, match=message):
        _labels(text)


def test_labels_of_another_kind_than_the_target_are_refused() -> None:
    labels = _labels("id,y\n1,much\n2,20\n3,30\n4,40\n5,50\n")

    with pytest.raises(LabelsError, match="y has labels that the model does not predict"):
        _judge(NUMBERS, labels, _specified())
