"""python -m mlops: publish, run and promote on a stack that `pulumi up` made."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from mlops import completion, failures, parameters, specifications
from mlops.cli_episodes import episodes
from mlops.cli_inspection import inspection
from mlops.cli_options import Data, Force, InBuild, Outputs, Parameters, Pipeline, Stack, Version, clients_of
from mlops.cli_schedules import is_on, schedule
from mlops.cli_scoring import scoring
from mlops.cli_serving import serving
from mlops.cli_watch import watching
from mlops.clients import Clients
from mlops.environment import load_outputs, load_own_outputs, loading
from mlops.errors import InvalidError, MlopsError
from mlops.terminal import as_json, console, plain, say

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(inspection)
app.add_typer(scoring)
app.add_typer(serving)
app.add_typer(watching)
app.add_typer(schedule, name="schedule")
app.add_typer(episodes)


@app.command()
def up(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    data: Data = None,
    version: Version = None,
    outputs: Outputs = None,
    param: Parameters = None,
    force: Force = False,
) -> None:
    """Publish and run changed content; do nothing without changes. --force trains again."""
    loaded = loading(stack, outputs)
    from azure import identity  # the longest import: Pulumi reads the outputs meanwhile

    from mlops import data_files
    from mlops import up as ups

    _ = identity
    training = specifications.load(pipeline)
    values = parameters.parse(training, param or [])
    rows = data_files.read(data or training.data, training)
    clients = Clients(loaded(), training)
    screen = console()
    if force:
        ups.train(clients, ups.ensure_published(clients, version, screen), rows, screen, parameters=values, force=True)
    else:
        ups.up(clients, rows, version, screen, values)
    if training.specification.serve is not None:
        from mlops import rollout

        rollout.serve_if_any(clients, say)


@app.command("check-data")
def check_data(pipeline: Pipeline = None, data: Data = None, param: Parameters = None) -> None:
    """Print problems with a data file's columns, and with run parameters; needs no stack."""
    from mlops import data_files

    training = specifications.load(pipeline)
    parameters.parse(training, param or [])
    data_files.read(data or training.data, training)


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
    json_: Annotated[bool, typer.Option("--json", help="Print the publication as JSON on standard output.")] = False,
) -> None:
    """Publish notebooks, environment, components and pipeline, and make it the endpoint's default."""
    from mlops import data_files
    from mlops import up as ups

    training = specifications.load(pipeline)
    rows = data_files.read(data or training.data, training) if with_data else None
    clients = Clients(load_outputs(stack, outputs), training)
    screen = console(stderr=json_)
    now = ups.ensure_published(clients, version, screen, force, keep_default=keep_default)
    if azure_devops:
        _variable("AMLPIPELINE_ID", now.pipeline_id, output=True)
    if rows is not None:
        uri = ups.upload(clients, rows, screen)
        if azure_devops:
            _variable("AMLPIPELINE_DATA_URI", uri, output=True)
            _variable("AMLPIPELINE_DATA_VERSION", rows.sha256, output=True)
            _variable("AMLPIPELINE_COMPUTE", clients.outputs.compute_name, output=True)
            _variable("AMLPIPELINE_EXPERIMENT", training.experiment, output=True)
    if json_:
        publication = {"version": now.version, "deployment": now.deployment, "pipeline_id": now.pipeline_id}
        typer.echo(as_json(publication))


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
    force: Force = False,
    unless_scheduled: Annotated[
        bool, typer.Option("--unless-scheduled", help="Do nothing where Azure ML trains it by its own schedule.")
    ] = False,
) -> None:
    """Run the published pipeline, whether anything changed or not, and follow it.

    Steps that would repeat an earlier run's are reused, as Azure ML does. --force runs them all.
    """
    from mlops import data_files, training_data
    from mlops import up as ups

    training = specifications.load(pipeline)
    values = parameters.parse(training, param or [])
    rows = data_files.read(data or training.data, training)
    started = (lambda job: _variable("AMLRUN_ID", job.name)) if azure_devops else None
    clients = Clients(load_outputs(stack, outputs), training)
    if unless_scheduled and is_on(clients):
        typer.echo(f"Nothing is run: the schedule {training.schedule} of Azure ML is on, and trains {training.name}.")
        return
    with tempfile.TemporaryDirectory() as folder:
        newer = training_data.newest_incoming(clients, Path(folder)) if incoming else None
        ups.run_again(clients, newer or rows, console(), started, version, values, force=force)


@app.command()
def resume(
    run: Annotated[
        str,
        typer.Argument(
            help="Name of a run that failed or was cancelled.", autocompletion=completion.typed_training_runs
        ),
    ],
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
) -> None:
    """Run a failed run's pipeline again with its inputs: steps that it finished are reused, as far as they can be."""
    from mlops import resume as resuming

    resuming.resume(clients_of(stack, outputs, pipeline), run, console())


@app.command()
def cancel(
    stack: Stack = "local",
    pipeline: Pipeline = None,
    outputs: Outputs = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="Name of the run, nothing if empty; default: the newest.", autocompletion=completion.typed_runs
        ),
    ] = None,
) -> None:
    """Cancel a run, if it is under way."""
    from mlops import jobs, runs

    if run == "":  # of a build that was cancelled before: the newest run belongs to another build
        typer.echo("No run was started.")
        return
    clients = clients_of(stack, outputs, pipeline)
    job = jobs.newest(clients) if run is None else runs.of_any_pipeline(clients, run)
    if job is None or job.ended:
        say(f"{'No run' if run is None else f'No run {run}'} is under way on stack {stack}.")
        return
    jobs.cancel(clients, job.name)
    say(f"Run {job.name} is being cancelled.")


@app.command()
def promote(
    source: Annotated[str, typer.Option("--from", help="Stack that trained and tested the model, such as staging.")],
    target: Annotated[str, typer.Option("--to", help="Stack that it is to serve in, such as prod.")],
    pipeline: Pipeline = None,
    model_version: Annotated[str | None, typer.Option(help="Version on --from; default: the newest.")] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Use the version that --from shared, and do not read --from.")
    ] = False,
    score_sample: Annotated[
        bool,
        typer.Option("--score-sample", help="Score some rows with it, and take the promotion back if that fails."),
    ] = False,
    from_outputs: Annotated[Path | None, typer.Option(help="Outputs file of --from.")] = None,
    to_outputs: Annotated[Path | None, typer.Option(help="Outputs file of --to.")] = None,
) -> None:
    """Let a model that one stack tested serve in another, if its lineage is the tested one.

    With the same stack in --from and --to: a version that it trained itself, such as after drift.
    """
    from mlops import promote as promotion
    from mlops import trial

    if source == target and shared:
        raise InvalidError(
            f"--from and --to are both {source}: a version that {source} trained itself is promoted without --shared."
        )
    training = specifications.load(pipeline)
    serves = Clients(load_own_outputs(target, to_outputs), training)
    if source == target:
        promotion_ = promotion.promote_own(serves, model_version, say)
    elif shared:
        promotion_ = promotion.promote_shared(source, serves, model_version, say)
    else:
        tests = Clients(load_own_outputs(source, from_outputs), training)
        promotion_ = promotion.promote(tests, serves, model_version, say)
    if score_sample:
        trial.try_promotion(serves, promotion_, say, console())
    trial.serve_promotion(serves, promotion_, say)


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

    clients = clients_of(stack, outputs, pipeline)
    registry.registry_of(clients)
    registry.share(clients, candidates.tested(clients, model_version)[0], say)


@app.command()
def prune(stack: Stack = "local", outputs: Outputs = None) -> None:
    """Remove the notebooks in Databricks that no deployment of the endpoint names."""
    from mlops import prune as pruning

    pruning.prune(Clients(load_outputs(stack, outputs), specifications.load(None)), say)


@app.command()
def rollback(stack: Stack = "local", pipeline: Pipeline = None, outputs: Outputs = None) -> None:
    """Move the endpoint's default back to where it was before the newest promotion, and online requests with it."""
    from mlops import rollback as rollbacks
    from mlops import rollout

    clients = clients_of(stack, outputs, pipeline)
    rollbacks.rollback(clients, say)
    if clients.pipeline.specification.serve is not None:
        rollout.serve(clients, say, at_once=True)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the pipeline, such as house_prices.")],
    task: Annotated[str, typer.Option(help="regression or classification.")],
    data: Annotated[Path, typer.Option(help="CSV file with a header.")],
    target: Annotated[str | None, typer.Option(help="Column to predict; default: the last one.")] = None,
    serve: Annotated[
        Literal["online"] | None, typer.Option(help="online: an endpoint answers requests, which costs on Azure.")
    ] = None,
) -> None:
    """Make the folder, notebook and test of a training pipeline that can be trained at once."""
    from mlops.scaffold import new as scaffold

    for path in scaffold.new(name, task, data, target, specifications.ROOT, online=serve is not None):
        typer.echo(f"Wrote {path}")
    typer.echo(f"Train it with: make up PIPELINE={name}")


@app.command("completion")
def completion_script(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell.")],
) -> None:
    """Print the code for completion of `mlops` in a shell: eval "$(mlops completion bash)"."""
    typer.echo(completion.script(shell))


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of the pipeline.", autocompletion=completion.pipelines)],
    stack: Stack = "local",
    outputs: Outputs = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it although it serves.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the parts, and delete none.")] = False,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Remove it from the stack alone, since other stacks have it too.")
    ] = False,
) -> None:
    """Remove a pipeline: its endpoint with deployments, versions, components and notebooks, and then its files."""
    from mlops import remove as removal

    clients = clients_of(stack, outputs, name)
    planned = removal.plan(clients, keep_files=keep_files)
    lines = [f"  {plain(line)}" for line in planned.lines()]
    head = f"Of {name} on stack {stack} {'would be' if dry_run else 'are'} deleted:"
    typer.echo("\n".join([head, *lines]) if lines else f"Nothing of {name} is left on stack {stack}.")
    typer.echo(f"Its runs in the experiment {clients.pipeline.experiment} and the training data stay.")
    if dry_run:
        return
    if planned.serves and not yes:
        raise InvalidError(f"{name} serves, {planned.serves}: nothing is deleted without --yes.")
    removal.remove(clients, planned, say)
    if not keep_files:
        typer.echo("Bring the stack up (`make up`, `pulumi up`): its state still has the endpoint.")


def main() -> None:
    """Exit with one message for every known error, 1 for most of them; 130 for Ctrl-C."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # the error has the message
    completion.prepare()
    sys.exit(_run(lambda: app(complete_var=completion.VARIABLE)))


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
        typer.echo(plain(text, lines=True), err=True)
        return error.exit_code if isinstance(error, MlopsError) else 1
    return 0


def _variable(name: str, value: str, *, output: bool = False) -> None:
    """Set a variable of the build, for its next steps; `output`: for other jobs too."""
    typer.echo(f"##vso[task.setvariable variable={name}{';isOutput=true' if output else ''}]{value}")
