"""Publish and run changed content only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console

from mlops import jobs, publish, report, reuse_keys, run, schedules, serving_version, training_data
from mlops.clients import Clients
from mlops.errors import MissingError, RunFailedError
from mlops.history import History
from mlops.jobs import Job
from mlops.publish import Published
from steps import champion
from steps.file_names import printable
from steps.specification import ParameterValue

Parameters = Mapping[str, ParameterValue]


def up(
    clients: Clients,
    data: training_data.TrainingData,
    version: str | None,
    console: Console,
    parameters: Parameters | None = None,
) -> None:
    """Bring the platform to where this checkout and these data are trained and judged on it.

    Raises RunFailedError when the run does not complete, and the clients' errors.
    """
    now = ensure_published(clients, version, console)
    job = jobs.find(clients, now.version, data.sha256, parameters)
    if job is not None and job.ended:
        console.print("Nothing changed since the last run: same code, same data.", highlight=False)
        show(clients, job, console)
    elif job is not None:
        console.print(f"Run {job.name} of the same code and data is under way.", highlight=False)
        finish(clients, job, console)
    else:
        train(clients, now, data, console, parameters=parameters)


def ensure_published(
    clients: Clients, version: str | None, console: Console, force: bool = False, *, keep_default: bool = False
) -> Published:
    """Return the default deployment with this checkout's content, published if there is none.

    A requested version, such as a build's id, is published even with the same content: the next environment gets the
    build under that version, and a promotion searches for it there. With `keep_default` only a promotion makes it the
    default.
    """
    if not keep_default:  # the schedules are moved at the end: nothing is published for one that cannot be
        schedules.check_none_is_over(clients)
    planned = publish.plan(clients, version)
    now = publish.published(clients)

    def say(text: str) -> None:
        console.print(f"  {text}", highlight=False, soft_wrap=True)

    if now is not None and not force and planned.is_up_to_date(now) and publish.is_whole(clients, now):
        console.print(f"Published: version {now.version}, unchanged.", highlight=False)
        if not keep_default:
            schedules.move(clients, now, say)
        return now
    console.print(f"Publishing version {planned.version} …", highlight=False)
    published = publish.publish(clients, planned, say, keep_default=keep_default)
    if not keep_default:
        schedules.move(clients, published, say)
    return published


def train(
    clients: Clients,
    now: Published,
    data: training_data.TrainingData,
    console: Console,
    started: Callable[[Job], None] | None = None,
    parameters: Parameters | None = None,
    *,
    force: bool = False,
) -> None:
    """Start a run of the published pipeline, call `started` with it, and follow it. `force` runs all steps."""
    uri = upload(clients, data, console)
    key = reuse_keys.unique() if force else reuse_keys.shared(uri, data.sha256, clients.outputs.engineered_days)
    inputs = {"data_uri": uri, "data_version": data.sha256, "code_version": now.version, **(parameters or {})}
    begin(clients, now, inputs, key, console, started)


def begin(
    clients: Clients,
    now: Published,
    inputs: Parameters,
    reuse_key: str,
    console: Console,
    started: Callable[[Job], None] | None = None,
) -> None:
    """Start a run with these inputs, call `started` with it, and follow it."""
    declared = publish.inputs_of(clients, now)
    if reuse_keys.INPUT in declared:  # an earlier version has no such input, and reuses nothing
        inputs = {**inputs, reuse_keys.INPUT: reuse_key}
    if champion.INPUT in declared:  # by its number, so that the check is reused until another version serves
        serving = serving_version.find(clients)
        inputs = {**inputs, champion.INPUT: champion.NOT_COMPARED if serving is None else serving.version}
    job = jobs.start(clients, now.deployment, inputs)
    console.print(f"Run {job.name}: {job.page}", highlight=False, soft_wrap=True)
    if started is not None:
        started(job)
    finish(clients, job, console)


def upload(clients: Clients, data: training_data.TrainingData, console: Console) -> str:
    """Put the data where runs find them; their address there."""
    uploaded = training_data.upload(clients, data)
    state = "uploaded" if uploaded else "unchanged"
    console.print(f"Data: {printable(data.name)}, {state}.", highlight=False, markup=False, soft_wrap=True)
    return data.uri(clients.outputs.training_account, clients.outputs.training_container)


def finish(clients: Clients, job: Job, console: Console) -> None:
    """Follow a run to its end and show its result."""
    try:
        run.follow(clients, job, console)
    except RunFailedError:
        report.show(History(clients).steps(job.name), None, job.page, console)
        raise
    show(clients, jobs.get(clients, job.name), console)


def show(clients: Clients, job: Job, console: Console) -> None:
    steps = History(clients).steps(job.name)
    report.show(steps, report.read(clients, steps), job.page, console)


def causes(clients: Clients, job: Job) -> list[str]:
    """Return the causes of a run's failure; no line for a run that completed or is under way."""
    if not job.ended or job.status == "Completed":
        return []
    history = History(clients)
    return run.causes(clients, history, job, history.steps(job.name))


def run_again(
    clients: Clients,
    data: training_data.TrainingData,
    console: Console,
    started: Callable[[Job], None] | None = None,
    version: str | None = None,
    parameters: Parameters | None = None,
    *,
    force: bool = False,
) -> None:
    """Run the endpoint's default, or the deployment of `version`, whether anything changed or not.

    Raises MissingError when that is not published.
    """
    now = publish.of_version(clients, version) if version else publish.published(clients)
    if now is None:
        raise MissingError(
            f"Nothing is published on stack {clients.outputs.environment}: run `python -m mlops publish "
            f"{clients.options}` first."
        )
    train(clients, now, data, console, started, parameters, force=force)
