"""Score prepared files with the version that serves, each once; write predictions and refused rows whole or not at all.

The version is an input of the run, or is resolved here, once: a promotion during the run changes nothing for it. A file
that cannot be scored does not keep the others from it, and fails the step in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient
from containers import connect, job_credential  # type: ignore[import-not-found]
from ledger import (  # type: ignore[import-not-found]
    ENTRIES_FILE,
    STAGED,
    Entry,
    Failure,
    Ledger,
    RunRecord,
    staged_name,
    summary,
)
from mlflow.exceptions import MlflowException

from steps import champion, models, scored_measures
from steps.inputs import parameter, specification
from steps.scoring import FAILED, PREDICTIONS_FILE, REFUSED_FILE, Counts, ScoringError, Stamp, failure, score
from steps.specification import Specification
from steps.taken_files import TakenFile, TakenFiles

_QUARANTINE = "scoring/quarantine"
_MOST_REASONS = 5


class NoVersionError(Exception):
    """Error of a run without a version that can score any file; the text says why."""


def resolve(specified: Specification, wanted: str, deployment: str) -> str:
    """Return the number of the version that scores.

    `deployment` is the one beside which this code was published. Raises NoVersionError when no version is registered,
    or when the one that serves was promoted with other code: a promotion or a rollback is under way.
    """
    if wanted != champion.CHAMPION:
        return wanted
    registered = mlflow.MlflowClient().search_model_versions(f"name='{specified.model}'")
    versions = {str(item.version): dict(item.tags or {}) for item in registered}
    version = champion.champion(versions.items())
    if version is None:
        raise NoVersionError(f"no version of {specified.model} is registered: train and promote a model first")
    promoted_with = versions[version].get(champion.DEPLOYMENT, deployment)
    if promoted_with != deployment:
        raise NoVersionError(
            f"version {version} of {specified.model} serves with {promoted_with}, and this run is of {deployment}: "
            "what serves is being moved, and the next run takes the files"
        )
    return version


def load(specified: Specification, version: str) -> Any:
    """Return the version as a pyfunc. Raises NoVersionError when it cannot be had."""
    try:
        return models.load(mlflow.artifacts.download_artifacts(f"models:/{specified.model}/{version}"))
    except models.NotComparableError as error:
        raise NoVersionError(f"version {version} of {specified.model}: {error}") from error
    except (MlflowException, OSError) as error:
        raise NoVersionError(f"version {version} of {specified.model} cannot be read: {error}") from error


def check_share(counts: Counts, specified: Specification, quarantine: str | None) -> None:
    """Raise ScoringError when nothing is scored, or more rows are refused than the specification allows."""
    allowed = specified.score.most_refused if specified.score else 0.0
    if counts.scored and counts.refused_share <= allowed:
        return
    reasons = "; ".join(f"{reason} ({number})" for reason, number in list(counts.reasons.items())[:_MOST_REASONS])
    raise ScoringError(
        f"{counts.refused} of {counts.read} rows are refused, and {allowed:.0%} may be: {reasons}. Nothing is "
        f"scored; the refused rows are in {quarantine}"
    )


@dataclass
class Scorer:
    """Scores the files of one run, whose name is `run`."""

    specified: Specification
    ledger: Ledger
    blobs: ContainerClient
    run: str
    attempt: str

    @cached_property
    def version(self) -> str:
        return resolve(self.specified, parameter("model_version"), parameter("deployment"))

    @cached_property
    def model(self) -> Any:
        return load(self.specified, self.version)

    def score(self, file: TakenFile, prepared: Path, own: str) -> Entry:
        """Score a file unless it was scored, and return the entry that counts.

        `own` is a name that no other output has. Raises ScoringError for a file that cannot be scored, NoVersionError
        when none can.
        """
        known = self.ledger.read(file.version, self.attempt)
        if known is not None:
            self.ledger.settle(known)
            return known
        if (prepared / FAILED).exists():
            raise ScoringError(failure(prepared))
        model, specified, now = self.model, self.specified, datetime.now(UTC)
        stamp = Stamp(self.version, now, file.name)
        place = f"date={now:%Y-%m-%d}/run={own}"
        root = f"{parameter('output_folder')}/{specified.model}"
        # A name of the step's own: Azure ML may start a step again.
        staged = f"{root}/{STAGED}/{staged_name(file.version, self.attempt, uuid.uuid4().hex[:8])}"
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            counts = score(prepared, model, specified, stamp, folder)
            quarantine = f"{_QUARANTINE}/{specified.model}/{place}/{REFUSED_FILE}" if counts.refused else None
            if quarantine is not None:
                # One request, or blocks that are committed by the last one: there is never a part of it.
                self._upload(folder / REFUSED_FILE, quarantine)
            check_share(counts, specified, quarantine)
            for name in (PREDICTIONS_FILE, scored_measures.FILE):
                self._upload(folder / name, f"{staged}/{name}")
        return self.ledger.commit(
            Entry(
                file_version=file.version, file_name=file.name, attempt=self.attempt, run=self.run,
                model=specified.model, model_version=self.version, code_version=parameter("code_version"),
                scored_at=now.isoformat(timespec="seconds"), staged=staged, output=f"{root}/{place}",
                quarantine=quarantine, rows_read=counts.read, rows_scored=counts.scored,
                rows_refused=counts.refused, reasons=counts.reasons,
            )
        )  # fmt: skip

    def _upload(self, file: Path, path: str) -> None:
        with file.open("rb") as stream:
            self.blobs.upload_blob(path, stream, overwrite=True)


def score_all(scorer: Scorer, taken: TakenFiles, prepared: Path) -> tuple[list[Entry], list[Failure]]:
    """Score each file, and note those that cannot be scored. Raises NoVersionError when none can."""
    entries: list[Entry] = []
    failures: list[Failure] = []
    for file in taken.files:
        own = scorer.run if len(taken.files) == 1 else f"{scorer.run}-{file.version[:12]}"
        try:
            entry = scorer.score(file, prepared / file.version, own)
        except ScoringError as error:
            failures.append(Failure(file.version, file.name, str(error)))
            scorer.ledger.note_failure(failures[-1], scorer.run)
            continue
        entries.append(entry)
        by = "" if entry.run == scorer.run else f", by run {entry.run}"
        print(
            f"Scored {entry.file_name} with version {entry.model_version}{by}: {entry.rows_read} rows read, "
            f"{entry.rows_scored} scored, {entry.rows_refused} refused. Output: {entry.output}",
            flush=True,
        )
    return entries, failures


def log(entries: list[Entry], files: int) -> None:
    """Log the numbers of all files, and where the last one's output is."""
    with mlflow.start_run():
        mlflow.log_metrics(summary(entries) | {"files": files, "files_scored": len(entries)})
        if entries:
            last = entries[-1]
            mlflow.set_tags({"model_version": last.model_version, "output": last.output, "scored_by": last.run})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("files", "prepared", "scored"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    taken = TakenFiles.read(options.files)
    specified = specification()
    container = connect(parameter("container_uri"), job_credential())
    # The name of the pipeline run, which people know.
    run, attempt = os.environ["AZUREML_ROOT_RUN_ID"], parameter("attempt")
    ledger = Ledger(container.lake, container.blobs, specified.model)
    try:
        scorer = Scorer(specified, ledger, container.blobs, run, attempt)
        entries, failures = score_all(scorer, taken, options.prepared)
        versions = tuple(entry.file_version for entry in entries)
        ledger.record(RunRecord(run, attempt, versions, tuple(failures), taken.left))
    except (NoVersionError, AzureError) as error:
        only = taken.files[0].name if len(taken.files) == 1 else ""
        sys.exit(f"The file {only} is not scored: {error}." if only else f"The scoring ended early: {error}.")
    options.scored.mkdir(parents=True, exist_ok=True)
    content = json.dumps([asdict(entry) for entry in entries], indent=2)
    (options.scored / ENTRIES_FILE).write_text(content, encoding="utf-8")
    log(entries, len(taken.files))
    if failures:
        sys.exit("\n".join(f"The file {failed.file_name} is not scored: {failed.reason}." for failed in failures))
    if not taken.files:
        print("No file waits to be scored.")


if __name__ == "__main__":
    main()
