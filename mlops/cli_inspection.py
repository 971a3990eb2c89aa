"""The verbs that show something and change nothing: status, runs, compare, models, logs, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlops import completion
from mlops.cli_options import Outputs, Pipeline, Stack, clients_of
from mlops.clients import Clients
from mlops.errors import InvalidError
from mlops.jobs import Job
from mlops.terminal import as_json, console, plain, say

inspection = typer.Typer()
Format = Annotated[Literal["table", "json"], typer.Option("--output", help="A table for people, or JSON for scripts.")]


@inspection.command()
def status(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None) -> None:
    """Show the published deployment and the newest run."""
    from mlops import jobs, schedules
    from mlops import publish as publishing
    from mlops import up as ups

    clients = clients_of(stack, outputs, pipeline)
    screen = console()
    now = publishing.published(clients)
    if now is None:
        others = ", ".join(sorted(deployment.deployment for deployment in publishing.deployments(clients)))
        lost = f"The endpoint has deployments ({others}), and none is its default: publish or promote again."
        screen.print(
            lost if others else f"Nothing of {clients.pipeline.name} is published on stack {stack}.", highlight=False
        )
        return
    screen.print(f"Published: version {now.version}, deployment {now.deployment}.", highlight=False)
    for scheduled in schedules.read_all(clients):
        screen.print(f"Schedule: {scheduled.state}.", highlight=False, soft_wrap=True)
    if clients.pipeline.specification.serve is not None:
        from mlops import online_endpoints

        screen.print(f"Online: {online_endpoints.read(clients).state}.", highlight=False, soft_wrap=True)
    job = jobs.newest(clients)
    if job is None:
        screen.print("No run yet.", highlight=False)
    else:
        screen.print(f"Newest run: {job.name}, {job.status}.", highlight=False)
        ups.show(clients, job, screen)
        _say_causes(clients, job)
    # A pipeline that does not score has none among all jobs of the workspace.
    scores = clients.pipeline.specification.score is not None
    scored = next(jobs.recent_scorings(clients), None) if scores else None
    if scored is not None:
        screen.print(f"Newest scoring run: {scored.name}, {scored.status}.", highlight=False)
        _say_causes(clients, scored)


def _say_causes(clients: Clients, job: Job) -> None:
    from mlops import up as ups

    for line in ups.causes(clients, job):
        say(line)


@inspection.command()
def runs(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=1000, help="How many.")] = 20,
    output: Format = "table",
    score: Annotated[bool, typer.Option("--score", help="List the runs that score instead.")] = False,
) -> None:
    """List the newest runs of the pipeline that train, with code, data and parameters."""
    from mlops import runs as history

    clients = clients_of(stack, outputs, pipeline)
    newest = history.newest_scorings(clients, number) if score else history.newest(clients, number)
    if score and output == "table":
        history.show_scorings(newest, console())
        return
    reused = history.reused_steps(clients, newest)
    if output == "json":
        typer.echo(as_json([history.as_json(*row) for row in zip(newest, reused, strict=True)]))
    else:
        history.show(newest, reused, console())


@inspection.command()
def compare(
    first: Annotated[str, typer.Argument(help="Name of a run.", autocompletion=completion.typed_training_runs)],
    second: Annotated[str, typer.Argument(help="Name of another.", autocompletion=completion.typed_training_runs)],
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    output: Format = "table",
) -> None:
    """Show differences between two runs: parameters, metrics, data, commit, durations."""
    from mlops import runs as history

    clients = clients_of(stack, outputs, pipeline)
    pair = history.read(clients, first), history.read(clients, second)
    if output == "json":
        differences = {name: {first: before, second: after} for name, before, after in history.compare(*pair)}
        typer.echo(as_json(differences))
    else:
        history.show_comparison(*pair, console())


@inspection.command()
def models(
    stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None, output: Format = "table"
) -> None:
    """List the registered versions of the pipeline's model: which one serves, and why each was registered."""
    from mlops import registered_models

    clients = clients_of(stack, outputs, pipeline)
    versions = registered_models.read(clients)
    if output == "json":
        typer.echo(as_json(registered_models.as_json(versions)))
    else:
        registered_models.show(versions, clients.pipeline.model, console())


@inspection.command()
def report(
    run: Annotated[
        str | None,
        typer.Argument(help="Name of the run; default: the newest.", autocompletion=completion.typed_training_runs),
    ] = None,
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="HTML file to write; default: in build/reports/.")
    ] = None,
    azure_devops: Annotated[bool, typer.Option("--azure-devops", help="Make it the build's summary, too.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write the page of scored files instead: trends, columns, windows.")
    ] = False,
) -> None:
    """Write the report of an ended run as a page: decision, metrics, charts, data, lineage, steps; or the failure."""
    from mlops import run_report, watching

    if watch:
        if run is not None or azure_devops:
            raise InvalidError("--watch is for all scored files: give it without a run and without --azure-devops.")
        clients = clients_of(stack, outputs, pipeline)
        say(f"Scored files of {clients.pipeline.model}: {watching.write_page(clients, output)}")
        return
    written = run_report.write(clients_of(stack, outputs, pipeline), run, output, with_summary=azure_devops)
    say(f"Report of run {written.job.name} ({written.job.status}): {written.page}")
    if written.summary is not None:
        typer.echo(f"##vso[task.uploadsummary]{written.summary.resolve()}")


@inspection.command()
def logs(
    step: Annotated[
        str | None,
        typer.Argument(help="Step, such as train; default: all, one after another.", autocompletion=completion.steps),
    ] = None,
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="Name of the run, of training or scoring; default: the newest that trains.",
            autocompletion=completion.typed_runs,
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    score: Annotated[bool, typer.Option("--score", help="Without --run, the newest run that scores.")] = False,
) -> None:
    """Print the output of a run's steps."""
    from mlops import run_logs

    if score and run is not None:
        raise InvalidError(f"--score is for the newest run that scores: give it without --run, which is {run!r}.")

    def write(text: str) -> None:
        typer.echo(plain(text, lines=True), nl=False)

    run_logs.show(clients_of(stack, outputs, pipeline), run, step, write, follow=follow, scoring=score)
