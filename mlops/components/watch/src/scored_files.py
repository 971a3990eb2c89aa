"""Scored files without a window, by the ledger, also of runs that were killed before they watched them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient
from containers import Container  # type: ignore[import-not-found]
from ledger import FOLDER, SAMPLE, Entry, Ledger, prediction_table  # type: ignore[import-not-found]

from steps import scored_measures
from steps.scored_measures import ScoredMeasures
from steps.specification import PREDICTIONS_FILE
from steps.watch_results import Window, window_id

if TYPE_CHECKING:
    from steps.prediction_table import Snapshot

LOOK_BACK = timedelta(days=7)
"""Time for which a scored file is searched that was not watched."""
_DAY = "/date="
_ENTRY = re.compile(r"[^/_][^/]*/[^/_][^/]*\.json")


def unwatched(container: Container, model: str, watched: Sequence[str], own: Sequence[Entry]) -> Iterator[Window]:
    """Yield a window without a verdict for each scored file that has none, the oldest first.

    `watched`: ids of windows. `own`: entries of the run, which are looked at however old they are. An output that a
    killed run left where it was written is put in its place.
    """
    blobs, ledger = container.blobs, Ledger(container.lake, container.blobs, model)
    root, known = f"{FOLDER}/{model}/", set(watched)
    since = datetime.now(UTC) - LOOK_BACK
    names = [
        blob.name
        for blob in blobs.list_blobs(name_starts_with=root)
        if blob.last_modified >= since and _ENTRY.fullmatch(blob.name.removeprefix(root))
    ]
    entries = {(entry.file_version, entry.attempt): entry for entry in (*own, *_read(blobs, names, known))}
    counted = [(_window(entry), entry) for entry in entries.values() if not entry.attempt.startswith(SAMPLE)]
    for window, entry in sorted(counted, key=lambda pair: pair[0].id):
        if window.id not in known:
            ledger.settle(entry)
            yield window


def measures(blobs: ContainerClient, window: Window) -> ScoredMeasures | None:
    """Return the score step's measures, None for a file of an earlier version, or whose predictions are gone."""
    try:
        content = blobs.download_blob(f"{window.output}/{scored_measures.FILE}").readall()
    except ResourceNotFoundError:
        return None
    return ScoredMeasures.model_validate_json(content)


class Predictions:
    """The predictions of windows: files, or rows of Delta tables, which are read as of one moment."""

    def __init__(self, blobs: ContainerClient) -> None:
        self._blobs = blobs
        self._snapshot = cache(self._read_snapshot)

    def read(self, window: Window, keys: Sequence[str]) -> pd.DataFrame | None:
        """Return keys, predictions and probabilities; None when they were deleted, or lack a column."""
        folder, _, place = window.output.rpartition(_DAY)
        # Readers may have put the rows into another file (OPTIMIZE, VACUUM), or deleted some of them.
        table = self._snapshot(folder)
        if table is None:
            return _rows_of_file(self._blobs, window, keys)
        columns = _chosen(table.columns, keys)
        if columns is None:
            return None
        path = f"{_DAY[1:]}{place}/{PREDICTIONS_FILE}"
        rows = table.rows(path, window.run, window.file_name, columns)
        if rows is None or not rows.num_rows:
            return None
        # Other versions have these probabilities, and the table has their columns for all.
        return rows.select([name for name in columns if rows[name].null_count < rows.num_rows]).to_pandas()

    def _read_snapshot(self, folder: str) -> Snapshot | None:
        if find_spec("deltalake") is None:  # the pipeline writes no tables now
            return None
        with prediction_table(self._blobs, folder) as table:
            snapshot: Snapshot | None = table.snapshot()
        return snapshot


def _chosen(names: Sequence[str], keys: Sequence[str]) -> list[str] | None:
    if scored_measures.PREDICTION not in names or any(key not in names for key in keys):
        return None
    return [*keys, scored_measures.PREDICTION, *(name for name in names if name.startswith("probability_"))]


def _rows_of_file(blobs: ContainerClient, window: Window, keys: Sequence[str]) -> pd.DataFrame | None:
    try:
        content = blobs.download_blob(f"{window.output}/{PREDICTIONS_FILE}").readall()
    except ResourceNotFoundError:
        return None
    file = pq.ParquetFile(io.BytesIO(content))
    columns = _chosen(file.schema_arrow.names, keys)
    rows: pd.DataFrame | None = None if columns is None else file.read(columns=columns).to_pandas()
    return rows


def _read(blobs: ContainerClient, names: Sequence[str], watched: set[str]) -> Iterator[Entry]:
    known = {name.rpartition("-")[2] for name in watched}
    for name in names:
        *_, file_version, attempt = name.removesuffix(".json").split("/")
        # A window's name ends with the keys of file and attempt: no entry is read for it.
        if window_id(datetime.now(UTC), file_version, attempt).rpartition("-")[2] not in known:
            try:
                yield Entry.parse(json.loads(blobs.download_blob(name).readall()))
            except ResourceNotFoundError:  # deleted meanwhile, by the stack's lifecycle rules
                continue


def _window(entry: Entry) -> Window:
    scored_at = datetime.fromisoformat(entry.scored_at)
    return Window(
        id=window_id(scored_at, entry.file_version, entry.attempt), model=entry.model,
        model_version=entry.model_version, run=entry.run, attempt=entry.attempt, file_name=entry.file_name,
        file_version=entry.file_version, output=entry.output, scored_at=scored_at, watched_at=datetime.now(UTC),
        rows_read=entry.rows_read, rows_scored=entry.rows_scored, rows_refused=entry.rows_refused,
        verdict="not_comparable",
    )  # fmt: skip
