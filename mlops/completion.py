"""Completion in shells: of the verbs by typer, of names that the checkout knows by the functions below."""

from __future__ import annotations

import os

from mlops import specifications
from mlops.environment import stack_names

PROGRAM, VARIABLE = "mlops", "_MLOPS_COMPLETE"


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
