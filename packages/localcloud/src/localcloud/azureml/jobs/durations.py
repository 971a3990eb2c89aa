"""ISO 8601 durations of job limits."""

from __future__ import annotations

import re

_DURATION = re.compile(
    r"P(?=\d|T)(?:(?P<days>\d+)D)?(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def seconds(value: object) -> float | None:
    """Of "PT1H30M", or of a number of seconds as component specs have it. None stays None. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()):
        return float(value)
    found = _DURATION.fullmatch(str(value))
    if found is None:
        raise ValueError(f"'{value}' is not an ISO 8601 duration, such as PT30M.")
    return sum(float(number) * _UNITS[unit] for unit, number in found.groupdict().items() if number)
