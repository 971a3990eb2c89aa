"""Score what others left in the input folder: one run takes the files that were not scored."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from rich.console import Console

from mlops import jobs, run, scoring
from mlops.clients import Clients
from mlops.components.score.src.ledger import FIRST, Entry, RunRecord
from mlops.components.take_files.src.incoming import LeftFile, listing
from mlops.errors import MissingError, RunFailedError
from mlops.jobs import Job
from mlops.scoring import Scorer
from mlops.terminal import plain
from steps.file_names import printable
from steps.taken_files import INCOMING, SOURCE

_MOST_SHOWN = 20
"""Maximum number of files that were scored before to name in the output."""


def score(
    clients: Clients, console: Console, *, again: bool = False, started: Callable[[Job], None] | None = None
) -> list[Entry]:
    """Score the files that were not scored, or all of them `again`, in one run; return the ledger's entries.

    No run is started where there is nothing to score. A file that cannot be scored does not keep the others from it:
    RunFailedError names each at the end. Raises what `scoring.find_scorer` raises, and MissingError for a version that
    was published before runs took files by themselves.
    """
    scorer = scoring.find_scorer(clients)
    attempt = f"again-{uuid.uuid4().hex[:12]}" if again else FIRST
    files = listing(clients.training, clients.pipeline.score.input, scoring.ledger(clients), attempt)
    entries = _known(clients, [file for file in files if file.scored], console)
    if all(file.scored for file in files):
        return entries
    if SOURCE not in scorer.inputs:
        raise MissingError(
            f"The deployment {scorer.deployment}, with which version {scorer.model_version} of "
            f"{clients.pipeline.model} serves, was published before its runs took files by themselves: publish it, and "
            "train or promote a model with it. Until then, score files one by one."
        )
    return entries + _run(clients, scorer, attempt, console, started)


def _known(clients: Clients, files: list[LeftFile], console: Console) -> list[Entry]:
    """Return the entries of files that were scored before; put outputs in their places that a killed run left."""
    ledger = scoring.ledger(clients)
    ledger.settle_left(f"{clients.pipeline.score.output}/{clients.pipeline.model}")
    entries = [entry for file in files if (entry := ledger.read(str(file.version), FIRST)) is not None]
    for file in files[:_MOST_SHOWN]:
        text = f"{printable(file.name)} was scored already: --again scores it again."
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    if len(files) > _MOST_SHOWN:
        console.print(f"So were {len(files) - _MOST_SHOWN} more.", highlight=False)
    return entries


def _run(
    clients: Clients, scorer: Scorer, attempt: str, console: Console, started: Callable[[Job], None] | None
) -> list[Entry]:
    """Start a run, follow it, and show what became of the files."""
    inputs = {
        SOURCE: INCOMING, "model_version": scorer.model_version, "attempt": attempt,
        "output_folder": clients.pipeline.score.output,
    }  # fmt: skip
    job = jobs.start(clients, scorer.deployment, inputs, clients.pipeline.scoring_experiment)
    console.print(
        f"Scoring {clients.pipeline.score.input}/ with version {scorer.model_version} of {clients.pipeline.model}: run "
        f"{job.name}, {job.page}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    if started is not None:
        started(job)
    try:
        run.follow(clients, job, console)
    except RunFailedError as error:
        record = scoring.ledger(clients).recorded(job.name)
        if record is None:
            raise
        _entries(clients, record, console)
        names = [f"{failed.file_name}: {failed.reason}" for failed in record.failures]
        raise RunFailedError("\n".join(["Not scored:", *names]) if names else str(error)) from error
    record = scoring.ledger(clients).recorded(job.name)
    return [] if record is None else _entries(clients, record, console)


def _entries(clients: Clients, record: RunRecord, console: Console) -> list[Entry]:
    ledger = scoring.ledger(clients)
    entries = [entry for version in record.files if (entry := ledger.read(version, record.attempt)) is not None]
    for entry in entries:
        scoring.show(entry, clients, console)
        scoring.show_window(clients, entry, console)
    if record.left:
        text = f"{record.left} files wait for the next run: score.most_files is {clients.pipeline.score.most_files}."
        console.print(plain(text), highlight=False)
    return entries
