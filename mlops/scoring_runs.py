"""Runs of the scoring pipeline: start one, follow it, and show the results of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console

from mlops import jobs, run, watching
from mlops.clients import Clients
from mlops.components.score.src.ledger import SAMPLE, Entry, Failure, Ledger, Refusal, RunRecord
from mlops.components.watch.src.watch_history import WatchHistory
from mlops.errors import RefusedError, RunFailedError
from mlops.jobs import Job
from mlops.terminal import plain
from steps.specification import SCORING_OUTPUTS
from steps.taken_files import SOURCE
from steps.watch_results import window_id

Started = Callable[[Job], None]


@dataclass(frozen=True)
class Scorer:
    """The serving version, its scoring deployment, and the inputs of its runs.

    `code_version` is the deployment's published version: its refusals hold.
    """

    model_version: str
    deployment: str
    inputs: frozenset[str] = field(default=frozenset(), compare=False)
    code_version: str = field(default="", compare=False)


@dataclass(frozen=True)
class Results:
    """Results of files: `refused_before` are refused by an earlier run, and left alone by this one.

    `left`: number of files that wait for the next run, None for a run without a record.
    """

    entries: tuple[Entry, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    refused_before: tuple[Refusal, ...] = ()
    left: int | None = field(default=None, compare=False)

    def check(self) -> None:
        """Raise RefusedError when a file was refused."""
        if self.refusals:
            raise RefusedError("\n".join(["Refused:", *_lines(self.refusals), _HINT]))

    def as_json(self) -> list[dict[str, Any]]:
        """Return the entries and refusals as JSON values."""
        refused = [asdict(refusal) | {"status": "refused"} for refusal in (*self.refusals, *self.refused_before)]
        return [*(asdict(entry) | {"status": "scored"} for entry in self.entries), *refused]


_HINT = "Mend a file and score it under any name, or --again tries it unchanged."


def model_ledger(clients: Clients) -> Ledger:
    """Return the ledger of the pipeline's model."""
    return Ledger(clients.training_lake, clients.training, clients.pipeline.model)


def start(
    clients: Clients,
    scorer: Scorer,
    label: str,
    inputs: Mapping[str, str],
    console: Console,
    started: Started | None = None,
) -> Job:
    """Start a run, and print it. `label` names the files; inputs that an earlier version does not have are left out."""
    complete = {"model_version": scorer.model_version} | dict(inputs)
    if SOURCE not in scorer.inputs:
        # Such early versions write files, and have no folder of their own for them.
        score = clients.pipeline.score
        complete.setdefault("output_folder", score.output if score.format == "parquet" else SCORING_OUTPUTS)
    supported = {name: value for name, value in complete.items() if name in scorer.inputs}
    job = jobs.start(clients, scorer.deployment, supported, clients.pipeline.scoring_experiment)
    say(
        f"Scoring {label} with version {scorer.model_version} of {clients.pipeline.model}: run {job.name}, {job.page}",
        console,
    )
    if started is not None:
        started(job)
    return job


def follow(clients: Clients, scorer: Scorer, job: Job, console: Console) -> Results:
    """Follow a run, show the results of its files, and return them; an empty result without a record.

    Raises RunFailedError that names each file that was not scored, else the failing step's own error.
    """
    failed: RunFailedError | None = None
    try:
        run.follow(clients, job, console)
    except RunFailedError as error:
        failed = error
    ledger = model_ledger(clients)
    record = ledger.recorded(job.name)
    results = Results() if record is None else _results(ledger, scorer, record)
    show(results, clients, console)
    if failed is None:
        if text := WatchHistory(clients.training, clients.pipeline.model).followed(job.name):
            say(f"After breaches: {text}. {_how_to_follow(clients)}", console)
        return results
    if record is None or not record.failures:
        raise failed
    lines = ["Not scored:", *_lines(record.failures)]
    if results.refusals:
        lines += ["Refused:", *_lines(results.refusals), _HINT]
    lines.append(f"`python -m mlops logs --run {job.name} {clients.options}` shows the output of its steps.")
    raise RunFailedError("\n".join(lines)) from failed


def show(results: Results, clients: Clients, console: Console) -> None:
    """Print results of files, and differences of scored ones from the data of the version that scored them."""
    for entry in results.entries:
        show_entry(entry, clients, console)
        if not entry.attempt.startswith(SAMPLE):
            _show_window(clients, entry, console)
    for refusal in results.refusals:
        show_refusal(refusal, clients, console)


def show_entry(entry: Entry, clients: Clients, console: Console) -> None:
    """Print the result of a scored file."""
    say(
        f"{entry.file_name}: {entry.rows_read} rows read, {entry.rows_scored} scored, {entry.rows_refused} refused, by "
        f"version {entry.model_version} of {entry.model} (run {entry.run}, {entry.scored_at}).",
        console,
    )
    for reason, number in entry.reasons.items():
        say(f"  {number} refused: {reason}", console)
    say(f"Predictions: {clients.outputs.training_uri}/{entry.output}", console)
    if entry.table:
        table = f"{clients.outputs.training_uri}/{entry.table}"
        say(f"Delta table: {table}, rows with input_file {entry.file_name} and run {entry.run}", console)
    if entry.quarantine:
        say(f"Refused rows: {clients.outputs.training_uri}/{entry.quarantine}", console)


def show_refusal(refusal: Refusal, clients: Clients, console: Console) -> None:
    """Print why a file was refused."""
    say(
        f"{refusal.file_name}: refused as a whole, by version {refusal.model_version} of {refusal.model} (run "
        f"{refusal.run}, {refusal.refused_at}): {refusal.reason}.",
        console,
    )
    say(f"Quarantine: {clients.outputs.training_uri}/{refusal.quarantine}", console)


def say(text: str, console: Console) -> None:
    """Print a line whose parts may come from outside."""
    console.print(plain(text), highlight=False, markup=False, emoji=False, soft_wrap=True)


def _results(ledger: Ledger, scorer: Scorer, record: RunRecord) -> Results:
    entries = (ledger.read(version, record.attempt) for version in record.files)
    refusals = (ledger.refusal(version, record.attempt, scorer.code_version) for version in record.refused)
    return Results(
        tuple(entry for entry in entries if entry is not None),
        tuple(refusal for refusal in refusals if refusal is not None),
        left=record.left,
    )


def _lines(results: Iterable[Refusal | Failure]) -> list[str]:
    return [f"{result.file_name}: {result.reason}" for result in results]


def _how_to_follow(clients: Clients) -> str:
    watch = clients.pipeline.specification.watch
    if watch is not None and watch.retrain == "work_item":
        return f"`python -m mlops episodes {clients.options}` lists the episodes of the daily build's work items."
    return (
        f"`python -m mlops runs {clients.options}` shows the training runs, and `python -m mlops logs --run RUN "
        f"{clients.options}` one."
    )


def _show_window(clients: Clients, entry: Entry, console: Console) -> None:
    """Print differences of the file from the data of the version that scored it; print nothing without a window."""
    if clients.pipeline.specification.watch is None:
        return
    name = window_id(datetime.fromisoformat(entry.scored_at), entry.file_version, entry.attempt)
    window = WatchHistory(clients.training, entry.model).window(name)
    if window is not None:
        watching.show_window(window, console)
