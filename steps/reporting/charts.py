"""Charts as inline SVG, in the colours of the page: they follow its light and dark scheme, and run no script.

Every number comes from the report's content and every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 12, 52
_TICKS = 5

Point = tuple[float, float]


class Plot:
    """A chart's plane: values in, coordinates out, and the parts that were drawn on it."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        labels: tuple[str, str],
        *,
        counts: bool = False,
    ) -> None:
        """Plan a chart; `counts`: x has whole numbers alone."""
        self._title, self._labels = title, labels
        self._x, self._y = _ticks(*x, whole=counts), _ticks(*y)
        self._parts: list[Markup] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point is on the page."""
        across = (x - self._x[0]) / (self._x[-1] - self._x[0])
        up = (y - self._y[0]) / (self._y[-1] - self._y[0])
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 1),
        )

    def line(self, points: Sequence[Point], kind: str) -> None:
        """Draw a line through points."""
        self._parts.append(Markup('<polyline class="{}" points="{}"/>').format(kind, self._path(points)))

    def area(self, points: Sequence[Point], kind: str) -> None:
        """Fill the area inside of points."""
        self._parts.append(Markup('<polygon class="{}" points="{}"/>').format(kind, self._path(points)))

    def box(self, left: float, right: float, height: float, kind: str, text: str) -> None:
        """Draw a bar from zero, with a text under the pointer."""
        x, y = self.at(left, height)
        far, base = self.at(right, 0)
        self._parts.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                kind, x + 0.5, y, max(round(far - x - 1, 1), 0.5), round(base - y, 1), text
            )
        )

    def dot(self, x: float, y: float, radius: float, kind: str, text: str) -> None:
        """Draw a dot, with a text under the pointer."""
        across, up = self.at(x, y)
        self._parts.append(
            Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
                kind, across, up, radius, text
            )
        )

    def svg(self) -> Markup:
        """Return the chart."""
        parts = [self._grid(), *self._parts]
        return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            _WIDTH, _HEIGHT, self._title, Markup("").join(parts)
        )

    def _path(self, points: Sequence[Point]) -> str:
        return " ".join("{},{}".format(*self.at(x, y)) for x, y in points)

    def _grid(self) -> Markup:
        parts = []
        for value in self._x:
            x, bottom = self.at(value, self._y[0])
            parts.append(Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, bottom, _TOP))
            parts.append(
                Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    x, bottom + 18, number(value)
                )
            )
        for value in self._y:
            left, y = self.at(self._x[0], value)
            parts.append(
                Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, _WIDTH - _RIGHT, y, y)
            )
            parts.append(
                Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
                    left - 6, y + 5, number(value)
                )
            )
        middle = (_HEIGHT - _BOTTOM + _TOP) / 2
        parts.append(
            Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                (_WIDTH + _LEFT - _RIGHT) / 2, _HEIGHT - 8, self._labels[0]
            )
        )
        parts.append(
            Markup('<text class="axis" x="14" y="{0}" text-anchor="middle" transform="rotate(-90 14 {0})">{1}</text>')
            .format(middle, self._labels[1])
        )  # fmt: skip
        return Markup("").join(parts)


def residual_bands(bands: Sequence[Mapping[str, Any]], target: str) -> Markup:
    """Return residuals by prediction: the middle half, the middle four fifths and the median of each group."""
    xs = [band["predicted"] for band in bands]
    shares = [band["shares"] for band in bands]
    plot = Plot(
        "Residuals by prediction", _range(xs), _range([*(value for row in shares for value in row), 0.0]),
        (f"predicted {_short(target)}", "actual − predicted"),
    )  # fmt: skip
    for low, high, kind in ((0, 4, "band outer"), (1, 3, "band inner")):
        below = [(x, row[low]) for x, row in zip(xs, shares, strict=True)]
        above = [(x, row[high]) for x, row in zip(xs, shares, strict=True)]
        plot.area([*below, *reversed(above)], kind)
    plot.line([(min(xs), 0.0), (max(xs), 0.0)], "zero")
    plot.line([(x, row[2]) for x, row in zip(xs, shares, strict=True)], "new")
    for band in bands:
        text = f"{band['rows']} rows, predicted {number(band['predicted'])}: median {number(band['shares'][2])}"
        plot.dot(band["predicted"], band["shares"][2], 3, "new", text)
    return plot.svg()


def residual_histogram(histogram: Mapping[str, Any]) -> Markup:
    """Return how often residuals of a size are, the champion's as an outline."""
    edges, counts = histogram["edges"], histogram["challenger"]
    former = histogram.get("champion") or []
    plot = Plot(
        "Distribution of residuals", (edges[0], edges[-1]), (0.0, max([*counts, *former, 1])),
        ("actual − predicted", "rows"),
    )  # fmt: skip
    for index, count in enumerate(counts):
        text = f"{number(edges[index])} to {number(edges[index + 1])}: {count} rows"
        plot.box(edges[index], edges[index + 1], count, "new", text)
    if former:
        outline = [
            (edge, count)
            for index, count in enumerate(former)
            for edge in (edges[index], edges[index + 1])
        ]  # fmt: skip
        plot.line([(edges[0], 0.0), *outline, (edges[-1], 0.0)], "champion")
    return plot.svg()


def roc(curves: Mapping[str, Any]) -> Markup:
    """Return the true positive rate by the false positive rate."""
    plot = Plot(f"ROC of {curves['label']}", (0.0, 1.0), (0.0, 1.0), ("false positive rate", "true positive rate"))
    plot.line([(0.0, 0.0), (1.0, 1.0)], "zero")
    if former := curves.get("champion_roc"):
        plot.line([(x, y) for x, y in former], "champion")
    plot.line([(x, y) for x, y in curves["roc"]], "new")
    return plot.svg()


def calibration(curves: Mapping[str, Any]) -> Markup:
    """Return the observed share of the class by the model's probability, in groups of equally many rows."""
    points = curves["calibration"]
    plot = Plot(f"Calibration of {curves['label']}", (0.0, 1.0), (0.0, 1.0), ("predicted probability", "actual share"))
    plot.line([(0.0, 0.0), (1.0, 1.0)], "zero")
    plot.line([(point["predicted"], point["actual"]) for point in points], "new")
    for point in points:
        text = f"{point['rows']} rows: predicted {number(point['predicted'])}, actual {number(point['actual'])}"
        plot.dot(point["predicted"], point["actual"], 4, "new", text)
    return plot.svg()


def gain(low: float, value: float, high: float, margin: float | None) -> Markup:
    """Return a gain with its interval on one line: the middle is no change, to the right is better."""
    reach = max(abs(low), abs(high), abs(value), abs(margin or 0.0)) * 1.1 or 1.0
    low, value, high = (round(80 + 76 * part / reach, 1) for part in (low, value, high))
    parts = [
        Markup('<line class="zero" x1="80" x2="80" y1="2" y2="22"/>'),
        Markup('<line class="interval" x1="{}" x2="{}" y1="12" y2="12"/>').format(low, high),
        Markup('<circle class="new" cx="{}" cy="12" r="4"/>').format(value),
    ]
    if margin is not None:
        place = round(80 + 76 * margin / reach, 1)
        parts.append(Markup('<line class="margin" x1="{0}" x2="{0}" y1="4" y2="20"/>').format(place))
    return Markup(
        '<svg class="gain" viewBox="0 0 160 24" role="img" aria-label="interval of the gain">{}</svg>'
    ).format(Markup("").join(parts))


def shares(values: Sequence[float], names: Sequence[str]) -> Markup:
    """Return a distribution as small bars; `names`, unless empty, are shown under the pointer."""
    most = max(values, default=0.0) or 1.0
    width = 160 / max(len(values), 1)
    parts = [
        Markup('<rect class="new" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
            round(index * width + 0.5, 1), round(24 - 22 * value / most, 1), round(max(width - 1, 0.5), 1),
            round(22 * value / most, 1), f"{names[index]}: {value:.1%}" if names else f"{value:.1%}",
        )
        for index, value in enumerate(values)
    ]  # fmt: skip
    return Markup('<svg class="gain" viewBox="0 0 160 24" role="img" aria-label="distribution">{}</svg>').format(
        Markup("").join(parts)
    )


def number(value: Any, digits: int = 4) -> str:
    """Return a number as people read it: so many significant digits, an en dash for none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int):
        return str(value)
    text = f"{value or 0.0:.{digits}g}"
    return (f"{value:,.0f}" if "e" in text and abs(value) < 1e9 else text).replace("-", "−")


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return round values from below the lowest to above the highest."""
    if not high > low:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next(factor * power for factor in factors if factor * power >= rough * 0.999)
    if whole:
        step = max(step, 1.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
