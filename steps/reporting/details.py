"""Details of the report beside the verdict: intervals, charts' numbers, and the importance of each column.

Everything is an aggregate: a report travels further than the data, so that no row of them is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from steps.gate import Champion, Measure, OwnMetric
from steps.metrics import NotComputableError, Predictions
from steps.reporting.importance import permutation_importance
from steps.specification import Metric, Specification

_RESAMPLES = 100
"""Enough for a displayed interval. The metric that decides has as many as the gate needs."""
_MOST_ROWS = 20_000
_BINS, _FEWEST_ROWS = 10, 5
_CURVE_POINTS = 60
_MOST_CLASSES = 6


def details(
    specified: Specification,
    model: Any,
    rows: pd.DataFrame,
    challenger: Predictions,
    champion: Champion | None,
    own_metrics: Mapping[str, OwnMetric],
) -> dict[str, Any]:
    """Return the numbers as JSON values. `rows` are the held-out rows that both predicted.

    The gate has measured both models before: scikit-learn does not check the same values a thousand times more, which
    takes half of the time.
    """
    import sklearn

    measure = Measure(specified.gate, rows, own_metrics)
    former = None if champion is None else champion.predictions
    charts = _residuals if specified.task == "regression" else _classes
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        return {
            "pipeline": specified.model_dump(mode="json", include={"description", "model", "task", "target", "owners"}),
            "gate": [_rule(metric) for metric in specified.gate.metrics],
            "confidence": specified.gate.confidence,
            "held_out_rows": len(rows),
            "intervals": _intervals(specified, measure, challenger, former),
            **charts(challenger, former),
            "importance": permutation_importance(specified, model, rows, measure, challenger),
        }


def _rule(metric: Metric) -> dict[str, Any]:
    return {"name": metric.name, "better": metric.better, "minimum": metric.minimum, "maximum": metric.maximum}


def _intervals(
    specified: Specification, measure: Measure, challenger: Predictions, former: Predictions | None
) -> dict[str, dict[str, float]]:
    """Return the interval of each metric, and of its gain over the champion, from the same resampled rows.

    The gains of the metrics that the gate compares have their intervals in the verdict.
    """
    compared = {metric.name for metric, _ in specified.gate.compared}
    chance = np.random.default_rng(specified.gate.seed)
    size = min(len(measure.rows), _MOST_ROWS)
    resamples = [chance.integers(0, len(measure.rows), size) for _ in range(_RESAMPLES)]
    tail = (1 - specified.gate.confidence) / 2
    result: dict[str, dict[str, float]] = {}
    for metric in specified.gate.metrics:
        sign = 1.0 if metric.better == "higher" else -1.0
        values = _values(measure, metric.name, challenger, resamples)
        result[metric.name] = _interval("", values, tail)
        if former is not None and metric.name not in compared:
            gains = sign * (values - _values(measure, metric.name, former, resamples))
            result[metric.name] |= _interval("gain_", gains, tail)
    return result


def _values(measure: Measure, name: str, predictions: Predictions, resamples: list[Any]) -> np.ndarray[Any, Any]:
    def value(index: np.ndarray[Any, Any]) -> float:
        try:
            return measure(name, predictions, index)
        except NotComputableError:
            return math.nan  # such as a resample with rows of one class alone

    return np.array([value(index) for index in resamples])


def _interval(prefix: str, values: np.ndarray[Any, Any], tail: float) -> dict[str, float]:
    defined = values[np.isfinite(values)]
    if len(defined) < _RESAMPLES / 2:
        return {}
    low, high = np.quantile(defined, [tail, 1 - tail])
    return {f"{prefix}low": float(low), f"{prefix}high": float(high)}


def _residuals(challenger: Predictions, former: Predictions | None) -> dict[str, Any]:
    """Return the residuals by prediction, in groups of equally many rows, and their distribution beside the former."""
    predicted = challenger.predicted.astype(float)
    residuals = challenger.actual.astype(float) - predicted
    bands = []
    for members in _groups(predicted):
        shares = np.quantile(residuals[members], [0.1, 0.25, 0.5, 0.75, 0.9])
        bands.append({"predicted": float(predicted[members].mean()), "rows": len(members), "shares": shares.tolist()})
    before = None if former is None else former.actual.astype(float) - former.predicted.astype(float)
    edges = np.histogram_bin_edges(residuals if before is None else np.concatenate([residuals, before]), bins=20)
    histogram: dict[str, Any] = {"edges": edges.tolist(), "challenger": np.histogram(residuals, edges)[0].tolist()}
    if before is not None:
        histogram["champion"] = np.histogram(before, edges)[0].tolist()
    return {"residuals": {"bands": bands, "histogram": histogram}}


def _groups(predicted: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Return positions in up to ten groups of equally many rows, at least five, ordered by prediction."""
    return np.array_split(np.argsort(predicted, kind="stable"), min(_BINS, max(1, len(predicted) // _FEWEST_ROWS)))


def _classes(challenger: Predictions, former: Predictions | None) -> dict[str, Any]:
    """Return the confusion of labels, and ROC and calibration of each class where the model returns probabilities."""
    from sklearn.metrics import confusion_matrix

    labels = challenger.classes or tuple(np.unique(np.concatenate([challenger.actual, challenger.predicted])).tolist())
    classes: dict[str, Any] = {
        "confusion": {
            "labels": [str(label) for label in labels],
            "counts": confusion_matrix(challenger.actual, challenger.predicted, labels=list(labels)).tolist(),
        }
    }
    if challenger.probabilities is None:
        return {"classes": classes}
    chosen = labels[-1:] if len(labels) == 2 else labels[:_MOST_CLASSES]
    classes["curves"] = [_curves(challenger, former, label) for label in chosen]
    return {"classes": classes}


def _curves(challenger: Predictions, former: Predictions | None, label: Any) -> dict[str, Any]:
    curves: dict[str, Any] = {"label": str(label), "roc": _roc(challenger, label), "calibration": []}
    if former is not None and former.probabilities is not None and label in former.classes:
        curves["champion_roc"] = _roc(former, label)
    assert challenger.probabilities is not None
    probability = challenger.probabilities[:, challenger.classes.index(label)]
    actual = challenger.actual == label
    for members in _groups(probability):
        shares = {"predicted": float(probability[members].mean()), "actual": float(actual[members].mean())}
        curves["calibration"].append(shares | {"rows": len(members)})
    return curves


def _roc(predictions: Predictions, label: Any) -> list[list[float]]:
    """Return points of the curve, none where all rows are of one class."""
    from sklearn.metrics import roc_curve

    actual = predictions.actual == label
    if actual.all() or not actual.any() or predictions.probabilities is None:
        return []
    false, true, _ = roc_curve(actual, predictions.probabilities[:, predictions.classes.index(label)])
    chosen = np.unique(np.linspace(0, len(false) - 1, min(len(false), _CURVE_POINTS)).astype(int))
    return [[float(false[index]), float(true[index])] for index in chosen]
