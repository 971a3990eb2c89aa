"""The custom metrics of watched files: their names, values and dimensions, and that each is sent once."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.components.watch.src import watch_telemetry
from steps import telemetry
from steps.telemetry import Metric
from tests.unit.steps.windows import history

MODEL = {"model": "m"}


class Store:
    """Marks of sent results, in memory."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def unsent(self, results: Any) -> list[Any]:
        return [result for result in results if result not in self.sent]

    def mark_sent(self, result: Any) -> None:
        self.sent.append(result)


def test_metrics_have_the_model_and_the_column_as_dimensions() -> None:
    breach = history(1).windows[0]

    assert list(watch_telemetry.metrics(breach)) == [
        Metric("watch_breaches", 1, MODEL), Metric("refused_share", 10 / 410, MODEL), Metric("scored_rows", 400, MODEL),
        Metric("missing_share", 0.02, MODEL | {"column": "bmi"}),
        Metric("drift_index", 0.61, MODEL | {"column": "bmi"}),
        Metric("missing_share", 0.0, MODEL | {"column": "city"}),
        Metric("drift_index", 0.01, MODEL | {"column": "city"}),
        Metric("missing_share", 1.0, MODEL | {"column": "opened"}), Metric("prediction_drift_index", 0.305, MODEL),
    ]  # fmt: skip


def test_labels_give_the_realised_metrics_and_breaches_of_their_own() -> None:
    (judgement,) = history(1).judgements.values()

    assert list(watch_telemetry.metrics(judgement)) == [
        Metric("realised_rmse", 55.5, MODEL), Metric("realised_r2", 0.4, MODEL),
    ]  # fmt: skip
    breached = judgement.model_copy(update={"breaches": history(1).windows[0].breaches})
    assert next(iter(watch_telemetry.metrics(breached))) == Metric("watch_breaches", 1, MODEL)


def test_each_result_is_sent_once_and_again_only_when_it_was_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    store, results = Store(), history(3)
    sent: list[int] = []

    def refuse(*_: Any) -> None:
        raise telemetry.TelemetryError("403")

    monkeypatch.setattr(telemetry, "send", refuse)
    with pytest.raises(telemetry.TelemetryError, match="403"):
        watch_telemetry.send(store, results, "InstrumentationKey=k", None)  # type: ignore[arg-type]
    assert store.sent == []

    monkeypatch.setattr(telemetry, "send", lambda _place, metrics, _credential: sent.append(len(metrics)))
    for _ in range(2):
        watch_telemetry.send(store, results, "InstrumentationKey=k", None)  # type: ignore[arg-type]

    assert sent == [3 * 9 + 2], "three windows and a judgement, once"
    assert len(store.sent) == 4
