"""Trends over windows as inline SVG, in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from steps.reporting.charts import Plot, number


@dataclass(frozen=True)
class Point:
    """A value of a window beside its comparison; `text` is shown under the pointer."""

    window: int
    value: float
    limit: float | None
    beyond: bool
    """Whether it is a breach."""
    text: str


def trend(title: str, label: str, points: Sequence[Point], windows: int) -> Markup:
    """Return values by window, breaches in another colour, and their comparison as a dashed line.

    `windows` is the number of all: some may have no value.
    """
    limits = [(float(point.window), point.limit) for point in points if point.limit is not None]
    highest = max([*(point.value for point in points), *(limit for _, limit in limits)], default=1.0)
    lowest = min(0.0, *(point.value for point in points)) if points else 0.0
    plot = Plot(
        title,
        (1.0, float(max(windows, 2))),
        (lowest, highest or 1.0),
        ("window, the newest is the last", label),
        counts=True,
    )
    if limits:
        plot.line(limits if len(limits) > 1 else [*limits, (limits[0][0] + 0.5, limits[0][1])], "champion")
    plot.line([(point.window, point.value) for point in points], "new")
    for point in points:
        plot.dot(
            point.window, point.value, 4, "beyond" if point.beyond else "new", f"{point.text}: {number(point.value)}"
        )
    return plot.svg()


def bars(values: Sequence[float | None], limit: float) -> Markup:
    """Return values by window as small bars against a limit, which is a line."""
    most = max([limit, *(value for value in values if value is not None)]) or 1.0
    width = 160 / max(len(values), 1)
    parts = [
        Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
            "beyond" if value > limit else "new", round(index * width + 0.5, 1), round(24 - 22 * value / most, 1),
            round(max(width - 1, 0.5), 1), round(max(22 * value / most, 0.5), 1), number(value),
        )
        for index, value in enumerate(values) if value is not None
    ]  # fmt: skip
    place = round(24 - 22 * limit / most, 1)
    parts.append(Markup('<line class="margin" x1="0" x2="160" y1="{0}" y2="{0}"/>').format(place))
    return Markup('<svg class="gain" viewBox="0 0 160 24" role="img" aria-label="trend">{}</svg>').format(
        Markup("").join(parts)
    )
