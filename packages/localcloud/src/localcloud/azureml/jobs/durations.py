"""ISO 8601 durations of job limits."""

from __future__ import annotations

from datetime import timedelta

import isodate


def seconds(value: object) -> float | None:
    """Return the seconds of "PT1H30M", or of a number of seconds in the form of component specs. None stays None.

    Raises ValueError for other text, for a negative duration, and for years and months, whose length varies.
    """
    if value is None:
        return None
    if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()):
        return float(value)
    try:
        duration = isodate.parse_duration(str(value))
    except isodate.ISO8601Error:
        duration = None
    # isodate parses "PT", which has no number, as zero.
    if not isinstance(duration, timedelta) or duration < timedelta(0) or str(value).endswith("T"):
        raise ValueError(f"'{value}' is not an ISO 8601 duration, such as PT30M.")
    return duration.total_seconds()
