"""The verb that scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli_options import Outputs, Pipeline, Stack, clients_of
from mlops.errors import InvalidError
from mlops.terminal import as_json, console

scoring = typer.Typer()


@scoring.command()
def score(
    file: Annotated[Path | None, typer.Argument(help="CSV file without the target.")] = None,
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    incoming: Annotated[
        bool, typer.Option("--incoming", help="Score the files of the input folder in storage that were not scored.")
    ] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="Try the version that serves with some rows of the training data.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Score a scored file again, under a new run.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON on standard output.")] = False,
) -> None:
    """Score a file, or all incoming files, with the version that serves, and follow the run.

    Exits with 3 when a file was refused as a whole, with 1 when one could not be scored for another reason.
    """
    from mlops import incoming_files
    from mlops import scoring as scorings
    from mlops.scoring_runs import Results

    if sum((file is not None, incoming, sample)) != 1:
        raise InvalidError("Give a CSV file, --incoming or --sample: one of them.")
    clients = clients_of(stack, outputs, pipeline)
    screen = console(stderr=json_)
    results = Results()
    if sample and clients.pipeline.specification.score is None:
        screen.print(f"{clients.pipeline.name} does not score: nothing to try.", highlight=False)
    elif sample:
        results = Results(entries=(scorings.score_sample(clients, screen),))
    elif file is not None:
        results = scorings.score(clients, scorings.read(file), screen, again=again)
    else:
        results = incoming_files.score(clients, screen, again=again)
    if json_:
        typer.echo(as_json(results.as_json()))
    results.check()
