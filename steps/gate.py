"""The gate: whether a new model, the challenger, is registered. It is judged with the champion on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from steps.metrics import BUILT_IN, NotComputableError, Predictions
from steps.specification import Gate, Metric, Slice

OwnMetric = Callable[[Any, Any, pd.DataFrame], float]
"""A pipeline's own metric: of actual values, predicted values and the held-out rows."""

_MOST_ROWS = 50_000
"""Rows that are resampled. More would make the interval narrower than a decision needs, and the step take minutes."""
_LOST_SHARE = 0.1
_MOST_GROUPS = 20


@dataclass(frozen=True)
class Champion:
    """The version that serves: its predictions, or why it has none."""

    version: str
    predictions: Predictions | None
    problem: str = ""


@dataclass(frozen=True)
class Comparison:
    """A metric of challenger and champion. `gain` is positive where the challenger is better.

    `low`, `high`: the gain's interval at the gate's confidence. `probability`: of a gain above the margin.
    """

    metric: str
    challenger: float
    champion: float
    gain: float
    low: float
    high: float
    margin: float
    probability: float


@dataclass(frozen=True)
class SliceResult:
    """A metric on the rows with one value of a column; None where there are too few rows, or it is not defined."""

    column: str
    group: str
    rows: int
    metric: str
    value: float | None
    accepted: bool


@dataclass(frozen=True)
class Verdict:
    """The decision, its reason as a sentence's part, and all numbers that led to it."""

    register: bool
    reason: str
    metrics: dict[str, float]
    champion_version: str | None = None
    champion_metrics: dict[str, float] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    slices: tuple[SliceResult, ...] = ()


class GateError(Exception):
    """The gate cannot be applied to the challenger; the text has the reason."""


def judge(
    gate: Gate,
    rows: pd.DataFrame,
    challenger: Predictions,
    champion: Champion | None,
    own_metrics: Mapping[str, OwnMetric] | None = None,
) -> Verdict:
    """Decide. `rows` are the held-out rows that both predicted; `champion` is None for the first version.

    Raises GateError when a metric cannot be computed for the challenger.
    """
    measure = Measure(gate, rows, own_metrics or {})
    try:
        values = {metric.name: measure(metric.name, challenger) for metric in gate.metrics}
    except NotComputableError as error:
        raise GateError(str(error)) from error
    slices = tuple(result for part in gate.slices for result in _slice(part, gate, measure, challenger))

    def verdict(register: bool, reason: str, **more: Any) -> Verdict:
        version = None if champion is None else champion.version
        return Verdict(register, reason, values, champion_version=version, slices=slices, **more)

    refused = [problem for metric in gate.metrics if (problem := _out_of_bounds(metric, values[metric.name]))]
    refused += [
        f"{result.metric} of {result.column} {result.group} is {result.value:.4f} on {result.rows} rows, "
        "outside its bound"
        for result in slices
        if not result.accepted
    ]
    if champion is None:
        return verdict(not refused, "; ".join(refused) or "it is the first version")
    comparisons, former, problem = _compare_all(gate, measure, _Judged(challenger, values), champion)
    more: dict[str, Any] = {"champion_metrics": former, "comparisons": comparisons}
    if refused:
        return verdict(False, "; ".join(refused), **more)
    if problem:
        reason = f"version {champion.version}, which serves, cannot be compared: {problem}"
        if gate.when_not_comparable == "accept":
            return verdict(True, f"{reason}; accepted by its own bounds (gate.when_not_comparable: accept)", **more)
        return verdict(False, f"{reason} (gate.when_not_comparable: refuse)", **more)
    lost = [comparison for comparison in comparisons if comparison.probability < gate.confidence]
    reasons = (_sentence(comparison, champion.version, gate) for comparison in lost or comparisons)
    return verdict(not lost, "; ".join(reasons), **more)


class Measure:
    """Computes metrics by name on all of the held-out rows, or on some of them by position."""

    def __init__(self, gate: Gate, rows: pd.DataFrame, own: Mapping[str, OwnMetric]) -> None:
        self.rows = rows
        self._own = own
        if unknown := [
            metric.name for metric in gate.metrics if metric.name not in own and metric.name not in BUILT_IN
        ]:
            raise GateError(
                f"the metrics {', '.join(unknown)} are neither built in nor functions of the pipeline's metrics.py"
            )

    def __call__(self, name: str, predictions: Predictions, index: np.ndarray[Any, Any] | None = None) -> float:
        return self.of(name, predictions if index is None else predictions.rows(index), index)

    def of(self, name: str, chosen: Predictions, index: np.ndarray[Any, Any] | None = None) -> float:
        """Return the metric of predictions for the rows at these positions."""
        own = self._own.get(name)
        if own is None:
            return BUILT_IN[name].compute(chosen)
        rows = self.rows if index is None else self.rows.iloc[index]
        return float(own(chosen.actual, chosen.predicted, rows))


@dataclass(frozen=True)
class _Judged:
    """A model's predictions, and its metrics on all of the rows."""

    predictions: Predictions
    metrics: Mapping[str, float]


def _compare_all(
    gate: Gate, measure: Measure, challenger: _Judged, champion: Champion
) -> tuple[tuple[Comparison, ...], dict[str, float], str]:
    """Return the comparisons, the champion's metrics, and why there are none."""
    if champion.predictions is None:
        return (), {}, champion.problem
    try:
        former = {metric.name: measure(metric.name, champion.predictions) for metric in gate.metrics}
        comparisons = tuple(
            _compare(metric, margin, gate, measure, challenger, _Judged(champion.predictions, former))
            for metric, margin in gate.compared
        )
    except NotComputableError as error:
        return (), {}, str(error)
    return comparisons, former, ""


def _compare(
    metric: Metric, margin: float, gate: Gate, measure: Measure, challenger: _Judged, champion: _Judged
) -> Comparison:
    """Compare by a paired bootstrap: both models are measured on the same resampled rows."""
    sign = 1.0 if metric.better == "higher" else -1.0
    positions = np.arange(len(measure.rows))
    if len(positions) > _MOST_ROWS:
        positions = np.random.default_rng(gate.seed).choice(positions, _MOST_ROWS, replace=False)

    def gain(index: np.ndarray[Any, Any]) -> float:
        try:
            new, former = (measure(metric.name, model.predictions, index) for model in (challenger, champion))
            return sign * (new - former)
        except NotComputableError:
            return float("nan")  # such as a resample with rows of one class alone

    bootstrap = stats.bootstrap(
        (positions,), gain, vectorized=False, n_resamples=gate.resamples, method="percentile",
        random_state=np.random.default_rng(gate.seed),
    )  # fmt: skip
    gains = bootstrap.bootstrap_distribution
    defined = gains[~np.isnan(gains)]
    if len(defined) < (1 - _LOST_SHARE) * len(gains):
        raise NotComputableError(f"{metric.name} is not defined on resampled rows: there are too few of a class")
    tail = (1 - gate.confidence) / 2
    new, former = challenger.metrics[metric.name], champion.metrics[metric.name]
    return Comparison(
        metric=metric.name, challenger=new, champion=former, gain=sign * (new - former),
        low=float(np.quantile(defined, tail)), high=float(np.quantile(defined, 1 - tail)), margin=margin,
        probability=float(np.mean(defined > margin)),
    )  # fmt: skip


def _out_of_bounds(metric: Metric, value: float) -> str:
    if not np.isfinite(value):
        return f"{metric.name} is {value}, which is no number"
    if metric.minimum is not None and value < metric.minimum:
        return f"{metric.name} {value:.4f} is below its minimum {metric.minimum:g}"
    if metric.maximum is not None and value > metric.maximum:
        return f"{metric.name} {value:.4f} is above its maximum {metric.maximum:g}"
    return ""


def _slice(part: Slice, gate: Gate, measure: Measure, predictions: Predictions) -> list[SliceResult]:
    """Return a result for each group, in the order of the values. Numbers with many values are grouped by quartiles."""
    values = measure.rows[part.column].reset_index(drop=True)
    if values.nunique() > _MOST_GROUPS and pd.api.types.is_numeric_dtype(values):
        values = pd.qcut(values, 4, duplicates="drop")
    bound = Metric(
        name=part.metric, direction=_direction(gate, part.metric), minimum=part.minimum, maximum=part.maximum
    )
    results = []
    for group, members in values.groupby(values, sort=True, dropna=False, observed=True):
        index = members.index.to_numpy()
        value = None
        if len(index) >= part.fewest_rows:
            try:
                value = measure(part.metric, predictions, index)
            except NotComputableError:
                value = None
        if value is not None and np.isnan(value):
            value = None
        accepted = value is None or not _out_of_bounds(bound, value)
        results.append(SliceResult(part.column, str(group), len(index), part.metric, value, accepted))
    return results


def _direction(gate: Gate, name: str) -> Any:
    return next(metric.direction for metric in gate.metrics if metric.name == name)


def _sentence(comparison: Comparison, version: str, gate: Gate) -> str:
    worse = comparison.probability < gate.confidence
    return (
        f"{comparison.metric} {comparison.challenger:.4f} is {'not ' if worse else ''}better than version {version}'s "
        f"{comparison.champion:.4f} by more than {comparison.margin:g}: probability {comparison.probability:.2f}, "
        f"and {gate.confidence:g} is asked for"
    )
