"""The page of watched files: the newest verdict, trends, columns and windows.

Like a run's report it needs nothing from elsewhere and runs no script. Names of files and columns are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from steps.reporting import trends
from steps.reporting.page import template
from steps.specification import Specification
from steps.watch_results import ColumnWatch, History, Kind, Window, summary

_CLASSES = {"passed": "accepted", "breach": "failed", "too_few_rows": "refused", "not_comparable": "refused"}
_TITLES = {
    "passed": "within its limits",
    "breach": "beyond a limit",
    "too_few_rows": "not judged: too few rows",
    "not_comparable": "not comparable",
}


@dataclass(frozen=True)
class Chart:
    """A trend, and its meaning."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Row:
    """A column of the newest window, and its index in all of them."""

    name: str
    now: ColumnWatch
    beyond: bool
    trend: Markup


def html(specified: Specification, history: History) -> str:
    """Return the page; without a window it has a sentence about that."""
    windows = history.windows
    newest = windows[-1] if windows else None
    verdict = "breach" if newest is not None and history.breaches(newest) else (newest.verdict if newest else "")
    return template("monitoring.html.j2").render(
        specified=specified, history=history, newest=newest, summary=summary,
        kind=_CLASSES.get(verdict, "refused"),
        title=f"The newest file is {_TITLES[verdict]}" if verdict else "No file was watched yet",
        charts=list(_charts(specified, history)) if windows else [],
        rows=[] if newest is None else _rows(windows, newest), moment=moment,
    )  # fmt: skip


def moment(value: datetime) -> str:
    """Return a time as people read it."""
    return f"{value:%Y-%m-%d %H:%M}"


def _charts(specified: Specification, history: History) -> Sequence[Chart]:
    charts = [
        _chart(
            history, "drift", "Drift of the columns", "stability index", _worst_index(lambda window: window.worst),
            "Population stability index of the column that is nearest to its limit, or furthest beyond it. The dashed "
            "line is the limit: the specification's, or a greater one by chance in a file with few rows.",
        ),
        _chart(
            history, "prediction_drift", "Drift of the predictions", "stability index",
            _worst_index(lambda window: window.worst_prediction),
            "The same of the model's predictions, against its predictions for the held-out rows.",
        ),
        _chart(
            history, "refused", "Refused rows", "share of rows",
            lambda window: (window.refused_share, specified.watch.refused if specified.watch else None, ""),
            "Share of rows that were not scored, for a missing or wrong value or a broken rule.",
        ),
    ]  # fmt: skip
    for metric in specified.gate.metrics:
        caption = (
            f"The metric of predictions that have labels; {metric.better} is better. The dashed line is its value on "
            "the held-out rows, when the version was registered."
        )
        value = _realised(history, metric.name)
        charts.append(_chart(history, "realised", f"{metric.name} by labels", metric.name, value, caption, metric.name))
    return [chart for chart in charts if chart is not None]


_Value = Callable[[Window], tuple[float, float | None, str] | None]


def _worst_index(worst: Callable[[Window], tuple[str, ColumnWatch] | None]) -> _Value:
    def value(window: Window) -> tuple[float, float | None, str] | None:
        named = worst(window)
        return None if named is None or named[1].index is None else (named[1].index, named[1].limit, named[0])

    return value


def _realised(history: History, metric: str) -> _Value:
    def value(window: Window) -> tuple[float, float | None, str] | None:
        judged = history.judgements.get(window.id)
        if judged is None or metric not in judged.metrics:
            return None
        return judged.metrics[metric], judged.gate.get(metric), f"{judged.rows_labelled} rows"

    return value


def _chart(
    history: History, kind: Kind, title: str, label: str, value: _Value, caption: str, metric: str | None = None
) -> Chart | None:
    """Return a trend, None without a value. Breaches of `kind` are marked; of one `metric` where there are several."""
    points = []
    for index, window in enumerate(history.windows, 1):
        measured = value(window)
        if measured is not None:
            text = f"{moment(window.scored_at)}, {window.file_name}{f', {measured[2]}' if measured[2] else ''}"
            beyond = any(breach.kind == kind and metric in (None, breach.column) for breach in history.breaches(window))
            points.append(trends.Point(index, measured[0], measured[1], beyond, text))
    return Chart(trends.trend(title, label, points, len(history.windows)), f"{title}: {caption}") if points else None


def _rows(windows: Sequence[Window], newest: Window) -> list[Row]:
    """Return the columns of the newest window, columns beyond their limits first, and then the nearest to it."""
    rows = []
    for name, column in newest.columns.items():
        indexes = [known.index if (known := window.columns.get(name)) else None for window in windows]
        beyond = any(breach.column == name for breach in newest.breaches)
        rows.append(Row(name, column, beyond, trends.bars(indexes, column.limit) if column.limit else Markup("")))
    return sorted(rows, key=lambda row: (not row.beyond, -(row.now.index or 0.0) / (row.now.limit or 1.0)))
