"""`python -m packages.localcloud.benchmarks [--pairs N] [NAME …]`: each benchmark's ratio to its floor, and its aim."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from packages.localcloud.benchmarks import (
    edits,
    engineering,
    first_up,
    gateway,
    online,
    pipeline_run,
    queued_runs,
    scoring,
    warm_up,
)
from packages.localcloud.benchmarks.pairs import Comparison
from packages.localcloud.benchmarks.shell import MAKEFILE_S, CommandFailed

BENCHMARKS: dict[str, Callable[[int], Comparison]] = {
    "warm-up": warm_up.measure,
    "preview": warm_up.measure_preview,
    "edit-train": edits.measure_train,
    "edit-notebook": edits.measure_notebook,
    "pipeline-run": pipeline_run.measure,
    "first-up": first_up.measure,
    "request": gateway.measure_request,
    "memory": gateway.measure_memory,
    "pause": gateway.measure_pause,
    "rows-1e6": engineering.measure(10**6),
    "rows-1e7": engineering.measure(10**7),
    "rows-1e6-first": engineering.measure_first(10**6),
    "rows-1e6-program": engineering.measure_program(10**6),
    "rows-1e7-program": engineering.measure_program(10**7),
    "rows-slope": engineering.measure_slope(10**6, 5 * 10**6),
    "score-1e5": scoring.measure(10**5),
    "score-1e6": scoring.measure(10**6),
    "score-1e7": scoring.measure(10**7),
    "score-1e5-warm": scoring.measure_warm(10**5),
    "score-1e6-warm": scoring.measure_warm(10**6),
    "score-rows": scoring.measure_rows(10**6, 10**7),
    "score-1e6-memory": scoring.measure_memory(10**6),
    "score-1e7-memory": scoring.measure_memory(10**7),
    "jobs-1": queued_runs.measure(1),
    "jobs-4": queued_runs.measure(4),
    "jobs-16": queued_runs.measure(16),
    "online-1": online.measure(1, 50),
    "online-1-p99": online.measure(1, 99),
    "online-8": online.measure(8, 50),
    "online-8-p99": online.measure(8, 99),
    "online-32": online.measure(32, 50),
    "online-32-p99": online.measure(32, 99),
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(BENCHMARKS)}. All by default.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Counted pairs of job and floor.")] = 5,
) -> None:
    """Measure and print. A missed aim is no error, since machines differ."""
    wanted = names or list(BENCHMARKS)
    if unknown := [name for name in wanted if name not in BENCHMARKS]:
        sys.stderr.write(f"No benchmark is called {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}.\n")
        raise typer.Exit(2)
    for variable, value in MAKEFILE_S.items():
        os.environ.setdefault(variable, value)
    begun = os.getloadavg()[0]
    table = Table("benchmark", "median", "floor", "ratio", "range", "aim")
    try:
        for name in wanted:
            result = BENCHMARKS[name](pairs)
            job, floor = sorted(result.job), sorted(result.floor)
            ratios = sorted(result.ratios)
            table.add_row(
                result.name,
                f"{job[len(job) // 2]:.2f} {result.unit}",
                f"{result.floor_name}: {floor[len(floor) // 2]:.2f} {result.unit}",
                f"{result.ratio:.2f}×",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                "" if result.aim is None else f"≤ {result.aim}×",
            )
    except CommandFailed as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    Console().print(table)
    sys.stdout.write(f"Load of the machine: {begun:.1f} at the beginning, {os.getloadavg()[0]:.1f} at the end.\n")


if __name__ == "__main__":
    typer.run(main)
