"""Queries of custom metrics by Resource Manager: metrics, metricDefinitions and metricNamespaces of a component.

Source: azure-mgmt-monitor 7 (operations and models of api-version 2024-02-01). Platform metrics, such as a workspace's
failed runs, are not stored: queries of them are answered with 501.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import isodate

from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.monitor.ingestion import COMPONENT
from localcloud.monitor.metric_store import NAMESPACE, Aggregate, MetricStore, summed

_VERSIONS = (
    "2017-05-01-preview", "2018-01-01", "2019-07-01", "2021-05-01", "2023-10-01", "2024-02-01",
)  # fmt: skip
_NAMESPACE_VERSIONS = ("2017-12-01-preview", "2024-02-01")
_AGGREGATIONS = ("Average", "Count", "Minimum", "Maximum", "Total")
_INTERVALS = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H", "PT6H", "PT12H", "P1D")
_MOST_POINTS = 11_000
_FILTER = re.compile(r"\s*'?(?P<name>[^']+?)'?\s+eq\s+'(?P<value>[^']*)'\s*", re.IGNORECASE)


class MetricsApi:
    """Handlers of the three operations."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def register(self, ctx: Context) -> None:
        """Register the operations at every resource."""
        for name, handler, versions in (
            ("metrics", self.metrics, _VERSIONS),
            ("metricDefinitions", self.definitions, _VERSIONS),
            ("metricNamespaces", self.namespaces, _NAMESPACE_VERSIONS),
        ):
            ctx.types.register_routes(
                ProviderRoute(
                    method="GET",
                    template=f"{{resource...}}/providers/Microsoft.Insights/{name}",
                    permission=f"Microsoft.Insights/{name}/read",
                    handler=handler,
                    api_versions=versions,
                )
            )

    async def metrics(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return the values of metrics in a time span, by interval and, with a filter, by dimensions."""
        component = _component(ctx, parameters)
        _check_namespace(call, component)
        query = {name.lower(): value for name, value in call.query.items()}
        since, until = _timespan(query.get("timespan"), ctx.clock.now())
        interval = _interval(query.get("interval", "PT1M"), since, until)
        aggregations = _aggregations(query.get("aggregation", "Average"))
        conditions = _conditions(query.get("$filter", ""))
        key = str(component.properties["InstrumentationKey"])
        known = {name.lower(): name for name in self._store.names(key)}
        value = []
        for name in query.get("metricnames", "").split(","):
            metric = name.replace("%2", ",").strip()
            if metric.lower() not in known:
                raise ServiceError(
                    400,
                    "BadRequest",
                    f"Failed to find metric configuration for provider: Microsoft.Insights, resource Type: components, "
                    f"metric: {metric}, Valid metrics: {','.join(known.values())}",
                )
            value.append(
                {
                    "id": f"{component.id}/providers/Microsoft.Insights/metrics/{known[metric.lower()]}",
                    "type": "Microsoft.Insights/metrics",
                    "name": _name(known[metric.lower()]),
                    "unit": "Unspecified",
                    "timeseries": self._timeseries(key, metric, since, until, interval, aggregations, conditions),
                    "errorCode": "Success",
                }
            )
        return {
            "cost": 0,
            "timespan": f"{_stamp(since)}/{_stamp(until)}",
            "interval": isodate.duration_isoformat(interval),
            "value": value,
            "namespace": NAMESPACE,
            "resourceregion": component.location,
        }

    def _timeseries(
        self,
        key: str,
        name: str,
        since: datetime,
        until: datetime,
        interval: timedelta,
        aggregations: tuple[str, ...],
        conditions: Mapping[str, str],
    ) -> list[Json]:
        series = self._store.series(key, name, since, until, with_dimensions=bool(conditions))
        grouped: dict[tuple[tuple[str, str], ...], list[tuple[datetime, Aggregate]]] = {}
        for dimensions, points in series.items():
            own = {label.lower(): (label, text) for label, text in dimensions}
            if all(label in own and expected in ("*", own[label][1]) for label, expected in conditions.items()):
                grouped.setdefault(tuple(own[label] for label in conditions), []).extend(points)
        if not conditions and not grouped:
            grouped[()] = []
        return [
            {
                "metadatavalues": [{"name": _name(label), "value": text} for label, text in dimensions],
                "data": _points(points, since, until, interval, aggregations),
            }
            for dimensions, points in grouped.items()
        ]

    async def definitions(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return the metrics that a component has values of."""
        component = _component(ctx, parameters)
        _check_namespace(call, component)
        names = self._store.names(str(component.properties["InstrumentationKey"]))
        return {
            "value": [
                {
                    "id": f"{component.id}/providers/microsoft.insights/metricdefinitions/{name}",
                    "resourceId": component.id,
                    "namespace": NAMESPACE,
                    "name": _name(name),
                    "isDimensionRequired": False,
                    "unit": "Unspecified",
                    "primaryAggregationType": "Average",
                    "supportedAggregationTypes": ["None", *_AGGREGATIONS],
                    "metricAvailabilities": [{"timeGrain": interval, "retention": "P93D"} for interval in _INTERVALS],
                    "dimensions": [_name(dimension) for dimension in sorted(dimensions)],
                }
                for name, dimensions in names.items()
            ]
        }

    async def namespaces(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return the namespace of custom metrics where a component has some."""
        component = _component(ctx, parameters)
        if not self._store.names(str(component.properties["InstrumentationKey"])):
            return {"value": []}
        return {
            "value": [
                {
                    "id": f"{component.id}/providers/microsoft.insights/metricNamespaces/{NAMESPACE}",
                    "type": "Microsoft.Insights/metricNamespaces",
                    "name": NAMESPACE,
                    "classification": "Custom",
                    "properties": {"metricNamespaceName": NAMESPACE},
                }
            ]
        }


def _component(ctx: Context, parameters: Mapping[str, str]) -> Resource:
    id_ = "/" + parameters["resource"].strip("/")
    resource = ctx.resources.get(id_)
    if resource is None:
        raise ServiceError(404, "ResourceNotFound", f"The Resource '{id_}' was not found.")
    if resource.type != COMPONENT:
        raise not_emulated(f"metrics of {resource.type}; it keeps the custom metrics of {COMPONENT}")
    return resource


def _check_namespace(call: Call, component: Resource) -> None:
    namespace = next((value for name, value in call.query.items() if name.lower() == "metricnamespace"), COMPONENT)
    if namespace.lower() != NAMESPACE:
        raise not_emulated(f"metrics of the namespace {namespace[:100]}; it stores metrics of {NAMESPACE}")


def _timespan(text: str | None, now: datetime) -> tuple[datetime, datetime]:
    if text is None:
        return now - timedelta(hours=1), now
    first, _, last = text.partition("/")
    try:
        times = [datetime.fromisoformat(part) for part in (first, last)]
        since, until = (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC) for time in times)
    except (ValueError, OverflowError) as error:
        raise ServiceError(
            400, "BadRequest", f"The timespan '{text[:100]}' is not valid: give two times, START/END."
        ) from error
    if since >= until:
        raise ServiceError(400, "BadRequest", f"The timespan '{text[:100]}' ends before it begins.")
    return since, until


def _interval(text: str, since: datetime, until: datetime) -> timedelta:
    if text.upper() == "FULL":
        return until - since
    if text.upper() not in _INTERVALS:
        raise ServiceError(
            400,
            "BadRequest",
            f"Detected invalid time grain input '{text[:50]}'. Valid: {', '.join(_INTERVALS)}, FULL.",
        )
    interval: timedelta = isodate.parse_duration(text.upper())
    if (until - since) / interval > _MOST_POINTS:
        raise ServiceError(400, "BadRequest", f"The timespan has more than {_MOST_POINTS} intervals of {text}.")
    return interval


def _aggregations(text: str) -> tuple[str, ...]:
    known = {name.lower(): name for name in _AGGREGATIONS}
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise ServiceError(
            400, "BadRequest", f"The aggregation '{unknown[0][:50]}' is not valid: use {', '.join(_AGGREGATIONS)}."
        )
    return tuple(known[name.lower()] for name in names)


def _conditions(text: str) -> dict[str, str]:
    """Return dimension to value, `*` for a series of each: "model eq 'a' and column eq '*'"."""
    conditions: dict[str, str] = {}
    for part in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text.strip() else []:
        condition = _FILTER.fullmatch(part)
        if condition is None:
            raise not_emulated(f"the metrics filter {text[:100]!r}; it knows NAME eq 'VALUE', joined by and")
        conditions[condition["name"].lower()] = condition["value"]
    return conditions


def _points(
    points: list[tuple[datetime, Aggregate]],
    since: datetime,
    until: datetime,
    interval: timedelta,
    aggregations: tuple[str, ...],
) -> list[Json]:
    """Return each interval of the span; one without values has its time alone."""
    start = since.replace(second=0, microsecond=0)
    buckets: dict[int, list[tuple[datetime, Aggregate]]] = {}
    for time, aggregate in points:
        buckets.setdefault(int((time - start) / interval) if interval < until - since else 0, []).append(
            (time, aggregate)
        )
    data = []
    # A value of the whole span begins with it, also within a minute.
    count = 1 if interval >= until - since else int(-(-(until - start) // interval))
    for index in range(count):
        point: Json = {"timeStamp": _stamp(start + index * interval)}
        whole = summed(buckets.get(index, []))
        if whole is not None:
            point |= {aggregation.lower(): whole.value(aggregation) for aggregation in aggregations}
        data.append(point)
    return data


def _name(value: str) -> Json:
    return {"value": value, "localizedValue": value}


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
