"""Whether the criteria of a metric alert rule are met at a moment: pure functions of the rule and the stored values.

Rules on one Application Insights component and its custom metrics, with static thresholds, are evaluated. Rules on
platform metrics, on several resources and with dynamic thresholds are stored, and never fire here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import isodate

from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.monitor.ingestion import COMPONENT
from localcloud.monitor.metric_store import NAMESPACE, MetricStore, summed

_SINGLE = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"
_STATIC = "StaticThresholdCriterion"
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "equals": operator.eq, "equal": operator.eq, "greaterthan": operator.gt, "greaterthanorequal": operator.ge,
    "lessthan": operator.lt, "lessthanorequal": operator.le,
}  # fmt: skip
Combination = tuple[tuple[str, str], ...]
"""Dimensions and their values that a rule distinguishes: () where it names none."""


@dataclass(frozen=True)
class Reading:
    """A criterion of a rule with the value that it has for a combination, None where there is none."""

    criterion: Json
    value: float | None

    @property
    def met(self) -> bool:
        if self.value is None:
            return False
        compare = _OPERATORS[str(self.criterion["operator"]).lower()]
        return compare(self.value, float(self.criterion["threshold"]))


def component_of(ctx: Context, rule: Resource) -> Resource | None:
    """Return the component of a rule, None for a rule that is not evaluated."""
    properties = rule.properties
    criteria = properties["criteria"]
    scopes = properties["scopes"]
    if criteria.get("odata.type") != _SINGLE or len(scopes) != 1 or not properties["enabled"]:
        return None
    for criterion in criteria["allOf"]:
        if str(criterion.get("criterionType", _STATIC)) != _STATIC:
            return None
        if str(criterion.get("metricNamespace", "")).lower() != NAMESPACE:
            return None
    component = ctx.resources.get(str(scopes[0]))
    return component if component is not None and component.type == COMPONENT else None


def window_of(rule: Resource) -> timedelta:
    window: timedelta = isodate.parse_duration(rule.properties["windowSize"])
    return window


def readings(
    store: MetricStore, rule: Resource, component: Resource, moment: datetime
) -> dict[Combination, list[Reading]]:
    """Return the readings of the window that ends at `moment`, for each combination of dimensions with values."""
    key = str(component.properties["InstrumentationKey"])
    since = moment - window_of(rule)
    values = [
        (criterion, _values(store, key, criterion, since, moment)) for criterion in rule.properties["criteria"]["allOf"]
    ]
    combinations: set[Combination] = {combination for _, own in values for combination in own} or {()}
    split = {combination for combination in combinations if combination}
    return {
        combination: [
            Reading(criterion, own.get(combination, own.get(()) if combination else None)) for criterion, own in values
        ]
        for combination in (split or combinations)
    }


def no_readings(rule: Resource) -> list[Reading]:
    """Return the readings of a combination that has no values in the window."""
    return [Reading(criterion, None) for criterion in rule.properties["criteria"]["allOf"]]


def _values(
    store: MetricStore, key: str, criterion: Json, since: datetime, until: datetime
) -> dict[Combination, float]:
    dimensions: Sequence[Json] = criterion.get("dimensions") or []
    series = store.series(key, criterion["metricName"], since, until, with_dimensions=bool(dimensions))
    points: dict[Combination, list[object]] = {}
    for labels, minutes in series.items():
        own = {label.lower(): (label, text) for label, text in labels}
        if all(_selects(dimension, own) for dimension in dimensions):
            combination = tuple(own[str(dimension["name"]).lower()] for dimension in dimensions)
            points.setdefault(combination, []).extend(minutes)
    values: dict[Combination, float] = {}
    for combination, minutes_ in points.items():
        whole = summed(minutes_)  # type: ignore[arg-type]
        if whole is not None:
            values[combination] = whole.value(criterion["timeAggregation"])
    return values


def _selects(dimension: Json, own: Mapping[str, tuple[str, str]]) -> bool:
    name = str(dimension["name"]).lower()
    if name not in own:
        return False
    text, values = own[name][1], [str(value) for value in dimension["values"]]
    if str(dimension["operator"]).lower() == "exclude":
        return text not in values
    return "*" in values or text in values
