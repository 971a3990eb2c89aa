"""Display of installs: one line per task, as a live bar on a terminal, as dated lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int, int], None]
"""Called with (done, total), in the task's own unit."""

_QUIET_SECONDS = 20.0
"""Interval of reports on a running task without a terminal."""


class Progress(Protocol):
    """Reports long tasks; safe to use from several threads."""

    def task(self, title: str) -> AbstractContextManager[Advance]: ...


class Silent:
    """Reports nothing: for tests and for callers with a display of their own."""

    @contextmanager
    def task(self, title: str) -> Iterator[Advance]:
        yield lambda done, total: None


class ConsoleProgress:
    """Reports on standard error; use it as a context manager around all tasks."""

    def __init__(self) -> None:
        # rich costs 0.1 s to import and is needed only when something installs.
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._printing = threading.Lock()

    def __enter__(self) -> ConsoleProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def task(self, title: str) -> Iterator[Advance]:
        bar = self._bars.add_task(title, total=None)
        started = reported = time.monotonic()
        self._line(f"{title} ...")

        def advance(done: int, total: int) -> None:
            nonlocal reported
            self._bars.update(bar, completed=done, total=total)
            now = time.monotonic()
            if now - reported > _QUIET_SECONDS:
                reported = now
                self._line(f"{title}: {done} of {total}, {now - started:.0f} s so far")

        try:
            yield advance
        except BaseException:
            self._bars.update(bar, description=f"{title}: [red]failed[/red]")
            self._bars.stop_task(bar)
            raise
        self._bars.update(bar, completed=1, total=1, description=f"{title}: done")
        self._line(f"{title}: done in {time.monotonic() - started:.1f} s")

    def _line(self, text: str) -> None:
        if not self._console.is_terminal:
            with self._printing:
                self._console.print(text, highlight=False, soft_wrap=True)
