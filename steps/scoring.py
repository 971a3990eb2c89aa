"""The predictions for a prepared file: every row of it is scored or refused, and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from steps import models, scored_measures
from steps.column_measures import NumberColumns
from steps.specification import PREDICTIONS_FILE, Specification

ROWS, REFUSED, COUNTS = "rows", "refused", "counts"
"""Folders that the features' notebook writes (notebooks/lib/scoring.py)."""
FAILED = "failed"
"""Folder in place of the others: why the notebook could not use the file."""
REFUSED_FILE = "refused.parquet"
_BATCH_ROWS, _READ_AHEAD = 100_000, 2
_LEAST_REPEATED = 4
"""Rows that have the same value, on average, in a column that is written with a dictionary."""
_DIFFERENCES = {"row": "DELTA_BINARY_PACKED"}
"""Encoding of Parquet columns (parquet.apache.org "Encodings"), which readers know since version 2 of the format."""
_MOST_REASONS = 5
_ROW, _FITS, _VALUE = "_row", "_fits", "_value"
_REFUSED_SCHEMA = pa.schema([("row", pa.int64()), ("reason", pa.string()), ("record", pa.string())])


_NO_PREDICTION = "the model predicts nothing for it"


class ScoringError(Exception):
    """The file cannot be scored; the text has the reason."""


class RefusedError(ScoringError):
    """The file itself is at fault: the same version never scores it. `counts` is None where its rows are unknown."""

    def __init__(self, reason: str, counts: Counts | None = None) -> None:
        super().__init__(reason)
        self.counts = counts


@dataclass(frozen=True)
class Stamp:
    """Origin that every predicted row carries. `run` is a column in tables alone: of files, the folder names it."""

    model_version: str
    scored_at: datetime
    input_file: str
    run: str = ""


@dataclass(frozen=True)
class Counts:
    """Rows of the file, scored and refused ones, and how many were refused for each reason."""

    read: int
    scored: int
    refused: int
    reasons: dict[str, int]

    def check_share(self, allowed: float) -> None:
        """Raise ScoringError when nothing is scored, or more rows are refused than the share that is allowed.

        It is a RefusedError unless that is so for rows alone that the model answers nothing for: another version of
        the model may.
        """
        if self.scored and self.refused / self.read <= allowed:
            return
        reasons = "; ".join(f"{reason} ({number})" for reason, number in list(self.reasons.items())[:_MOST_REASONS])
        text = f"{self.refused} of {self.read} rows are refused, and {allowed:.0%} may be: {reasons}"
        by_the_file = self.refused - self.reasons.get(_NO_PREDICTION, 0)
        if by_the_file == self.read or by_the_file / self.read > allowed:
            raise RefusedError(text, self)
        raise ScoringError(text)


def score(prepared: Path, model: Any, specified: Specification, stamp: Stamp, folder: Path) -> Counts:
    """Write predictions, their measures and refused rows as files of the folder; files without rows are not written.

    `model` is a pyfunc. Raises ScoringError when the model cannot score these features, when nothing is left to score,
    or when a row is neither scored nor refused.
    """
    noted = _counts(prepared)
    read = int(noted["read"])
    answers = scored_measures.Answers(specified, read)
    measures: dict[str, dict[str, Any]] = json.loads(noted.get("measures") or "{}")
    # The notebook leaves the measures of these columns to this step, and notes their kinds alone.
    numbers = NumberColumns({name: own["kind"] for name, own in measures.items() if "count" not in own}, read)
    refused = _Refused(folder / REFUSED_FILE)
    scored = 0
    with _Predictions(folder / PREDICTIONS_FILE, stamp) as written:
        try:
            for rows in _batches(prepared / ROWS):
                numbers.add(rows, rows[_ROW])
                usable = refused.take(rows, _unusable(rows))
                predictions = _predictions(usable, model, specified, stamp)
                wanted = refused.take(predictions, _unpredicted(predictions)) if len(predictions) else predictions
                if not len(wanted):
                    continue
                written.add(wanted)
                answers.add(wanted)
                scored += len(wanted)
            for rows in _batches(prepared / REFUSED):
                numbers.add(*_fitting(rows, numbers.names))
                refused.add(rows.rename(columns={_ROW: "row"}))
        finally:
            refused.close()
    if scored + refused.rows != read:
        raise ScoringError(f"of {read} rows {scored} were scored and {refused.rows} refused: the others are lost")
    if scored:
        scored_measures.write(folder, measures | numbers.measures(), answers)
    return Counts(read, scored, refused.rows, dict(refused.reasons.most_common()))


class _Predictions:
    """The file of predictions, made with the first of them. A batch is written while the model predicts the next one.

    At most two batches are in memory, so that a slow disk slows the model down.
    """

    def __init__(self, file: Path, stamp: Stamp) -> None:
        self._file = file
        self._stamps: dict[str, Any] = {
            "model_version": stamp.model_version,
            "scored_at": pd.Timestamp(stamp.scored_at),
            "input_file": stamp.input_file,
        }
        if stamp.run:
            self._stamps["run"] = stamp.run
        self._writer: pq.ParquetWriter | None = None
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> _Predictions:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._wait()
        finally:
            self._thread.shutdown()
            if self._writer is not None:
                self._writer.close()

    def add(self, rows: pd.DataFrame) -> None:
        """Write rows behind the others, with the stamp in each. Raises the error of the rows before."""
        self._wait()
        self._writing = self._thread.submit(self._write, rows)

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, rows: pd.DataFrame) -> None:
        if self._writer is None:
            table = pa.Table.from_pandas(rows.assign(**self._stamps), preserve_index=False)
            # A dictionary of values that hardly repeat takes half of the time of a write, and is thrown away. Numbers
            # of rows are written as differences: of 8 bytes, hardly one is left.
            self._writer = pq.ParquetWriter(
                self._file, table.schema, use_dictionary=_repeating(table), column_encoding=_DIFFERENCES
            )
        else:
            table = self._table(rows, self._writer.schema)
        self._writer.write_table(table)

    def _table(self, rows: pd.DataFrame, schema: pa.Schema) -> pa.Table:
        """Return rows with the stamps; a stamp is repeated by Arrow, which needs no Python object for each row."""
        own = pa.schema([field for field in schema if field.name not in self._stamps])
        table = pa.Table.from_pandas(rows, schema=own, preserve_index=False)
        columns = [
            pa.repeat(pa.scalar(self._stamps[field.name], field.type), len(rows))
            if field.name in self._stamps
            else table.column(field.name)
            for field in schema
        ]
        return pa.Table.from_arrays(columns, schema=schema)


def _repeating(table: pa.Table) -> list[str]:
    """Return the columns whose values repeat in the first rows."""
    most = len(table) // _LEAST_REPEATED
    names = [name for name in table.column_names if name not in _DIFFERENCES]
    return [name for name in names if pc.count_distinct(table.column(name), mode="all").as_py() <= most]


class _Refused:
    """The file of refused rows, made with the first of them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0
        self.reasons: Counter[str] = Counter()

    def take(self, rows: pd.DataFrame, reasons: np.ndarray[Any, Any] | None) -> pd.DataFrame:
        """Keep the rows that have a reason; return the others. There is not one where `reasons` is None."""
        if reasons is None:
            return rows
        bad = reasons != ""
        records = rows[bad].drop(columns=[_ROW, "row"], errors="ignore")
        self.add(
            pd.DataFrame(
                {
                    "row": rows[bad]["row" if "row" in rows else _ROW],
                    "reason": reasons[bad],
                    "record": [json.dumps(record, default=str) for record in records.to_dict("records")],
                }
            )
        )
        return rows[~bad]

    def add(self, rows: pd.DataFrame) -> None:
        table = pa.Table.from_pandas(rows, schema=_REFUSED_SCHEMA, preserve_index=False)
        self._writer = self._writer or pq.ParquetWriter(self._file, _REFUSED_SCHEMA)
        self._writer.write_table(table)
        self.rows += len(rows)
        self.reasons.update(rows["reason"])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def check_prepared(prepared: Path) -> None:
    """Raise ScoringError when the notebook could not use a file, RefusedError when that is the file's own fault."""
    if not (prepared / FAILED).exists():
        return
    texts = "".join(file.read_text(encoding="utf-8") for file in sorted((prepared / FAILED).glob("*.json")))
    failed = json.loads(texts)
    reason = str(failed["reason"]).rstrip(".")
    raise RefusedError(reason) if failed["refused"] else ScoringError(reason)


def _counts(prepared: Path) -> dict[str, Any]:
    files = sorted((prepared / COUNTS).glob("*.json"))
    if not files:
        raise ScoringError(f"the features' notebook wrote no {COUNTS}: it has to call prepare of lib/scoring.py")
    content: dict[str, Any] = json.loads("".join(file.read_text(encoding="utf-8") for file in files))
    return content


def _batches(folder: Path) -> Iterator[pd.DataFrame]:
    """Yield the rows of a folder of Parquet files; there are none without the folder."""
    if not folder.exists():
        return
    rows = ds.dataset(folder, format="parquet")
    for batch in rows.to_batches(batch_size=_BATCH_ROWS, batch_readahead=_READ_AHEAD, fragment_readahead=1):
        if batch.num_rows:
            yield batch.to_pandas()


def _fitting(rows: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the values of refused rows that fit, with the columns' own names, and the rows' numbers."""
    fitting = rows[rows[_FITS]] if names else rows.iloc[:0]
    values = fitting.rename(columns={f"{_VALUE}{index}": name for index, name in enumerate(names)})
    return values, fitting[_ROW]


def _unusable(rows: pd.DataFrame) -> np.ndarray[Any, Any] | None:
    """Return a reason for each row with an infinite value, which training refuses too; empty for the others."""
    reasons: np.ndarray[Any, Any] | None = None
    for column in _floats(rows):
        values = rows[column].to_numpy()
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(values.sum()):  # no value is infinite then
                continue
        infinite = np.isinf(values)
        if infinite.any():
            reasons = np.full(len(rows), "", dtype=object) if reasons is None else reasons
            reasons[infinite & (reasons == "")] = f"infinite: {column}"
    return reasons


def _unpredicted(predictions: pd.DataFrame) -> np.ndarray[Any, Any] | None:
    """Return a reason for each row without a prediction; empty for the others."""
    columns = [name for name in predictions.columns if name == "prediction" or name.startswith("prediction_")]
    missing, floats = np.zeros(len(predictions), dtype=bool), _floats(predictions)
    for name in columns:
        values = predictions[name]
        if name not in floats:
            values = values.replace([float("inf"), float("-inf")], np.nan)
        missing |= ~np.isfinite(values.to_numpy()) if name in floats else values.isna().to_numpy()
    return np.where(missing, _NO_PREDICTION, "").astype(object) if missing.any() else None


def _floats(rows: pd.DataFrame) -> list[str]:
    """Return the columns of floating-point numbers, which alone can be infinite."""
    return [name for name, kind in rows.dtypes.items() if isinstance(kind, np.dtype) and kind.kind == "f"]


def _predictions(rows: pd.DataFrame, model: Any, specified: Specification, stamp: Stamp) -> pd.DataFrame:
    """Return a row for each row: its number, its keys, and the model's answer."""
    scoring = specified.score
    keys = {name: f"_key_{index}" for index, name in enumerate(scoring.keys if scoring else ())}
    if missing := [column for column in (_ROW, *keys.values()) if column not in rows]:
        raise ScoringError(f"the features lack {', '.join(missing)}: the notebook was published with other keys")
    predictions = pd.DataFrame({"row": rows[_ROW]} | {name: rows[column] for name, column in keys.items()})
    if not len(rows):
        return predictions
    try:
        answer = models.ask(model, rows, (specified.target, _ROW, *keys.values()))
    except models.NotComparableError as error:
        raise ScoringError(f"version {stamp.model_version} cannot score these rows: {error}") from error
    predicted = answer.predicted.reshape(len(rows), -1)
    names = ["prediction"] if predicted.shape[1] == 1 else [f"prediction_{i}" for i in range(predicted.shape[1])]
    for index, name in enumerate(names):
        predictions[name] = predicted[:, index]
    if answer.probabilities is not None:
        for index, label in enumerate(answer.classes):
            predictions[f"probability_{label}"] = answer.probabilities[:, index]
    return predictions
