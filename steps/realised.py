"""Predictions against later labels: the metrics of the gate on scored rows that have labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from steps.metrics import BUILT_IN, NotComputableError, Predictions
from steps.scored_measures import PREDICTION
from steps.specification import Metric, Specification
from steps.watch_results import Breach, Judgement, Window

_LABEL = "_label"
_TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


class LabelsError(Exception):
    """The file of labels cannot be used; the text has the reason."""


@dataclass(frozen=True)
class Labels:
    """Labels by their keys, as texts: each key once. `column` is the target's name."""

    rows: pd.DataFrame
    keys: tuple[str, ...]
    read: int
    without_label: int
    contradicting: int


def read_labels(stream: BinaryIO, keys: Sequence[str], target: str) -> Labels:
    """Read a CSV file with the keys and the target. Raises LabelsError when it lacks one of them, or is no CSV file."""
    try:
        content = pd.read_csv(stream, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise LabelsError(f"it is not a CSV file with a header: {error}") from error
    if missing := [name for name in (*keys, target) if name not in content]:
        raise LabelsError(f"its header lacks {', '.join(missing)}: it has {', '.join(map(str, content.columns))}")
    rows = content[[*keys, target]].rename(columns={target: _LABEL})
    rows[_LABEL] = rows[_LABEL].str.strip()
    labelled = _distinct(rows[rows[_LABEL] != ""], [*keys, _LABEL])
    twice = labelled.duplicated(list(keys), keep=False)
    without = int((rows[_LABEL] == "").sum())
    return Labels(labelled[~twice].reset_index(drop=True), tuple(keys), len(content), without, int(twice.sum()))


def _distinct(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the rows that differ in the columns: 12 and 12.0 are the same label."""
    numbers = pd.to_numeric(rows[_LABEL], errors="coerce")
    same = rows.assign(**{_LABEL: numbers.astype(object).where(numbers.notna(), rows[_LABEL])}).duplicated(columns)
    return rows[~same]


def judge(
    window: Window,
    predictions: pd.DataFrame,
    labels: Labels,
    specified: Specification,
    gate: Mapping[str, float],
    at: datetime,
) -> Judgement | None:
    """Return how good a window's predictions were; None as long as too few of its rows have a label.

    `gate` has the metrics of the version on its held-out rows. Raises LabelsError for labels that are not of the
    target's kind.
    """
    assert specified.watch is not None and specified.watch.labels is not None
    matched = match(predictions, labels)
    if len(matched) < specified.watch.labels.complete * window.rows_scored:
        return None
    pairs = _pairs(matched, specified)
    metrics, not_computed = _metrics(pairs, specified)
    known = {name: gate[name] for name in metrics if name in gate}
    enough = len(matched) >= specified.watch.fewest_rows
    breaches = _breaches(metrics, known, specified) if enough else ()
    return Judgement(
        window=window.id, model=window.model, model_version=window.model_version, judged_at=at,
        rows_scored=window.rows_scored, rows_labelled=len(matched), metrics=metrics, gate=known,
        not_computed=not_computed, breaches=breaches,
    )  # fmt: skip


def match(predictions: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return the predictions that have a label, with it. A missing key is no key."""
    keys = list(labels.keys)
    rows = _distinct(_typed(labels, predictions).dropna(subset=keys), [*keys, _LABEL])
    return (
        key_texts(predictions, keys)
        .join(predictions.drop(columns=keys))
        .dropna(subset=keys)
        .merge(rows[~rows.duplicated(keys, keep=False)], on=keys, how="inner")
    )


def unknown_keys(labels: Labels, known: Sequence[pd.DataFrame]) -> int:
    """Return the number of labels whose keys none of the scored files has."""
    left = labels.rows.index
    for predictions in known:
        keys = list(labels.keys)
        present = pd.MultiIndex.from_frame(key_texts(predictions, keys))
        typed = _typed(labels, predictions).loc[left, keys]
        left = left[typed.isna().any(axis=1) | ~pd.MultiIndex.from_frame(typed).isin(present)]
    return len(left)


def contradicting(labels: Labels, known: Sequence[pd.DataFrame]) -> int:
    """Return the number of labels that contradict another of the same key, as scored files write it: 7 is also 07."""
    keys = list(labels.keys)
    more = 0
    for predictions in known:
        rows = _distinct(_typed(labels, predictions).dropna(subset=keys), [*keys, _LABEL])
        more = max(more, int(rows.duplicated(keys, keep=False).sum()))
    return labels.contradicting + more


def key_texts(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the keys as texts: numbers as floats write themselves, so that 7, 7.0 and 07 are the same."""
    return pd.DataFrame(
        {key: rows[key].astype(float) if _is_number(rows[key]) else rows[key].astype(str) for key in keys}
    )


def _typed(labels: Labels, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the labels with keys of the types that the predictions have."""
    typed = {
        key: pd.to_numeric(labels.rows[key], errors="coerce").astype(float)
        for key in labels.keys
        if _is_number(predictions[key])
    }
    return labels.rows.assign(**typed)


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _pairs(matched: pd.DataFrame, specified: Specification) -> Predictions:
    predicted = matched[PREDICTION].to_numpy()
    prefix = "probability_"
    names = [str(name) for name in matched.columns if str(name).startswith(prefix)]
    try:
        actual = _as_kind(matched[_LABEL].tolist(), predicted, classes=specified.task == "classification")
        classes = tuple(_as_kind([name.removeprefix(prefix) for name in names], predicted, classes=True).tolist())
    except ValueError as error:
        raise LabelsError(f"{specified.target} has labels that the model does not predict: {error}") from error
    return Predictions(actual, predicted, matched[names].to_numpy() if names else None, classes)


def _as_kind(texts: list[str], like: np.ndarray[Any, Any], *, classes: bool) -> np.ndarray[Any, Any]:
    """Return texts as values of the kind that an array has; numbers that are no classes may have a fraction.

    Raises ValueError that names the first text without such a value.
    """
    kind = like.dtype.kind
    if kind == "b":
        return np.array([_truth(text) for text in texts])
    if kind not in "fiu":
        return np.array(texts, dtype=object)
    values = np.array([_number(text) for text in texts])
    if kind == "f" or not classes:
        return values
    whole = values.astype(np.int64)
    if (fractions := values != whole).any():
        raise ValueError(f"{texts[int(fractions.argmax())]!r} is no whole number")
    return whole


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not np.isfinite(value):
        raise ValueError(f"{text!r} is no finite number")
    return value


def _truth(text: str) -> bool:
    lowered = text.lower()
    if lowered not in _TRUTHS:
        raise ValueError(f"{text!r} is none of {', '.join(_TRUTHS)}")
    return _TRUTHS[lowered]


def _metrics(pairs: Predictions, specified: Specification) -> tuple[dict[str, float], dict[str, str]]:
    metrics: dict[str, float] = {}
    not_computed: dict[str, str] = {}
    for metric in specified.gate.metrics:
        built_in = BUILT_IN.get(metric.name)
        if built_in is None:
            not_computed[metric.name] = "it is the pipeline's own, which needs the features"
            continue
        try:
            value = built_in.compute(pairs)
        except NotComputableError as error:
            not_computed[metric.name] = str(error)
            continue
        if np.isfinite(value):
            metrics[metric.name] = round(value, 6)
        else:
            not_computed[metric.name] = "it is not defined on these rows"
    return metrics, not_computed


def _breaches(metrics: Mapping[str, float], gate: Mapping[str, float], specified: Specification) -> tuple[Breach, ...]:
    assert specified.watch is not None and specified.watch.labels is not None
    worse_by = specified.watch.labels.worse_by
    breaches = []
    for metric in specified.gate.metrics:
        if metric.name in metrics and (limits := list(_limits(metric, gate, worse_by))):
            higher = metric.better == "higher"
            limit = max(limits) if higher else min(limits)
            value = metrics[metric.name]
            if value < limit if higher else value > limit:
                breaches.append(Breach(
                    kind="realised", column=metric.name, measured=value, limit=limit,
                    message=f"{metric.name} is {value:.4g} by the labels, and "
                    f"{'at least' if higher else 'at most'} {limit:.4g} is required",
                ))  # fmt: skip
    return tuple(breaches)


def _limits(metric: Metric, gate: Mapping[str, float], worse_by: Mapping[str, float]) -> list[float]:
    higher = metric.better == "higher"
    own = metric.minimum if higher else metric.maximum
    limits = [] if own is None else [own]
    if metric.name in worse_by and metric.name in gate:
        tolerated = worse_by[metric.name]
        limits.append(gate[metric.name] - tolerated if higher else gate[metric.name] + tolerated)
    return limits
