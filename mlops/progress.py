"""The steps of an active run: a table with running clocks on a terminal, a line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mlops.history import Step
from mlops.terminal import cell

_PER_SECOND = 2


class Progress(AbstractContextManager["Progress"], Protocol):
    """Shows the steps of a run until the block's end."""

    def show(self, steps: Sequence[Step]) -> bool:
        """Show the steps' states; whether one changed."""


def progress(console: Console, run: str) -> Progress:
    """Return the display that fits the console. A dumb terminal cannot move its cursor."""
    return _Table(console, run) if console.is_terminal and not console.is_dumb_terminal else _Lines(console)


def took(step: Step, now: datetime | None = None) -> str:
    """Return how long a step took, or has taken by `now`, for people."""
    if step.reused:
        return "reused"
    if step.seconds is not None:
        return f"{step.seconds:.1f} s"
    if now is None or step.start is None:
        return ""
    return f"{max(0.0, (now - step.start).total_seconds()):.0f} s"


class _Lines(Progress):
    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, str] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, steps: Sequence[Step]) -> bool:
        changed = _changed(self._states, steps)
        for step in changed:
            ended = took(step)
            detail = f", {ended}" if step.reused else f" after {ended}" if ended else ""
            self._console.print(f"step {step.name} {step.status}{detail}", highlight=False, markup=False, emoji=False)
        return bool(changed)


class _Table(Progress):
    """Table of the steps, removed at the end: the report's table replaces it."""

    def __init__(self, console: Console, run: str) -> None:
        self._run = run
        self._steps: Sequence[Step] = ()
        self._states: dict[str, str] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=_PER_SECOND, transient=True)

    def __enter__(self) -> _Table:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, steps: Sequence[Step]) -> bool:
        self._steps = steps
        self._live.refresh()
        return bool(_changed(self._states, steps))

    def _table(self) -> Table:
        table = Table("step", "state", "time", title=f"Run {self._run}", title_justify="left")
        now = datetime.now(UTC)
        for step in self._steps:
            table.add_row(cell(step.name), cell(step.status), took(step, now))
        return table


def _changed(states: dict[str, str], steps: Iterable[Step]) -> list[Step]:
    changed = [step for step in steps if states.get(step.name) != step.status]
    states.update((step.name, step.status) for step in changed)
    return changed
