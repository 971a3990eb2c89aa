"""Time zones by the names that Windows has for them, which Azure ML's schedules use (Unicode's table, by tzlocal)."""

from __future__ import annotations

import difflib
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win, win_tz


def fault(name: str) -> str | None:
    """Return the fault of a name, None when Azure ML accepts it."""
    if name in win_tz:
        return None
    close = tz_win.get(name)
    similar = difflib.get_close_matches(name, win_tz, n=2, cutoff=0.75)
    proposed = f"did you mean {' or '.join(similar)}?" if similar else "such as W. Europe Standard Time or UTC"
    hint = f"{name} is {close} there" if close else proposed
    return f"Azure ML takes the names that Windows has for time zones: {hint}"


def zone(name: str) -> ZoneInfo:
    """Return the time zone of a name. Raises KeyError for a name that has a fault."""
    return ZoneInfo(win_tz[name])
