"""Scoring of the input folder: one run takes the files that were neither scored nor refused."""

from __future__ import annotations

import uuid

from rich.console import Console

from mlops import scoring, scoring_runs
from mlops.clients import Clients
from mlops.components.score.src.ledger import FIRST, Entry, Ledger
from mlops.components.take_files.src.incoming import LeftFile, listing
from mlops.errors import MissingError
from mlops.scoring_runs import Results, Started, model_ledger, say
from steps.file_names import printable
from steps.taken_files import INCOMING, SOURCE

_MOST_SHOWN = 20
"""Maximum number of files that were scored, or refused, before to name in the output."""

_AGAIN = "--again scores it again"


def score(clients: Clients, console: Console, *, again: bool = False, started: Started | None = None) -> Results:
    """Score the files that were neither scored nor refused, or all of them `again`, in one run.

    No run is started without files to score. A file that cannot be scored does not stop the others: RunFailedError
    names each at the end. Raises the errors of `scoring.find_scorer`, and MissingError for a version that was
    published before runs took files by themselves.
    """
    scorer = scoring.find_scorer(clients)
    attempt = f"again-{uuid.uuid4().hex[:12]}" if again else FIRST
    folder = clients.pipeline.score.input
    ledger = model_ledger(clients)
    files = listing(clients.training, folder, ledger.contents(), attempt, scorer.code_version)
    known = _known(clients, ledger, files, scorer.code_version, console)
    waiting = [file for file in files if file.waits and file.size]
    for file in files:
        if not file.size:
            say(f"{printable(file.name)} is empty, and left where it is.", console)
    if not files:
        say(f"There is no CSV file in {clients.outputs.training_container}/{folder}/ to score.", console)
    if not waiting:
        return known
    if SOURCE not in scorer.inputs:
        raise MissingError(
            f"The deployment {scorer.deployment}, with which version {scorer.model_version} of "
            f"{clients.pipeline.model} serves, was published before its runs took files by themselves: publish it, and "
            "train or promote a model with it. Until then, score files one by one."
        )
    job = scoring_runs.start(clients, scorer, f"{folder}/", {SOURCE: INCOMING, "attempt": attempt}, console, started)
    results = scoring_runs.follow(clients, scorer, job, console)
    if results.left is not None:
        own = sum(entry.run == job.name for entry in results.entries)
        others = len(results.entries) - own
        beside = f", {others} scored by another run meanwhile" if others else ""
        left = f", {results.left} wait for the next run (score.most_files)" if results.left else ""
        say(f"{_files(own)} scored, {len(results.refusals)} refused{beside}{left}.", console)
    repeated = _say_not_taken(clients, waiting, results, attempt, scorer.code_version, console)
    return Results((*known.entries, *repeated, *results.entries), results.refusals, known.refused_before)


def _known(clients: Clients, ledger: Ledger, files: list[LeftFile], code_version: str, console: Console) -> Results:
    """Show and return earlier results of files; put outputs of a killed run in their places."""
    for folder in clients.pipeline.score.outputs:
        ledger.settle_left(f"{folder}/{clients.pipeline.model}")
    scored, refused = [file for file in files if file.scored], [file for file in files if file.refused]
    entries = [entry for file in scored if (entry := ledger.read(str(file.version), FIRST)) is not None]
    refusals = [
        known for file in refused if (known := ledger.refusal(file.refused_as, FIRST, code_version)) is not None
    ]
    for file in scored[:_MOST_SHOWN]:
        say(f"{printable(file.name)} was scored already: {_AGAIN}.", console)
    if len(scored) > _MOST_SHOWN:
        say(f"So were {len(scored) - _MOST_SHOWN} more.", console)
    for refusal in refusals[:_MOST_SHOWN]:
        text = f"was refused by run {refusal.run}: {refusal.reason}"
        say(f"{refusal.file_name} {text}. It is left alone; --again tries it again.", console)
    if len(refusals) > _MOST_SHOWN:
        say(f"So were {len(refusals) - _MOST_SHOWN} more.", console)
    return Results(tuple(entries), (), tuple(refusals))


def _say_not_taken(
    clients: Clients, waiting: list[LeftFile], results: Results, attempt: str, code_version: str, console: Console
) -> list[Entry]:
    """Show why a run did not score a file by itself that waited for it; return the earlier entries of such files.

    Its content has an entry or a refusal: of a file of another name, or of the same one, delivered again.
    """
    ledger = model_ledger(clients)
    names = {file.name for file in waiting}
    scored_now = {entry.file_version for entry in results.entries}
    refused_now = {refusal.file_version for refusal in results.refusals}
    entries: dict[str, Entry] = {}
    for file in listing(clients.training, clients.pipeline.score.input, ledger.contents(), attempt, code_version):
        name = printable(file.name)
        if file.name not in names:
            continue
        if file.scored and (entry := ledger.read(str(file.version), attempt)) is not None:
            if entry.file_version not in scored_now:
                entries[entry.file_version] = entry
                say(f"{name} was scored already, as {entry.file_name} by run {entry.run}: {_AGAIN}.", console)
            elif entry.file_name != name:
                say(f"{name} has the content of {entry.file_name}, and is scored with it.", console)
        elif file.refused and (refusal := ledger.refusal(file.refused_as, attempt, code_version)) is not None:
            if refusal.file_version not in refused_now:
                say(
                    f"{name} was refused already, as {refusal.file_name} by run {refusal.run}: {refusal.reason}. It is "
                    "left alone; --again tries it again.",
                    console,
                )
            elif refusal.file_name != name:
                say(f"{name} has the content of {refusal.file_name}, and is refused with it.", console)
    return list(entries.values())


def _files(number: int) -> str:
    return f"{number} {'file' if number == 1 else 'files'}"
