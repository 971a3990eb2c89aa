"""The time as Databricks writes it."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the milliseconds since the epoch."""
    return int(time.time() * 1000)
