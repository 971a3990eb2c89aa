"""Options that several verbs share, and clients made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops import completion, specifications
from mlops.clients import Clients
from mlops.environment import load_outputs

Stack = Annotated[
    str,
    typer.Option(
        help="Pulumi stack whose outputs say where everything is.", envvar="STACK", autocompletion=completion.stacks
    ),
]
Outputs = Annotated[
    Path | None,
    typer.Option(
        help="File with the output of `pulumi stack output --json`, instead of running Pulumi.", envvar="MLOPS_OUTPUTS"
    ),
]
Pipeline = Annotated[
    str | None,
    typer.Option(
        help="Training pipeline, a folder below mlops/pipelines/; default: the one with `default: true`.",
        envvar="PIPELINE",
        autocompletion=completion.pipelines,
    ),
]
Data = Annotated[Path | None, typer.Option(help="Training data, a CSV file; default: the pipeline's own.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", help="Run parameter, such as alpha=0.3; may be given more than once.", envvar="PARAMS"),
]
Version = Annotated[str | None, typer.Option(help="Version to publish, such as a build id; default: git revision.")]
Force = Annotated[bool, typer.Option("--force", help="Run all steps, even if Azure ML could reuse them.")]
InBuild = Annotated[bool, typer.Option("--azure-devops", help="Print the results as variables of the build.")]


def clients_of(stack: str, outputs: Path | None, pipeline: str | None) -> Clients:
    """Return the clients of a stack for a training pipeline. Raises the errors of specification and outputs."""
    training = specifications.load(pipeline)
    return Clients(load_outputs(stack, outputs), training)
