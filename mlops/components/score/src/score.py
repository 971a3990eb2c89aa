"""Score prepared files with the version that serves, each once; write predictions and refused rows whole or not at all.

The version is an input of the run, or is resolved here, once: a promotion during the run has no effect on it. A file
that is at fault itself is refused, and the step succeeds. Another file that cannot be scored does not stop scoring and
watching of the others: it fails this step where nothing needs watching, and the step watch otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
import pyarrow as pa
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient
from containers import Container, connect, job_credential  # type: ignore[import-not-found]
from ledger import (  # type: ignore[import-not-found]
    ENTRIES_FILE,
    FAILURES_FILE,
    REFUSALS_FILE,
    SAMPLE,
    STAGED,
    Entry,
    Failure,
    Ledger,
    Refusal,
    RunRecord,
    staged_name,
    summary,
)
from scoring_version import NoVersionError, load, resolve  # type: ignore[import-not-found]

from steps import scored_measures
from steps.inputs import parameter, specification
from steps.scoring import REFUSED_FILE, RefusedError, ScoringError, Stamp, check_prepared, score
from steps.specification import PREDICTIONS_FILE, Specification
from steps.taken_files import TakenFile, TakenFiles, UnreadableFile

_QUARANTINE = "scoring/quarantine"
_REASON_FILE = "refused.json"
"""In the quarantine, in place of rows: why the whole file is refused."""
_TAG_LENGTH = 250
_UPLOADS = 4
"""Blocks of a file that are sent at the same time, of 4 MiB each."""


@dataclass
class Outcome:
    """Results of a run's files."""

    entries: list[Entry] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def record(self, run: str, attempt: str, left: int) -> RunRecord:
        """Return the record of the run for the ledger."""
        scored, refused = (
            tuple(item.file_version for item in items) for items in (self.entries, self.refusals)
        )  # fmt: skip
        return RunRecord(run, attempt, scored, tuple(self.failures), left, refused)


@dataclass
class Scorer:
    """Scores the files of one run, whose name is `run`."""

    specified: Specification
    ledger: Ledger
    blobs: ContainerClient
    run: str
    attempt: str
    code_version: str

    @cached_property
    def version(self) -> str:
        return str(resolve(self.specified, parameter("model_version"), parameter("deployment")))

    @cached_property
    def model(self) -> Any:
        return load(self.specified, self.version)

    @property
    def table(self) -> str:
        """Folder of the Delta table of the predictions, empty for a pipeline that writes none."""
        score = self.specified.score
        return f"{score.output}/{self.specified.model}" if score is not None and score.format == "delta" else ""

    @property
    def _is_trial(self) -> bool:
        """Whether the predictions only try a version. They are files: lifecycle rules delete them by their age."""
        return self.attempt.startswith(SAMPLE)

    def expire(self, container: Container) -> None:
        """Delete old rows of the table, where there is one. Raises AzureError."""
        if self.table and not self._is_trial:
            import table_output  # type: ignore[import-not-found]

            self.ledger.settle_left(self.table)
            table_output.expire(container, self.table, parameter("keep_days"))

    def score(self, file: TakenFile, prepared: Path, own: str) -> Entry | Refusal:
        """Score or refuse a file unless either was done, and return the entry or the refusal that counts.

        `own` is a name that no other output has. Raises ScoringError for a file that this run cannot score,
        NoVersionError when none can.
        """
        known = self.ledger.read(file.version, self.attempt)
        if known is not None:
            self.ledger.settle(known)
            return known
        refusal = self.ledger.refusal(file.version, self.attempt, self.code_version)
        if refusal is not None:
            return refusal
        now = datetime.now(UTC)
        place = f"date={now:%Y-%m-%d}/run={own}"
        quarantine = f"{_QUARANTINE}/{self.specified.model}/{place}"
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            try:
                check_prepared(prepared)
                return self._score(file, prepared, folder, now, place, f"{quarantine}/{REFUSED_FILE}")
            except RefusedError as error:
                return self._refuse(file, error, now, folder, quarantine)

    def refuse_unreadable(self, file: UnreadableFile) -> Refusal:
        """Refuse a file that storage does not hand out."""
        own = f"{self.run}-{file.version[:12]}"
        now = datetime.now(UTC)
        quarantine = f"{_QUARANTINE}/{self.specified.model}/date={now:%Y-%m-%d}/run={own}"
        with tempfile.TemporaryDirectory() as temporary:
            return self._refuse(file, RefusedError(file.reason), now, Path(temporary), quarantine)

    def _score(
        self, file: TakenFile, prepared: Path, folder: Path, now: datetime, place: str, quarantine: str
    ) -> Entry:
        model, specified = self.model, self.specified
        table = "" if self._is_trial else self.table
        root = table or f"{parameter('output_folder')}/{specified.model}"
        # A name of the step's own: Azure ML may start a step again.
        unique = uuid.uuid4().hex[:8]
        staged = f"{root}/{STAGED}/{staged_name(file.version, self.attempt, unique)}"
        # Files of a table are written where they stay.
        output = f"{root}/{place}-{unique}" if table else f"{root}/{place}"
        stamp = Stamp(self.version, now, file.name, self.run if table else "")
        counts = score(prepared, model, specified, stamp, folder)
        if counts.refused:
            # A single request, or blocks that the last request commits: there is never a part of it.
            self._upload(folder / REFUSED_FILE, quarantine)
        counts.check_share(specified.score.most_refused if specified.score else 0.0)
        if self.table:
            import table_output

            table_output.prepare(self.blobs, self.table, folder / PREDICTIONS_FILE, trial=self._is_trial)
        for name in (PREDICTIONS_FILE, scored_measures.FILE):
            self._upload(folder / name, f"{output if table else staged}/{name}")
        if table:
            self.blobs.upload_blob(staged, b"", overwrite=True)
        entry: Entry = self.ledger.commit(
            Entry(
                file_version=file.version, file_name=file.name, attempt=self.attempt, run=self.run,
                model=specified.model, model_version=self.version, code_version=self.code_version,
                scored_at=now.isoformat(timespec="seconds"), staged=staged, output=output,
                quarantine=quarantine if counts.refused else None, rows_read=counts.read, rows_scored=counts.scored,
                rows_refused=counts.refused, reasons=counts.reasons, table=table,
            )
        )  # fmt: skip
        return entry

    def _refuse(
        self, file: TakenFile | UnreadableFile, error: RefusedError, now: datetime, folder: Path, quarantine: str
    ) -> Refusal:
        """Refuse a file after its rows, or the reason alone, are in the quarantine."""
        counts = error.counts
        refusal = Refusal(
            file_version=file.version, file_name=file.name, attempt=self.attempt, run=self.run,
            model=self.specified.model, model_version=self.version, code_version=self.code_version,
            refused_at=now.isoformat(timespec="seconds"), reason=str(error),
            quarantine=f"{quarantine}/{_REASON_FILE if counts is None else REFUSED_FILE}",
            rows_read=0 if counts is None else counts.read, rows_refused=0 if counts is None else counts.refused,
        )  # fmt: skip
        if counts is None:
            (folder / _REASON_FILE).write_text(json.dumps(asdict(refusal), indent=2), encoding="utf-8")
            self._upload(folder / _REASON_FILE, refusal.quarantine)
        recorded: Refusal = self.ledger.refuse(refusal)
        return recorded

    def _upload(self, file: Path, path: str) -> None:
        with file.open("rb") as stream:
            # The last request commits the blocks, which may come in any order.
            self.blobs.upload_blob(path, stream, overwrite=True, max_concurrency=_UPLOADS)


def score_all(scorer: Scorer, taken: TakenFiles, prepared: Path) -> Outcome:
    """Score each file, and note files that cannot be scored. Raises NoVersionError when none can."""
    outcome = Outcome()
    for file in taken.files:
        own = scorer.run if len(taken.files) == 1 else f"{scorer.run}-{file.version[:12]}"
        try:
            _add(outcome, scorer.score(file, prepared / file.version, own), scorer.run)
        except ScoringError as error:
            failure = Failure(file.version, file.name, str(error))
            outcome.failures.append(failure)
            scorer.ledger.note_failure(failure, scorer.run)
    for unreadable in taken.unreadable:
        _add(outcome, scorer.refuse_unreadable(unreadable), scorer.run)
    return outcome


def _add(outcome: Outcome, result: Entry | Refusal, run: str) -> None:
    """Add the result of a file, and print it."""
    by = "" if result.run == run else f", by run {result.run}"
    if isinstance(result, Refusal):
        outcome.refusals.append(result)
        print(f"Refused {result.file_name}{by}: {result.reason}. Quarantine: {result.quarantine}", flush=True)
        return
    outcome.entries.append(result)
    print(
        f"Scored {result.file_name} with version {result.model_version}{by}: {result.rows_read} rows read, "
        f"{result.rows_scored} scored, {result.rows_refused} refused. Output: {result.output}",
        flush=True,
    )


def write(folder: Path, outcome: Outcome) -> None:
    """Write the output of the step, by which the step watch knows the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Sequence[Any]] = {
        ENTRIES_FILE: outcome.entries, REFUSALS_FILE: outcome.refusals, FAILURES_FILE: outcome.failures,
    }  # fmt: skip
    for name, results in files.items():
        content = json.dumps([asdict(result) for result in results], indent=2)
        (folder / name).write_text(content, encoding="utf-8")


def log(outcome: Outcome, files: int) -> None:
    """Log the numbers of all files, where the last one's output is, and which files were refused."""
    numbers = {"files": files, "files_scored": len(outcome.entries), "files_refused": len(outcome.refusals)}
    with mlflow.start_run():
        mlflow.log_metrics(summary(outcome.entries) | numbers)
        if outcome.entries:
            last = outcome.entries[-1]
            mlflow.set_tags({"model_version": last.model_version, "output": last.output, "scored_by": last.run})
        if outcome.refusals:
            texts = (f"{refusal.file_name}: {refusal.reason}" for refusal in outcome.refusals)
            mlflow.set_tag("refused", "; ".join(texts)[:_TAG_LENGTH])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("files", "prepared", "scored"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    taken = TakenFiles.read(options.files)
    specified = specification()
    # Arrow's own pool takes fresh memory from the machine for each batch, for a tenth of the processor time.
    pa.set_memory_pool(pa.system_memory_pool())
    container = connect(parameter("container_uri"), job_credential())
    # The name of the pipeline run, which people know.
    run, attempt = os.environ["AZUREML_ROOT_RUN_ID"], parameter("attempt")
    ledger = Ledger(container.lake, container.blobs, specified.model)
    try:
        scorer = Scorer(specified, ledger, container.blobs, run, attempt, parameter("code_version"))
        outcome = score_all(scorer, taken, options.prepared)
        ledger.record(outcome.record(run, attempt, taken.left))
    except (NoVersionError, AzureError) as error:
        only = taken.files[0].name if len(taken.files) == 1 else ""
        sys.exit(f"The file {only} is not scored: {error}." if only else f"The scoring ended early: {error}.")
    write(options.scored, outcome)
    files = len(taken.files) + len(taken.unreadable)
    log(outcome, files)
    text = "\n".join(f"The file {failure.file_name} is not scored: {failure.reason}." for failure in outcome.failures)
    if text and (specified.watch is None or not (outcome.entries or outcome.refusals)):
        sys.exit(text)
    if text:
        print(text, file=sys.stderr)
    if not files:
        print("No file waits to be scored.")
    try:
        scorer.expire(container)
    except AzureError as error:
        sys.exit(f"The predictions are committed, and old ones are not deleted: {error}.")


if __name__ == "__main__":
    main()
