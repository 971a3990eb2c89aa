"""Measure a job and its floor in turn (A B A B …), so that a machine's drift affects both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Seconds (or `unit`) of each counted pair, and the aim for job ÷ floor, None without one."""

    name: str
    floor_name: str
    aim: float | None
    job: list[float]
    floor: list[float]
    unit: str = "s"

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.job, self.floor, strict=True)]

    @property
    def ratio(self) -> float:
        """Return the median of the pairs' ratios."""
        return statistics.median(self.ratios)


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(
    name: str,
    job: Callable[[], object],
    floor_name: str,
    floor: Callable[[], object],
    *,
    aim: float,
    pairs: int,
    before: Callable[[], object] = lambda: None,
) -> Comparison:
    """Run `pairs` counted pairs after one that is not counted. `before` runs before each job and is not measured."""
    job()
    floor()
    measured: list[tuple[float, float]] = []
    for _ in range(pairs):
        before()
        measured.append((seconds(job), seconds(floor)))
    return Comparison(name, floor_name, aim, [a for a, _ in measured], [b for _, b in measured])
