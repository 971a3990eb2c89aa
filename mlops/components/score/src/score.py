"""Score a prepared file with the version that serves, once; write predictions and refused rows whole or not at all.

The version is an input of the run, or is resolved here, once: a promotion during the run changes nothing for it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import ContainerClient
from azure.storage.filedatalake import DataLakeServiceClient
from ledger import ENTRIES_FILE, STAGED, Entry, Ledger, summary  # type: ignore[import-not-found]
from mlflow.exceptions import MlflowException

from steps import champion, models, scored_measures
from steps.inputs import parameter, specification
from steps.scoring import PREDICTIONS_FILE, REFUSED_FILE, Counts, ScoringError, Stamp, score
from steps.specification import Specification

_QUARANTINE = "scoring/quarantine"
_CONTAINER = re.compile(r"abfss://(?P<container>[^@/]+)@(?P<account>[^./]+)\.dfs\.(?P<suffix>[^/]+)/?")
_MOST_REASONS = 5


def connect(uri: str, credential: TokenCredential) -> tuple[DataLakeServiceClient, ContainerClient, str]:
    """Return both clients of a container, and its name. Ends the program for another kind of URI."""
    place = _CONTAINER.fullmatch(uri)
    if place is None:
        sys.exit(f"{uri} is not abfss://CONTAINER@ACCOUNT.dfs.core.windows.net")
    account, suffix, container = place["account"], place["suffix"], place["container"]
    lake = DataLakeServiceClient(f"https://{account}.dfs.{suffix}", credential=credential)
    return lake, ContainerClient(f"https://{account}.blob.{suffix}", container, credential=credential), container


def resolve(specified: Specification, wanted: str) -> str:
    """Return the number of the version that scores. Raises ScoringError when no version is registered."""
    if wanted != champion.CHAMPION:
        return wanted
    versions = mlflow.MlflowClient().search_model_versions(f"name='{specified.model}'")
    version = champion.champion((str(item.version), dict(item.tags or {})) for item in versions)
    if version is None:
        raise ScoringError(f"no version of {specified.model} is registered: train and promote a model first")
    return version


def load(specified: Specification, version: str) -> Any:
    """Return the version as a pyfunc. Raises ScoringError when it cannot be had."""
    try:
        return models.load(mlflow.artifacts.download_artifacts(f"models:/{specified.model}/{version}"))
    except models.NotComparableError as error:
        raise ScoringError(f"version {version} of {specified.model}: {error}") from error
    except (MlflowException, OSError) as error:
        raise ScoringError(f"version {version} of {specified.model} cannot be read: {error}") from error


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("prepared", "scored"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    client = os.environ.get("DEFAULT_IDENTITY_CLIENT_ID")
    credential = ManagedIdentityCredential(client_id=client) if client else DefaultAzureCredential()
    lake, blobs, container = connect(parameter("container_uri"), credential)
    specified = specification()
    try:
        ledger = Ledger(lake.get_file_system_client(container), blobs, specified.model)
        entry = _score(options.prepared, specified, ledger, blobs)
    except (ScoringError, AzureError) as error:
        sys.exit(f"The file {parameter('file_name')} is not scored: {error}.")
    options.scored.mkdir(parents=True, exist_ok=True)
    (options.scored / ENTRIES_FILE).write_text(json.dumps([asdict(entry)], indent=2), encoding="utf-8")
    with mlflow.start_run():
        mlflow.log_metrics(summary(entry))
        mlflow.set_tags({"model_version": entry.model_version, "output": entry.output, "scored_by": entry.run})
    by = "" if entry.run == _run() else f", by run {entry.run}"
    print(
        f"Scored {entry.file_name} with version {entry.model_version}{by}: {entry.rows_read} rows read, "
        f"{entry.rows_scored} scored, {entry.rows_refused} refused. Output: {entry.output}"
    )


def _score(prepared: Path, specified: Specification, ledger: Ledger, blobs: ContainerClient) -> Entry:
    file_version, attempt = parameter("file_version"), parameter("attempt")
    known = ledger.read(file_version, attempt)
    if known is not None:
        ledger.settle(known)
        return known
    version = resolve(specified, parameter("model_version"))
    now, run = datetime.now(UTC), _run()
    stamp = Stamp(version, now, parameter("file_name"))
    model = load(specified, version)
    own = f"date={now:%Y-%m-%d}/run={run}"
    root = f"{parameter('output_folder')}/{specified.model}"
    # An attempt of the step's own: Azure ML may start a step again, under the same name.
    staged = f"{root}/{STAGED}/{run}-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        counts = score(prepared, model, specified, stamp, folder)
        quarantine = f"{_QUARANTINE}/{specified.model}/{own}/{REFUSED_FILE}" if counts.refused else None
        if quarantine is not None:
            # One request, or blocks that are committed by the last one: there is never a part of it.
            _upload(blobs, folder / REFUSED_FILE, quarantine)
        check_share(counts, specified, quarantine)
        for name in (PREDICTIONS_FILE, scored_measures.FILE):
            _upload(blobs, folder / name, f"{staged}/{name}")
    entry = Entry(
        file_version=file_version, file_name=stamp.input_file, attempt=attempt, run=run, model=specified.model,
        model_version=version, code_version=parameter("code_version"), scored_at=now.isoformat(timespec="seconds"),
        staged=staged, output=f"{root}/{own}", quarantine=quarantine, rows_read=counts.read,
        rows_scored=counts.scored, rows_refused=counts.refused, reasons=counts.reasons,
    )  # fmt: skip
    return ledger.commit(entry)


def _run() -> str:
    """Return the name of the pipeline run, which people know."""
    return os.environ["AZUREML_ROOT_RUN_ID"]


def _upload(blobs: ContainerClient, file: Path, path: str) -> None:
    with file.open("rb") as stream:
        blobs.upload_blob(path, stream, overwrite=True)


if __name__ == "__main__":
    main()
