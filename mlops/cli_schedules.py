"""The verbs of schedules: list, on, off, and whether one is on for a build that would train as well."""

from __future__ import annotations

import json

import typer

from mlops import specifications
from mlops.cli_inspection import Format
from mlops.cli_options import Outputs, Pipeline, Stack, clients_of
from mlops.clients import Clients
from mlops.environment import load_outputs
from mlops.errors import MissingError

schedule = typer.Typer(no_args_is_help=True, help="Train by itself: the schedules of Azure ML.")


@schedule.command("list")
def list_(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None, output: Format = "table") -> None:
    """Show the schedules of all pipelines, or of one: on or off, when, and which version they run."""
    from mlops import schedules

    loaded = load_outputs(stack, outputs)
    known = [
        scheduled
        for name in ([pipeline] if pipeline else specifications.names())
        if (scheduled := schedules.read(Clients(loaded, training := specifications.load(name)), training.schedule))
    ]
    if output == "json":
        shown = [
            {
                "name": item.name, "on": item.on, "when": item.when, "version": item.version,
                "component_id": item.component_id, "target_exists": item.target_exists,
            }
            for item in known
        ]  # fmt: skip
        typer.echo(json.dumps(shown, indent=2))
        return
    for item in known:
        typer.echo(item.state)
    if not known:
        typer.echo(f"No schedule on stack {stack}: publish a pipeline whose pipeline.yml has the section `schedule`.")


@schedule.command()
def on(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None) -> None:
    """Switch the pipeline's schedule on."""
    from mlops import schedules

    typer.echo(schedules.switch(clients_of(stack, outputs, pipeline), True).state)


@schedule.command()
def off(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None) -> None:
    """Switch the pipeline's schedule off. Runs that are under way go on."""
    from mlops import schedules

    typer.echo(schedules.switch(clients_of(stack, outputs, pipeline), False).state)


def is_on(clients: Clients) -> bool:
    """Whether Azure ML trains the pipeline by itself."""
    from mlops import schedules

    try:
        known = schedules.read(clients, clients.pipeline.schedule)
    except MissingError:
        return False
    return known is not None and known.on
