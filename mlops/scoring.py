"""Score files with the version that serves: each once, unless somebody asks for it again."""

from __future__ import annotations

import csv
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from mlops import jobs, publish, reuse_keys, run, serving_version, training_data, watching
from mlops.clients import Clients
from mlops.components.score.src.ledger import FIRST, SAMPLE, Entry, Ledger
from mlops.components.take_files.src.incoming import copy_of
from mlops.components.watch.src.watch_history import WatchHistory
from mlops.errors import InvalidError, MissingError, RemoteError, RunFailedError
from mlops.jobs import Job
from mlops.promote import DEPLOYMENT, serving
from mlops.terminal import plain
from mlops.training_data import TrainingData
from steps.file_names import printable
from steps.taken_files import FILE, SOURCE
from steps.watch_results import window_id

SAMPLES = "scoring/samples"
"""Folder of the predictions that only try a version: readers of predictions do not look there."""
_SAMPLE_ROWS = 50


class ScoringData(TrainingData):
    """A file that is to be scored. Runs read a copy, which is named after its content alone and never changes."""

    @property
    def blob(self) -> str:
        return copy_of(self.sha256)


@dataclass(frozen=True)
class Scorer:
    """The version that serves, the deployment that scores with it, and the inputs that runs of it have."""

    model_version: str
    deployment: str
    inputs: frozenset[str] = field(default=frozenset(), compare=False)


def find_scorer(clients: Clients) -> Scorer:
    """Return the version that serves, by its tags alone: of a promoted version they name the deployment too.

    Raises InvalidError when the pipeline does not score, MissingError when no version serves or it was published
    without scoring.
    """
    scoring = clients.pipeline.score
    served = serving_version.require(clients, "nothing can score")
    if serving(served.tags):
        deployment = served.tags[DEPLOYMENT]
    else:
        default = publish.published(clients)
        if default is None:
            raise MissingError("Nothing is published on this stack: run `python -m mlops publish` first.")
        deployment = default.deployment
    beside = publish.scoring_deployment(clients, deployment)
    if beside is None:
        raise MissingError(
            f"The deployment {deployment}, with which version {served.version} of {clients.pipeline.model} serves, was "
            f"published before its pipeline scored with {scoring.notebook}: publish it, and train or promote a model "
            "with it."
        )
    return Scorer(served.version, beside.deployment, frozenset(publish.inputs_of(clients, beside)))


def ledger(clients: Clients) -> Ledger:
    """Return the ledger of the pipeline's model."""
    return Ledger(clients.training_lake, clients.training, clients.pipeline.model)


def read(file: Path) -> ScoringData:
    """Read a file. Raises MissingError when it is not there, InvalidError when it is not a file or empty."""
    data = training_data.read(file)
    return ScoringData(data.file, data.sha256, file.name)


def score(
    clients: Clients,
    data: ScoringData,
    console: Console,
    *,
    again: bool = False,
    started: Callable[[Job], None] | None = None,
) -> Entry:
    """Score a file that was not scored, or any file `again`; return what the ledger says of it.

    Raises what `find_scorer` raises, also for a file that was scored, and RunFailedError for one that cannot be scored.
    A promotion that is made meanwhile takes effect at the next file.
    """
    scorer = find_scorer(clients)
    known = None if again else ledger(clients).read(data.sha256, FIRST)
    if known is not None:
        there = ledger(clients).settle(known)
        state = "" if there else "; its predictions were deleted since"
        name = printable(data.name)
        console.print(f"{name} was scored already{state}: --again scores it again.", highlight=False, markup=False)
        show(known, clients, console)
        return known
    training_data.upload(clients, data)
    attempt = f"again-{uuid.uuid4().hex[:12]}" if again else FIRST
    try:
        return _run(clients, scorer, data, console, attempt=attempt, started=started)
    except (RunFailedError, InvalidError) as error:
        console.print(plain(str(error), lines=True), highlight=False, markup=False, soft_wrap=True)
        raise RunFailedError(f"Not scored:\n{printable(data.name)}: {error}") from error


def score_sample(clients: Clients, console: Console) -> Entry:
    """Score some rows of the training data, to try the version that serves; they count as nobody's predictions."""
    scorer = find_scorer(clients)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.csv"
        _write_sample(clients.pipeline.data, file)
        data = ScoringData(**vars(training_data.measured(file, "sample.csv")))
        training_data.upload(clients, data)
    return _run(clients, scorer, data, console, attempt=f"{SAMPLE}{uuid.uuid4().hex[:12]}", output_folder=SAMPLES)


def show(entry: Entry, clients: Clients, console: Console) -> None:
    """Print the result of a file."""

    def say(text: str) -> None:
        console.print(plain(text), highlight=False, markup=False, emoji=False, soft_wrap=True)

    say(
        f"{entry.file_name}: {entry.rows_read} rows read, {entry.rows_scored} scored, {entry.rows_refused} refused, by "
        f"version {entry.model_version} of {entry.model} (run {entry.run}, {entry.scored_at})."
    )
    for reason, number in entry.reasons.items():
        say(f"  {number} refused: {reason}")
    say(f"Predictions: {clients.outputs.training_uri}/{entry.output}")
    if entry.quarantine:
        say(f"Refused rows: {clients.outputs.training_uri}/{entry.quarantine}")


def as_json(entries: list[Entry]) -> list[dict[str, Any]]:
    """Return the entries as JSON values."""
    return [asdict(entry) for entry in entries]


def _run(
    clients: Clients,
    scorer: Scorer,
    data: ScoringData,
    console: Console,
    *,
    attempt: str,
    output_folder: str | None = None,
    started: Callable[[Job], None] | None = None,
) -> Entry:
    """Start a run, follow it, and return the ledger's entry."""
    out = clients.outputs
    uri = data.uri(out.training_account, out.training_container)
    inputs = {
        SOURCE: FILE, "file_uri": uri, "file_version": data.sha256,
        reuse_keys.INPUT: reuse_keys.shared(uri, data.sha256, out.engineered_days),
        "file_name": printable(data.name), "model_version": scorer.model_version, "attempt": attempt,
        "output_folder": output_folder or clients.pipeline.score.output,
    }  # fmt: skip
    # Earlier versions of the pipeline have a key of reuse, and no source.
    inputs = {name: value for name, value in inputs.items() if name in scorer.inputs}
    job = jobs.start(clients, scorer.deployment, inputs, clients.pipeline.scoring_experiment)
    name = printable(data.name)
    console.print(
        f"Scoring {name} with version {scorer.model_version} of {clients.pipeline.model}: run {job.name}, {job.page}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    if started is not None:
        started(job)
    run.follow(clients, job, console)
    entry = ledger(clients).read(data.sha256, attempt)
    if entry is None:
        raise RemoteError(f"Run {job.name} completed, and the ledger has no entry of {name}.")
    show(entry, clients, console)
    if not attempt.startswith(SAMPLE):
        show_window(clients, entry, console)
    return entry


def show_window(clients: Clients, entry: Entry, console: Console) -> None:
    """Print how the file differs from the data of the version that scored it; nothing where nobody watches."""
    if clients.pipeline.specification.watch is None:
        return
    name = window_id(datetime.fromisoformat(entry.scored_at), entry.file_version, entry.attempt)
    window = WatchHistory(clients.training, entry.model).window(name)
    if window is not None:
        watching.show_window(window, console)


def _write_sample(data: Path, file: Path) -> None:
    """Write the first rows that have a value in each column."""
    try:
        with data.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            header = next(rows, [])
            complete = list(islice((row for row in rows if len(row) == len(header) and all(row)), _SAMPLE_ROWS))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidError(f"{data} cannot be read: {error}.") from error
    if not complete:
        raise InvalidError(f"{data} has no row with a value in each column, to try the model with.")
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *complete])
