"""The clock of schedules. Tests move it, so that they need not wait for a Monday."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's time plus an offset, which is zero until it is set, and is lost with the process."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self.on_move: list[Callable[[], None]] = []
        """Called whenever the clock jumps."""

    @property
    def offset(self) -> timedelta:
        return self._offset

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC) + self._offset

    def set(self, moment: datetime | None) -> None:
        """Let it be `moment` now, the machine's own time if None."""
        self._offset = timedelta() if moment is None else moment - datetime.now(UTC)
        for call in self.on_move:
            call()
