"""Request settings and probes of a deployment: defaults, limits, and their values in seconds.

Source: learn.microsoft.com "CLI (v2) managed online deployment YAML schema" (defaults and limits), the ARM
specification's OnlineRequestSettings and ProbeSettings (ISO 8601 durations).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs.durations import seconds
from localcloud.core.json import Json

LONGEST_REQUEST_SECONDS = 180.0
_REQUESTS: Json = {"maxConcurrentRequestsPerInstance": 1, "maxQueueWait": "PT0.5S", "requestTimeout": "PT5S"}
_PROBE: Json = {
    "initialDelay": "PT10S",
    "period": "PT10S",
    "timeout": "PT2S",
    "successThreshold": 1,
    "failureThreshold": 30,
}
_MOST_CONCURRENT = 1000


@dataclass(frozen=True)
class Probe:
    """Times in seconds."""

    initial_delay: float
    period: float
    timeout: float
    failures: int

    @property
    def longest_start(self) -> float:
        """Return the time after which a container that never answered has failed."""
        return self.initial_delay + self.period * self.failures


def completed(properties: Json) -> None:
    """Fill in requestSettings, livenessProbe and readinessProbe. Raises ServiceError 400 for a value out of range."""
    requests = _REQUESTS | _settings_object(properties, "requestSettings")
    properties["requestSettings"] = requests
    number = requests["maxConcurrentRequestsPerInstance"]
    if not _whole(number, 1) or number > _MOST_CONCURRENT:
        raise _invalid("requestSettings.maxConcurrentRequestsPerInstance", number, f"1 to {_MOST_CONCURRENT}")
    timeout = _duration("requestSettings.requestTimeout", requests["requestTimeout"])
    if not 0 < timeout <= LONGEST_REQUEST_SECONDS:
        raise _invalid("requestSettings.requestTimeout", requests["requestTimeout"], "at most PT3M (180000 ms)")
    _duration("requestSettings.maxQueueWait", requests["maxQueueWait"])
    for name in ("livenessProbe", "readinessProbe"):
        probe = properties[name] = _PROBE | _settings_object(properties, name)
        for field in ("initialDelay", "period", "timeout"):
            if _duration(f"{name}.{field}", probe[field]) < 1:
                raise _invalid(f"{name}.{field}", probe[field], "at least PT1S")
        for field in ("successThreshold", "failureThreshold"):
            if not _whole(probe[field], 1):
                raise _invalid(f"{name}.{field}", probe[field], "at least 1")
        if name == "livenessProbe" and probe["successThreshold"] != 1:
            raise _invalid("livenessProbe.successThreshold", probe["successThreshold"], "1")


def request_timeout(properties: Mapping[str, Any]) -> float:
    """Return the seconds after which a request is answered with 408."""
    return _duration("requestTimeout", properties["requestSettings"]["requestTimeout"])


def most_requests(properties: Mapping[str, Any], instances: int) -> int:
    """Return the number of requests that are accepted at once; others are answered with 429.

    learn.microsoft.com "Troubleshoot online endpoints": 2 * max_concurrent_requests_per_instance * instance_count.
    """
    return 2 * int(properties["requestSettings"]["maxConcurrentRequestsPerInstance"]) * instances


def probe(settings: Mapping[str, Any]) -> Probe:
    """Return the times of a completed livenessProbe or readinessProbe."""
    return Probe(
        _duration("initialDelay", settings["initialDelay"]), _duration("period", settings["period"]),
        _duration("timeout", settings["timeout"]), int(settings["failureThreshold"]),
    )  # fmt: skip


def _settings_object(properties: Json, name: str) -> Json:
    settings = properties.get(name) or {}
    if not isinstance(settings, dict):
        raise user_error(f"properties.{name} must be an object.", code="BadArgument")
    return {key: value for key, value in settings.items() if value is not None}


def _duration(name: str, value: object) -> float:
    try:
        duration = seconds(value) if isinstance(value, str) else None
    except ValueError as error:
        raise user_error(f"{name}: {error}", code="BadArgument") from error
    if duration is None:
        raise user_error(f"{name} {value!r} is not an ISO 8601 duration, such as PT5S.", code="BadArgument")
    return duration


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _invalid(name: str, value: object, right: str) -> Exception:
    return user_error(f"{name} {value!r} is not valid: use {right}.", code="BadArgument")
