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
        help="File with what `pulumi stack output --json` printed, instead of asking Pulumi.", envvar="MLOPS_OUTPUTS"
    ),
]
Pipeline = Annotated[
    str | None,
    typer.Option(
        help="Training pipeline, a folder below mlops/pipelines/; default: the one that says `default: true`.",
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
Force = Annotated[bool, typer.Option("--force", help="Run all steps, those too that Azure ML would reuse.")]
InBuild = Annotated[bool, typer.Option("--azure-devops", help="Say what was made as variables of the build.")]


def clients_of(stack: str, outputs: Path | None, pipeline: str | None) -> Clients:
    """Return the clients of a stack for a training pipeline. Raises the errors of specification and outputs."""
    training = specifications.load(pipeline)
    return Clients(load_outputs(stack, outputs), training)
