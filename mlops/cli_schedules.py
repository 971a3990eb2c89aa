"""The verbs of schedules: list, on, off, and whether one is on for a build that would train as well."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mlops import specifications
from mlops.cli_inspection import Format
from mlops.cli_options import Outputs, Pipeline, Stack, clients_of
from mlops.clients import Clients
from mlops.environment import load_outputs
from mlops.errors import InvalidError, MissingError

schedule = typer.Typer(no_args_is_help=True, help="Train and score by itself: the schedules of Azure ML.")
Score = Annotated[bool, typer.Option("--score", help="The schedule of scoring, instead of training.")]


@schedule.command("list")
def list_(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None, output: Format = "table") -> None:
    """Show the schedules of all pipelines, or of one: on or off, when, and which version they run."""
    from mlops import schedules

    loaded = load_outputs(stack, outputs)
    known = [
        scheduled
        for name in ([pipeline] if pipeline else specifications.names())
        for scheduled in schedules.read_all(Clients(loaded, specifications.load(name)))
    ]
    if output == "json":
        rows = [
            {
                "name": item.name, "on": item.on, "when": item.when, "version": item.version,
                "component_id": item.component_id, "target_exists": item.target_exists,
            }
            for item in known
        ]  # fmt: skip
        typer.echo(json.dumps(rows, indent=2))
        return
    for item in known:
        typer.echo(item.state)
    if not known:
        typer.echo(f"No schedule on stack {stack}: publish a pipeline whose pipeline.yml has the section `schedule`.")


@schedule.command()
def check(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None) -> None:
    """Fail when a schedule that is on runs nothing, since its component's version was deleted."""
    from mlops import episodes

    loaded = load_outputs(stack, outputs)
    names = [pipeline] if pipeline else specifications.names()
    missing = [
        episode for name in names for episode in episodes.gone_targets(Clients(loaded, specifications.load(name)))
    ]
    if missing:
        raise InvalidError("\n".join(f"{episode.title}. {episode.text}" for episode in missing))
    typer.echo(f"Every schedule of stack {stack} that is on has its target.")


@schedule.command()
def on(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None, score: Score = False) -> None:
    """Switch the pipeline's schedule on."""
    _switch(clients_of(stack, outputs, pipeline), True, score)


@schedule.command()
def off(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None, score: Score = False) -> None:
    """Switch the pipeline's schedule off. Active runs go on."""
    _switch(clients_of(stack, outputs, pipeline), False, score)


def _switch(clients: Clients, on: bool, score: bool) -> None:
    from mlops import scheduled_work, schedules

    kind = scheduled_work.SCORING if score else scheduled_work.TRAINING
    typer.echo(schedules.switch(clients, on, kind).state)


def is_on(clients: Clients) -> bool:
    """Whether Azure ML trains the pipeline by itself."""
    from mlops import schedules

    try:
        known = schedules.read(clients, clients.pipeline.schedule)
    except MissingError:
        return False
    return known is not None and known.on
