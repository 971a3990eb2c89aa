"""Verb for builds that open work items: episodes that need a person."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mlops import specifications
from mlops.cli_options import Outputs, Pipeline, Stack
from mlops.clients import Clients
from mlops.environment import load_outputs

episodes = typer.Typer()


@episodes.command("episodes")
def list_(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    file: Annotated[Path | None, typer.Option("--file", help="File to write them to as JSON.")] = None,
) -> None:
    """List episodes that need a person: schedules without a target, files that drift or are refused.

    Each has a name of its own, which stays the same as long as the episode lasts.
    """
    from mlops import episodes as module

    loaded = load_outputs(stack, outputs)
    names = [pipeline] if pipeline else specifications.names()
    known = [episode for name in names for episode in module.read(Clients(loaded, specifications.load(name)))]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(episode) for episode in known], indent=2), encoding="utf-8")
    for episode in known:
        typer.echo(f"{episode.title}. {episode.text}")
    if not known:
        typer.echo(f"Nothing on stack {stack} needs a person.")
