"""The values of custom metrics, summed up by minute, series and component.

A component is identified here by its instrumentation key: a new one under the same name has no old values. Series
without dimensions are always stored; series with dimensions where the component's CustomMetricsOptedInType is
WithDimensions (learn.microsoft.com/azure/azure-monitor/app/metrics-overview, "Pricing models").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localcloud.core.database import Database

NAMESPACE = "azure.applicationinsights"
"""Namespace of metrics that came by Application Insights. Azure compares it without regard to letter case."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS monitor_metrics (
    component TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    dimensions TEXT NOT NULL,
    minute INTEGER NOT NULL,
    count REAL NOT NULL,
    total REAL NOT NULL,
    minimum REAL NOT NULL,
    maximum REAL NOT NULL,
    PRIMARY KEY (component, name, dimensions, minute)
);
"""
_RETENTION = timedelta(days=93)
"""Azure Monitor's (learn.microsoft.com/azure/azure-monitor/metrics/data-platform-metrics)."""
_MOST_ROWS = 500_000
Dimensions = Mapping[str, str]
NO_DIMENSIONS: Dimensions = {}


@dataclass(frozen=True)
class Sample:
    """A value that a client sent, or the sum of `count` values."""

    name: str
    time: datetime
    total: float
    count: float
    minimum: float
    maximum: float
    dimensions: Dimensions


@dataclass(frozen=True)
class Aggregate:
    """The values of a series in a span of time. There is at least one."""

    count: float
    total: float
    minimum: float
    maximum: float

    def value(self, aggregation: str) -> float:
        """Return one of Count, Average, Minimum, Maximum, Total, in any letter case."""
        values = {"count": self.count, "total": self.total, "minimum": self.minimum, "maximum": self.maximum}
        return self.total / self.count if aggregation.lower() == "average" else values[aggregation.lower()]

    def plus(self, other: Aggregate) -> Aggregate:
        return Aggregate(
            self.count + other.count, self.total + other.total,
            min(self.minimum, other.minimum), max(self.maximum, other.maximum),
        )  # fmt: skip


class MetricStore:
    """A table of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def add(self, component: str, samples: Sequence[Sample], *, with_dimensions: bool, now: datetime) -> None:
        """Store samples, and delete values beyond Azure's retention and this store's limit."""
        with self._database.transaction():
            for sample in samples:
                kept = [NO_DIMENSIONS, sample.dimensions] if with_dimensions and sample.dimensions else [NO_DIMENSIONS]
                for dimensions in kept:
                    self._add(component, sample, dimensions)
            self._database.execute("DELETE FROM monitor_metrics WHERE minute < ?", (_minute(now - _RETENTION),))
            self._database.execute(
                "DELETE FROM monitor_metrics WHERE rowid IN (SELECT rowid FROM monitor_metrics"
                " ORDER BY minute DESC LIMIT -1 OFFSET ?)",
                (_MOST_ROWS,),
            )

    def _add(self, component: str, sample: Sample, dimensions: Dimensions) -> None:
        self._database.execute(
            "INSERT INTO monitor_metrics (component, name, dimensions, minute, count, total, minimum, maximum)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,"
            " total = total + excluded.total, minimum = min(minimum, excluded.minimum),"
            " maximum = max(maximum, excluded.maximum)",
            (
                component, sample.name, _text(dimensions), _minute(sample.time), sample.count, sample.total,
                sample.minimum, sample.maximum,
            ),
        )  # fmt: skip

    def names(self, component: str) -> dict[str, set[str]]:
        """Return the names of a component's metrics with the names of their dimensions."""
        names: dict[str, set[str]] = {}
        for row in self._database.query(
            "SELECT DISTINCT name, dimensions FROM monitor_metrics WHERE component = ? ORDER BY name", (component,)
        ):
            names.setdefault(row["name"], set()).update(json.loads(row["dimensions"]))
        return names

    def series(
        self, component: str, name: str, since: datetime, until: datetime, *, with_dimensions: bool = False
    ) -> dict[tuple[tuple[str, str], ...], list[tuple[datetime, Aggregate]]]:
        """Return the minutes from `since` to before `until`, by dimensions: the series with some, or the one without.

        A span begins and ends with a minute.
        """
        rows = self._database.query(
            "SELECT * FROM monitor_metrics WHERE component = ? AND name = ? AND minute >= ? AND minute < ?"
            " AND (dimensions != ?) = ? ORDER BY minute",
            (component, name, _minute(since), _minute(until), _text(NO_DIMENSIONS), with_dimensions),
        )
        series: dict[tuple[tuple[str, str], ...], list[tuple[datetime, Aggregate]]] = {}
        for row in rows:
            key = tuple(json.loads(row["dimensions"]).items())
            aggregate = Aggregate(row["count"], row["total"], row["minimum"], row["maximum"])
            series.setdefault(key, []).append((datetime.fromtimestamp(row["minute"] * 60, UTC), aggregate))
        return series


def summed(points: Sequence[tuple[datetime, Aggregate]]) -> Aggregate | None:
    """Return the aggregate of a span, None where it is empty."""
    whole: Aggregate | None = None
    for _, aggregate in points:
        whole = aggregate if whole is None else whole.plus(aggregate)
    return whole


def _minute(time: datetime) -> int:
    return int(time.timestamp() // 60)


def _text(dimensions: Dimensions) -> str:
    return json.dumps(dict(sorted(dimensions.items())), separators=(",", ":"))
