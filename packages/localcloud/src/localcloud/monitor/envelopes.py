"""Telemetry items in clients' form: JSON, in a list or a line each, and faults of items.

Source: the exporter's models (azure.monitor.opentelemetry.exporter, TelemetryItem) and the messages that clients got:
microsoft/ApplicationInsights-JS (tests of its sender) and microsoft/ApplicationInsights-Java, pull request 2065.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json, parsed
from localcloud.monitor.metric_store import Sample

LARGEST = 4 * 1024 * 1024
"""Bytes of a request, compressed and not."""
_MOST_ITEMS = 10_000
_MOST_DIMENSIONS = 100
_OLDEST = timedelta(days=2)


class ItemError(Exception):
    """An item is refused; `status` is the item's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def items_of(content: bytes, encoding: str) -> list[Any]:
    """Return the items of a request's body.

    Raises ServiceError 400 for a body that is not JSON, 413 for a large one.
    """
    if encoding.lower() == "gzip":
        content = _unzipped(content)
    elif encoding:
        raise ServiceError(415, "UnsupportedMediaType", f"The content encoding '{encoding}' is not known: use gzip.")
    try:
        whole = parsed(content)
        items = whole if isinstance(whole, list) else [whole]
    except ValueError:
        try:
            items = [parsed(line) for line in content.splitlines() if line.strip()]
        except ValueError as error:
            raise ServiceError(400, "BadRequest", f"Invalid JSON: {error}") from error
    if len(items) > _MOST_ITEMS:
        raise too_large()
    return items


def too_large() -> ServiceError:
    return ServiceError(413, "RequestEntityTooLarge", f"A request has at most {LARGEST} bytes and {_MOST_ITEMS} items.")


def _unzipped(content: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(content, LARGEST)
    except zlib.error as error:
        raise ServiceError(400, "BadRequest", f"The body is not gzip: {error}") from error
    if stream.unconsumed_tail:
        raise too_large()
    if not stream.eof:
        raise ServiceError(400, "BadRequest", "The body ends before its gzip stream does.")
    return plain


def instrumentation_key(item: Any) -> str:
    """Return an item's iKey. Raises ItemError 400 for an item without one."""
    if not isinstance(item, dict):
        raise ItemError(400, f"Invalid JSON: an item is an object, not {json.dumps(item)[:100]}")
    return _text(item, "iKey", "Envelope").lower()


def sample_of(item: Json, now: datetime) -> Sample:
    """Return the metric of an item. `now`: the client's clock is the machine's. Raises ItemError."""
    _text(item, "name", "Envelope")
    time = _time(_text(item, "time", "Envelope"))
    if now - time > _OLDEST:
        raise ItemError(
            400,
            "103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - "
            f"{_milliseconds(_OLDEST)}ms, Actual: now - {_milliseconds(now - time)}ms",
        )
    if time - now > _OLDEST:
        raise ItemError(400, f"Field 'time' on type 'Envelope' is more than {_milliseconds(_OLDEST)}ms ahead of now.")
    data = item.get("data")
    if not isinstance(data, dict):
        raise _missing("data", "Envelope", "object")
    kind = _text(data, "baseType", "Data")
    if kind != "MetricData":
        raise ItemError(501, not_emulated(f"telemetry of type {kind[:50]}; it keeps metrics (MetricData)").message)
    content = data.get("baseData")
    metrics = content.get("metrics") if isinstance(content, dict) else None
    if not isinstance(metrics, list) or not metrics or not isinstance(metrics[0], dict):
        raise _missing("metrics", "MetricData", "array")
    if len(metrics) > 1:
        raise ItemError(400, "MetricData has one metric: send an item for each.")
    assert isinstance(content, dict)
    return _sample(metrics[0], time, content.get("properties") or {})


def _sample(metric: Json, time: datetime, properties: Any) -> Sample:
    name = _text(metric, "name", "DataPoint")
    value = _number(metric, "value")
    if value is None:
        raise _missing("value", "DataPoint", "number")
    count = _number(metric, "count") or 1.0
    least, most = _number(metric, "min"), _number(metric, "max")
    mean = value / count
    if not isinstance(properties, Mapping) or len(properties) > _MOST_DIMENSIONS:
        raise ItemError(400, f"Field 'properties' on type 'MetricData' has at most {_MOST_DIMENSIONS} texts by name.")
    dimensions = {str(key)[:150]: str(text)[:1024] for key, text in properties.items()}
    return Sample(
        name[:1024], time, value, count, mean if least is None else least, mean if most is None else most, dimensions
    )


def _text(content: Json, name: str, type_: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise _missing(name, type_, "string")
    return value


def _number(content: Json, name: str) -> float | None:
    value = content.get(name)
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:  # JSON's whole numbers have no bound
        number = math.inf
    if not math.isfinite(number):
        raise ItemError(400, f"Field '{name}' on type 'DataPoint' is not a finite number.")
    return number


def _missing(name: str, type_: str, expected: str) -> ItemError:
    return ItemError(
        400,
        f"109: Field '{name}' on type '{type_}' is required but missing or empty. Expected: {expected}, Actual: "
        "undefined",
    )


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ItemError(400, f"Field 'time' on type 'Envelope' is not a valid date: {text[:60]}") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _milliseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
