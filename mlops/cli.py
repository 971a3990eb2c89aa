"""python -m mlops: publish, run and promote on a stack that `pulumi up` made."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mlops import failures, parameters, specifications
from mlops.clients import Clients
from mlops.environment import load_outputs
from mlops.errors import InvalidError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Stack = Annotated[str, typer.Option(help="Pulumi stack whose outputs say where everything is.", envvar="STACK")]
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
    ),
]
Data = Annotated[Path | None, typer.Option(help="Training data, a CSV file; default: the pipeline's own.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", help="Run parameter, such as alpha=0.3; may be given more than once.", envvar="PARAMS"),
]
Version = Annotated[str | None, typer.Option(help="Version to publish, such as a build id; default: git revision.")]
InBuild = Annotated[bool, typer.Option("--azure-devops", help="Say what was made as variables of the build.")]


@app.command()
def up(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    data: Data = None,
    version: Version = None,
    outputs: Outputs = None,
    param: Parameters = None,
    force: bool = False,
) -> None:
    """Publish and run what is new: nothing when nothing changed. --force trains again."""
    from mlops import training_data
    from mlops import up as ups

    training = specifications.load(pipeline)
    values = parameters.parse(training, param or [])
    rows = training_data.read(data or training.data)
    clients = Clients(load_outputs(stack, outputs), training)
    console = _console()
    if force:
        ups.train(clients, ups.ensure_published(clients, version, console), rows, console, parameters=values)
    else:
        ups.up(clients, rows, version, console, values)


@app.command()
def publish(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    version: Version = None,
    outputs: Outputs = None,
    force: bool = False,
    data: Data = None,
    with_data: Annotated[bool, typer.Option("--with-data", help="Upload the data too, for a run by others.")] = False,
    keep_default: Annotated[bool, typer.Option("--keep-default", help="A promotion moves the default later.")] = False,
    azure_devops: InBuild = False,
    json_: Annotated[bool, typer.Option("--json", help="Print what is published as JSON on standard output.")] = False,
) -> None:
    """Publish notebooks, environment, components and pipeline, and make it the endpoint's default."""
    from mlops import training_data
    from mlops import up as ups

    training = specifications.load(pipeline)
    rows = training_data.read(data or training.data) if with_data else None
    clients = Clients(load_outputs(stack, outputs), training)
    console = _console(stderr=json_)
    now = ups.ensure_published(clients, version, console, force, keep_default=keep_default)
    if azure_devops:
        _variable("AMLPIPELINE_ID", now.pipeline_id, output=True)
    if rows is not None:
        uri = ups.upload(clients, rows, console)
        if azure_devops:
            _variable("AMLPIPELINE_DATA_URI", uri, output=True)
            _variable("AMLPIPELINE_DATA_VERSION", rows.sha256, output=True)
            _variable("AMLPIPELINE_COMPUTE", clients.outputs.compute_name, output=True)
            _variable("AMLPIPELINE_EXPERIMENT", training.experiment, output=True)
    if json_:
        shown = {"version": now.version, "deployment": now.deployment, "pipeline_id": now.pipeline_id}
        typer.echo(json.dumps(shown))


@app.command()
def run(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    data: Data = None,
    param: Parameters = None,
    version: Annotated[str | None, typer.Option(help="Published version to run; default: the endpoint's.")] = None,
    outputs: Outputs = None,
    incoming: Annotated[
        bool, typer.Option(help="Take the newest file of incoming/ in storage, if there is one.")
    ] = False,
    azure_devops: InBuild = False,
) -> None:
    """Run the published pipeline, whether anything changed or not, and follow it."""
    from mlops import training_data
    from mlops import up as ups

    training = specifications.load(pipeline)
    values = parameters.parse(training, param or [])
    rows = training_data.read(data or training.data)
    started = (lambda job: _variable("AMLRUN_ID", job.name)) if azure_devops else None
    clients = Clients(load_outputs(stack, outputs), training)
    with tempfile.TemporaryDirectory() as folder:
        newer = training_data.newest_incoming(clients, Path(folder)) if incoming else None
        ups.run_again(clients, newer or rows, _console(), started, version, values)


@app.command()
def status(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None) -> None:
    """Show the published deployment and the newest run."""
    from mlops import jobs
    from mlops import publish as publishing
    from mlops import up as ups

    clients = Clients(load_outputs(stack, outputs), specifications.load(pipeline))
    console = _console()
    now = publishing.published(clients)
    if now is None:
        others = ", ".join(sorted(deployment.deployment for deployment in publishing.deployments(clients)))
        lost = f"The endpoint has deployments ({others}), and none is its default: publish or promote again."
        console.print(
            lost if others else f"Nothing of {clients.pipeline.name} is published on stack {stack}.", highlight=False
        )
        return
    console.print(f"Published: version {now.version}, deployment {now.deployment}.", highlight=False)
    job = jobs.newest(clients)
    if job is None:
        console.print("No run yet.", highlight=False)
        return
    console.print(f"Newest run: {job.name}, {job.status}.", highlight=False)
    ups.show(clients, job, console)


@app.command()
def cancel(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    run: Annotated[str | None, typer.Option(help="Name of the run, nothing if empty; default: the newest.")] = None,
) -> None:
    """Cancel a run, if it is under way."""
    from mlops import jobs

    if run == "":  # of a build that was cancelled before: the newest run is somebody else's
        typer.echo("No run was started.")
        return
    clients = Clients(load_outputs(stack, outputs), specifications.load(pipeline))
    job = jobs.newest(clients) if run is None else jobs.get_job(clients, run)
    if job is None or job.ended:
        typer.echo(f"{'No run' if run is None else f'No run {run}'} is under way on stack {stack}.")
        return
    jobs.cancel(clients, job.name)
    typer.echo(f"Run {job.name} is being cancelled.")


@app.command()
def promote(
    source: Annotated[str, typer.Option("--from", help="Stack that trained and tested the model, such as staging.")],
    target: Annotated[str, typer.Option("--to", help="Stack that it is to serve in, such as prod.")],
    pipeline: Pipeline = None,
    model_version: Annotated[str | None, typer.Option(help="Version on --from; default: the newest.")] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Take what --from shared in the registry, and read nothing of --from.")
    ] = False,
    from_outputs: Annotated[Path | None, typer.Option(help="Outputs file of --from.")] = None,
    to_outputs: Annotated[Path | None, typer.Option(help="Outputs file of --to.")] = None,
) -> None:
    """Let a model that one stack tested serve in another, if its lineage is what was tested there."""
    from mlops import promote as promotion

    if source == target:
        raise InvalidError(f"--from and --to are both {source}: a model is promoted from one stack to another.")
    training = specifications.load(pipeline)
    serves = Clients(load_outputs(target, to_outputs), training)
    if shared:
        promotion.promote_shared(source, serves, model_version, typer.echo)
    else:
        promotion.promote(Clients(load_outputs(source, from_outputs), training), serves, model_version, typer.echo)


@app.command()
def share(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    model_version: Annotated[str | None, typer.Option(help="Version of the model; default: the newest.")] = None,
    outputs: Outputs = None,
) -> None:
    """Put a tested model into the registry that stacks share, for a promotion by another identity."""
    from mlops import candidates
    from mlops import shared as registry

    clients = Clients(load_outputs(stack, outputs), specifications.load(pipeline))
    registry.registry_of(clients)
    registry.share(clients, candidates.tested(clients, model_version)[0], typer.echo)


@app.command()
def prune(stack: Stack = "local", outputs: Outputs = None) -> None:
    """Remove the notebooks in Databricks that no deployment of the endpoint names."""
    from mlops import prune as pruning

    pruning.prune(Clients(load_outputs(stack, outputs), specifications.load(None)), typer.echo)


@app.command()
def rollback(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None) -> None:
    """Move the endpoint's default back to where it was before the newest promotion."""
    from mlops import rollback as rollbacks

    rollbacks.rollback(Clients(load_outputs(stack, outputs), specifications.load(pipeline)), typer.echo)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the pipeline, such as house_prices.")],
    task: Annotated[str, typer.Option(help="regression or classification.")],
    data: Annotated[Path, typer.Option(help="CSV file with a header.")],
    target: Annotated[str | None, typer.Option(help="Column to predict; default: the last one.")] = None,
) -> None:
    """Make the folder, notebook and test of a training pipeline that can be trained at once."""
    from mlops.scaffold import new as scaffold

    for path in scaffold.new(name, task, data, target, specifications.ROOT):
        typer.echo(f"Wrote {path}")
    typer.echo(f"Train it with: make up PIPELINE={name}")


def main() -> None:
    """Exit 1 with one message for every known error, 130 for Ctrl-C."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in the error
    sys.exit(_run(app))


def _run(command: Callable[[], None]) -> int:
    try:
        command()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        text = failures.message(error)
        if text is None:
            raise
        Console(stderr=True).print("[bold red]Error:[/] ", end="")
        # A log of a run can hold anything, a command to Azure Pipelines too: microsoft/azure-pipelines-agent looks for
        # the prefix anywhere in a line (src/Microsoft.VisualStudio.Services.Agent/Command.cs).
        typer.echo(text.replace("##vso[", "## vso["), err=True)
        return 1
    return 0


def _variable(name: str, value: str, *, output: bool = False) -> None:
    """Of the build, for its next steps; `output`: for other jobs too."""
    typer.echo(f"##vso[task.setvariable variable={name}{';isOutput=true' if output else ''}]{value}")


def _console(stderr: bool = False) -> Console:
    """Wide enough for addresses where there is no terminal to ask."""
    return Console(stderr=stderr, width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")))
