"""Outputs that are part of a Delta table. Environments of pipelines that write no tables have no library for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient
from containers import Container  # type: ignore[import-not-found]
from ledger import KEPT, prediction_table  # type: ignore[import-not-found]

from steps.prediction_table import SchemaError
from steps.scoring import ScoringError

_OUTPUT = "run="
"""Beginning of the name of a folder that has one output alone."""


def prepare(blobs: ContainerClient, folder: str, predictions: Path, *, trial: bool) -> None:
    """Make the table of a folder fit the predictions; a trial changes nothing.

    Raises ScoringError for predictions that do not fit the table, before anything is written.
    """
    schema = pq.read_schema(predictions)
    try:
        with prediction_table(blobs, folder) as table:
            if trial:
                table.check(schema)
            else:
                table.ensure(schema)
    except SchemaError as error:
        raise ScoringError(f"its predictions do not fit the Delta table {folder}: {error}") from error


def expire(container: Container, folder: str, keep_days: str) -> None:
    """Delete rows that are older than a number of days, and the files that no row is in for a week or longer.

    Outputs that are not in the table yet have to be settled before.
    """
    if keep_days == KEPT:
        return
    oldest = (datetime.now(UTC) - timedelta(days=int(keep_days))).date()
    with prediction_table(container.blobs, folder) as table:
        if table.delete_before(oldest):
            print(f"Deleted rows of the days before {oldest} from the table {folder}", flush=True)
        unused = [PurePosixPath(folder, path) for path in table.unused_files() if path.endswith(".parquet")]
    for path in unused:
        try:
            if path.parent.name.startswith(_OUTPUT):  # the measures of the predictions are beside them
                container.lake.get_directory_client(str(path.parent)).delete_directory()
            else:
                container.blobs.delete_blob(str(path))
        except ResourceNotFoundError:  # by another run
            continue
    if unused:
        print(f"Deleted {len(unused)} files that no row of the table {folder} is in", flush=True)
