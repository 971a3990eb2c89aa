"""Completion in shells: of the verbs by typer, of other names by the functions below."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from typing import Any

import click

from mlops import specifications, step_names
from mlops.environment import stack_names

PROGRAM, VARIABLE = "mlops", "_MLOPS_COMPLETE"

_MOST_RUNS = 20
"""Maximum number of runs to offer: a person looks for one of the newest."""


def script(shell: str) -> str:
    """Return the script that a shell evaluates to complete `mlops`."""
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)


def prepare() -> None:
    """Let typer answer a shell's request: it does so by itself only for programs that can install their completion."""
    if VARIABLE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()


def pipelines(incomplete: str) -> list[str]:
    """Return the training pipelines that begin so."""
    return [name for name in specifications.names() if name.startswith(incomplete)]


def stacks(incomplete: str) -> list[str]:
    """Return the stacks that have a settings file and begin so."""
    return [name for name in stack_names() if name.startswith(incomplete)]


def steps(incomplete: str) -> list[str]:
    """Return the names of steps that begin so, of training and scoring runs."""
    return [name for name in (*step_names.TRAINING, *step_names.SCORING) if name.startswith(incomplete)]


def typed_runs(ctx: click.Context, incomplete: str) -> list[str]:
    """Return the runs that begin so, of training and scoring, by the options of the typed line."""
    return runs(ctx.params, incomplete)


def typed_training_runs(ctx: click.Context, incomplete: str) -> list[str]:
    """Return the training runs that begin so, by the options of the typed line."""
    return runs(ctx.params, incomplete, training=True)


def runs(options: Mapping[str, Any], incomplete: str, *, training: bool = False) -> list[str]:
    """Return the newest runs of the stack's pipeline whose names begin so.

    A stack that does not answer has no names to offer: its error would be in the middle of the typed line.
    """
    from mlops import failures, jobs
    from mlops.cli_options import clients_of

    try:
        clients = clients_of(options["stack"], options["outputs"], options["pipeline"])
        listed = jobs.recent(clients) if training else jobs.of_all_kinds(clients)
        names = [job.name for job in islice(listed, _MOST_RUNS)]
    except Exception as error:
        if failures.message(error) is None:
            raise
        return []
    return [name for name in names if name.startswith(incomplete)]
