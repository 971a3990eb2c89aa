"""Records of a build, and their table: stages, jobs and steps with results, durations and reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Column, Table

from pipeline_runner.results import Result


@dataclass
class Record:
    """The outcome of a stage, job or step. `note` is the reason of a skip or failure."""

    title: str
    result: Result = Result.SUCCEEDED
    seconds: float = 0.0
    note: str = ""
    parts: list[Record] = field(default_factory=list)


_STYLE = {
    Result.SUCCEEDED: "green", Result.ISSUES: "yellow", Result.FAILED: "red", Result.CANCELED: "red",
    Result.SKIPPED: "dim",
}  # fmt: skip


def show(stages: list[Record], title: str, console: Console) -> None:
    """Print stages, jobs and failed steps as a table, and below it the steps that were not played."""
    table = Table(
        "stage, job", "result", Column("duration", justify="right"), Column("note", overflow="fold"), title=title
    )
    for stage in stages:
        table.add_row(*_cells(stage, ""))
        for job in stage.parts:
            table.add_row(*_cells(job, "  "))
            for step in job.parts:
                if step.result is Result.FAILED:
                    table.add_row(*_cells(step, "    "))
    console.print(table)
    skipped: dict[str, int] = {}
    for stage in stages:
        for job in stage.parts:
            for step in job.parts:
                if step.result is Result.SKIPPED and step.note:
                    line = f"{step.title}: {step.note}"
                    skipped[line] = skipped.get(line, 0) + 1
    if skipped:
        console.print("Not played:", highlight=False)
        for line, count in skipped.items():
            console.print(f"  {count}× {line}", highlight=False, markup=False)


def _cells(record: Record, indent: str) -> tuple[str, str, str, str]:
    style = _STYLE[record.result]
    duration = "" if record.result is Result.SKIPPED else f"{record.seconds:.1f} s"
    return f"{indent}{record.title}", f"[{style}]{record.result}[/]", duration, record.note
