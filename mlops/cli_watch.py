"""The verb that shows how scored files differ from the data of the version that scored them."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli_options import Outputs, Pipeline, Stack, clients_of
from mlops.terminal import as_json, console

watching = typer.Typer()


@watching.command()
def watch(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=1000, help="How many windows.")] = 20,
    json_: Annotated[bool, typer.Option("--json", help="Print them as JSON on standard output.")] = False,
) -> None:
    """Show the newest scored files: whether they and their predictions are within the limits of the section watch."""
    from mlops import watching as windows

    clients = clients_of(stack, outputs, pipeline)
    history = windows.read(clients, last)
    if json_:
        typer.echo(as_json(windows.as_json(history)))
    else:
        windows.show(history, clients.pipeline.model, console())
