"""Scoring of files with the serving version: each once, unless a repetition is requested."""

from __future__ import annotations

import csv
import tempfile
import uuid
from itertools import islice
from pathlib import Path

from rich.console import Console

from mlops import publish, reuse_keys, scoring_runs, serving_version, training_data
from mlops.clients import Clients
from mlops.components.score.src.ledger import FIRST, SAMPLE, Entry
from mlops.components.take_files.src.incoming import copy_of
from mlops.errors import InvalidError, MissingError, RemoteError, RunFailedError
from mlops.promote import DEPLOYMENT, serving
from mlops.scoring_runs import Results, Scorer, Started, model_ledger
from mlops.training_data import TrainingData
from steps.file_names import printable
from steps.taken_files import FILE, SOURCE

SAMPLES = "scoring/samples"
"""Folder of predictions of trials: readers of predictions skip it."""
_SAMPLE_ROWS = 50


class ScoringData(TrainingData):
    """A file that is to be scored. Runs read a copy, which is named after its content alone and never changes."""

    @property
    def blob(self) -> str:
        return copy_of(self.sha256)


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
            raise MissingError(
                f"Nothing is published on stack {clients.outputs.environment}: run `python -m mlops publish "
                f"{clients.options}` first."
            )
        deployment = default.deployment
    beside = publish.scoring_deployment(clients, deployment)
    if beside is None:
        raise MissingError(
            f"The deployment {deployment}, with which version {served.version} of {clients.pipeline.model} serves, was "
            f"published before its pipeline scored with {scoring.notebook}: publish it, and train or promote a model "
            "with it."
        )
    return Scorer(served.version, beside.deployment, frozenset(publish.inputs_of(clients, beside)), beside.version)


def read(file: Path) -> ScoringData:
    """Read a file. Raises MissingError when it is not there, InvalidError when it is not a file or empty."""
    data = training_data.read(file)
    return ScoringData(data.file, data.sha256, file.name)


def score(
    clients: Clients, data: ScoringData, console: Console, *, again: bool = False, started: Started | None = None
) -> Results:
    """Score a file that was neither scored nor refused, or any file `again`; return its entry in the ledger.

    Raises the errors of `find_scorer`, MissingError included, and RunFailedError for a file that cannot be scored. A
    promotion meanwhile takes effect at the next file.
    """
    scorer = find_scorer(clients)
    known = None if again else _known(clients, scorer, data, console)
    if known is not None:
        return known
    training_data.upload(clients, data)
    attempt = f"again-{uuid.uuid4().hex[:12]}" if again else FIRST
    try:
        return _run(clients, scorer, data, console, attempt=attempt, started=started)
    except RunFailedError as error:
        if model_ledger(clients).read(data.sha256, attempt) is not None:
            raise RunFailedError(
                f"{printable(data.name)} is scored, and the run failed after that:\n{error}"
            ) from error
        raise


def _known(clients: Clients, scorer: Scorer, data: ScoringData, console: Console) -> Results | None:
    """Show and return the earlier result of a file, None when it was neither scored nor refused."""
    entry, name = model_ledger(clients).read(data.sha256, FIRST), printable(data.name)
    if entry is not None:
        # Rows of a table may be in another file by now: OPTIMIZE and VACUUM replace the entry's file.
        gone = not model_ledger(clients).settle(entry) and not entry.table
        state = "; its predictions were deleted since" if gone else ""
        scoring_runs.say(f"{name} was scored already{state}: --again scores it again.", console)
        scoring_runs.show_entry(entry, clients, console)
        return Results(entries=(entry,))
    refusal = model_ledger(clients).refusal(data.sha256, FIRST, scorer.code_version)
    if refusal is not None:
        scoring_runs.say(f"{name} was refused already: --again tries it again.", console)
        scoring_runs.show_refusal(refusal, clients, console)
        return Results(refusals=(refusal,))
    return None


def score_sample(clients: Clients, console: Console) -> Entry:
    """Score some rows of the training data, to test the serving version; they do not count as predictions.

    Raises RefusedError when the sample is refused.
    """
    scorer = find_scorer(clients)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.csv"
        _write_sample(clients.pipeline.data, file)
        data = ScoringData(**vars(training_data.measured(file, "sample.csv")))
        training_data.upload(clients, data)
    attempt = f"{SAMPLE}{uuid.uuid4().hex[:12]}"
    results = _run(clients, scorer, data, console, attempt=attempt, output_folder=SAMPLES)
    results.check()
    return results.entries[0]


def _run(
    clients: Clients,
    scorer: Scorer,
    data: ScoringData,
    console: Console,
    *,
    attempt: str,
    output_folder: str | None = None,
    started: Started | None = None,
) -> Results:
    """Start a run for a file, follow it, and return the file's entry in the ledger."""
    out, name = clients.outputs, printable(data.name)
    uri = data.uri(out.training_account, out.training_container)
    inputs = {
        SOURCE: FILE, "file_uri": uri, "file_version": data.sha256, "file_name": name, "attempt": attempt,
        # Earlier versions of the pipeline have a key of reuse, and no source.
        reuse_keys.INPUT: reuse_keys.shared(uri, data.sha256, out.engineered_days),
    }  # fmt: skip
    if output_folder is not None:
        inputs["output_folder"] = output_folder
    job = scoring_runs.start(clients, scorer, name, inputs, console, started)
    results = scoring_runs.follow(clients, scorer, job, console)
    if results.entries or results.refusals:
        return results
    entry = model_ledger(clients).read(data.sha256, attempt)
    if entry is None:
        raise RemoteError(f"Run {job.name} completed, and the ledger has no entry of {name}.")
    results = Results(entries=(entry,))
    scoring_runs.show(results, clients, console)
    return results


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
