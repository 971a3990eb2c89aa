"""`python -m pipelines.state --stack dev`: show the copies of a stack's state, or restore one of them."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from azure.core.exceptions import AzureError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.state.backend import BackendError, container_of, project_name
from pipelines.state.checkpoints import Checkpoint
from pipelines.state.restore import RestoreError, check, choose, restore


def show(current: Checkpoint | None, copies: list[Checkpoint]) -> None:
    """Print the state and its copies as a table, newest first."""
    table = Table()
    for column in ("copy", "time (UTC)", "resources", "pending operations", "state"):
        table.add_column(column, overflow="fold")
    for copy in [*([current] if current else []), *copies]:
        usable = Text("damaged: " + copy.damage if copy.damage else "readable")
        time = f"{copy.time:%Y-%m-%d %H:%M:%S}"
        table.add_row(Text(copy.id), time, str(copy.resources), str(copy.pending), usable)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def main(
    stack: Annotated[str, typer.Option(help="The stack whose state is meant.")],
    copy: Annotated[str, typer.Option("--from", help="A copy's id, or `latest`: the newest undamaged one.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the copy that would be restored.")] = False,
) -> None:
    """Show the copies of a stack's state, or restore one of them."""
    try:
        container = container_of(os.environ.get("PULUMI_BACKEND_URL", ""), project_name(), stack)
        current, etag = container.current()
        copies = container.earlier()
        if current is None and not copies:
            raise RestoreError(f"There is no stack {stack!r} in this backend, and no copy of one.")
        if not copy:
            show(current, copies)
            typer.echo(f"To restore a copy: make state-restore STACK={stack} FROM=latest, or FROM= and a copy's id.")
            return
        chosen = choose(current, copies, copy)
        described = f"{chosen.id} of {chosen.time:%Y-%m-%d %H:%M:%S} UTC with {chosen.resources} resources"
        if dry_run:
            typer.echo(f"Would restore {described}. Nothing was changed.")
            return
        kept = restore(container, chosen, current, etag)
        check(stack, chosen.resources)
    except (BackendError, RestoreError, AzureError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Restored {described}; the engine reads it.")
    if kept:
        typer.echo(f"The replaced state is kept as {kept}.")
    typer.echo(f"It lacks later deployments: make drift STACK={stack} compares it with Azure.")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
