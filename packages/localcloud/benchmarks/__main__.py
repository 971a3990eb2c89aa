"""`python -m benchmarks [--pairs N] [NAME …]`: print each benchmark's ratio against its floor, and its aim."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from packages.localcloud.benchmarks import pipeline_run, warm_up
from packages.localcloud.benchmarks.pairs import Comparison
from packages.localcloud.benchmarks.shell import CommandFailed

BENCHMARKS: dict[str, Callable[[int], Comparison]] = {
    "warm-up": warm_up.measure,
    "pipeline-run": pipeline_run.measure,
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
    table = Table("benchmark", "median", "floor", "ratio", "range", "aim")
    try:
        for name in wanted:
            result = BENCHMARKS[name](pairs)
            job, floor = sorted(result.job), sorted(result.floor)
            ratios = sorted(result.ratios)
            table.add_row(
                result.name,
                f"{job[len(job) // 2]:.2f} s",
                f"{result.floor_name}: {floor[len(floor) // 2]:.2f} s",
                f"{result.ratio:.2f}×",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                f"≤ {result.aim}×",
            )
    except CommandFailed as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
