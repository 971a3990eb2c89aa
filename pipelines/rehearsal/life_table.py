"""The table at the end of a rehearsal: stage, result, the serving version, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table


@dataclass(frozen=True)
class Outcome:
    """A stage's result in words, and the version that serves in prod after it; empty where none does."""

    text: str
    serves: str = ""


@dataclass(frozen=True)
class Row:
    """A stage that was played. `failed`: the rehearsal ended at this stage."""

    stage: str
    outcome: Outcome
    seconds: float
    failed: bool = False


def show(rows: Sequence[Row], title: str, console: Console) -> None:
    """Print the table."""
    table = Table(
        "stage", Column("result", overflow="fold"), Column("serves", justify="right"),
        Column("seconds", justify="right"), title=title, title_justify="left",
    )  # fmt: skip
    for row in rows:
        text = escape(row.outcome.text)
        table.add_row(
            row.stage, f"[red]failed: {text}[/]" if row.failed else text, row.outcome.serves, f"{row.seconds:.1f}"
        )
    console.print(table)
