"""The Delta table of a model's predictions: files that the score step has written become rows of it, each file once.

The library is delta-rs (`deltalake`), which needs no Spark session. A commit is one file of the table's log, made by a
request that fails where another writer has made it (If-None-Match: *), so that Spark and others may write too. It
carries a transaction identifier (Delta protocol, "Transaction Identifiers"): a file that was added is not added again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction

from steps.specification import NOT_IN_TABLES

_PARTITION = "date"
_TRIES = 10
"""Tries of a change that other writers may forestall. The library itself tries an addition 15 times."""
_UNANSWERED = 3
"""Tries of a change whose answer does not arrive. The library repeats requests of other kinds, but not a commit."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONFIGURATION = {
    # One transaction for each file would make the log's checkpoints grow for ever. A file whose addition was cut off is
    # added by the next run.
    "delta.setTransactionRetentionDuration": "interval 90 days",
}
_TYPES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "byte"),
    (pa.types.is_int16, "short"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_int64, "long"),
    (pa.types.is_float32, "float"),
    (pa.types.is_float64, "double"),
    (pa.types.is_string, "string"),
    (pa.types.is_large_string, "string"),
    (lambda kind: kind == pa.timestamp("us", "UTC"), "timestamp"),
)


class TableError(Exception):
    """Error of the table or of its storage: the next run tries again."""


class SchemaError(Exception):
    """A file does not fit the table; the text says why."""


@dataclass(frozen=True)
class PredictionFile:
    """A Parquet file below the table's folder. `path` is relative to it; `day` is the partition, YYYY-MM-DD."""

    path: str
    size: int
    rows: int
    day: str
    modified: datetime


class Snapshot:
    """The rows of a table at one moment."""

    def __init__(self, uri: str, table: DeltaTable) -> None:
        self._uri = uri
        self._table = table

    @property
    def columns(self) -> list[str]:
        """Names of the table's columns."""
        return [field.name for field in self._table.schema().fields]

    def rows(self, path: str, run: str, input_file: str, columns: Sequence[str]) -> pa.Table | None:
        """Return the rows of an added file that are still in the table, in any file; None when storage lost their file.

        `path` is the added file's, relative to the table. `OPTIMIZE` puts its rows into other files, where `run` and
        `input_file` tell them from others.
        """
        day = path.partition("/")[0].removeprefix(f"{_PARTITION}=")
        try:
            dataset = self._table.to_pyarrow_dataset(partitions=[(_PARTITION, "=", day)])
            fragments = list(dataset.get_fragments())
            # As long as the added file is in the table, the day's other files need not be read.
            own = [fragment for fragment in fragments if fragment.path == path] or fragments
            names = list(dict.fromkeys((*columns, "run", "input_file")))
            schema = pa.schema([dataset.schema.field(name) for name in names])
            batches = [
                _rows_of_input(
                    batch.cast(schema), run, input_file
                )  # delta-rs writes texts as views, which do not compare
                for fragment in own
                for batch in fragment.to_batches(schema=dataset.schema, columns=names)
            ]
        except FileNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise TableError(f"the table {self._uri} cannot be read: {_plain(error)}") from error
        return pa.Table.from_batches(batches, schema).select(list(columns))


def _rows_of_input(batch: pa.RecordBatch, run: str, input_file: str) -> pa.RecordBatch:
    return batch.filter(pc.and_(pc.equal(batch["run"], run), pc.equal(batch["input_file"], input_file)))


class PredictionTable:
    """A table by its URI. `options` returns the library's options of the storage; they hold an access token."""

    def __init__(self, uri: str, options: Callable[[], dict[str, str]] = dict) -> None:
        self._uri = uri
        self._options = options

    def check(self, schema: pa.Schema) -> list[Field]:
        """Return the columns of a file that the table lacks. Raises SchemaError for a file that does not fit."""
        return _missing(self._load(), _fields(schema))

    def ensure(self, schema: pa.Schema) -> None:
        """Make the table, or add the columns that it lacks. Raises SchemaError for a file that does not fit."""
        fields, last = _fields(schema), ""
        for _ in range(_TRIES):
            table = self._load()
            missing = _missing(table, fields)
            if table is not None and not missing:
                return
            try:
                if table is not None:
                    table.alter.add_columns(missing)
                else:
                    partition = Field(_PARTITION, PrimitiveType("date"))
                    DeltaTable.create(
                        self._uri, Schema([*fields, partition]), partition_by=[_PARTITION],
                        configuration=_CONFIGURATION, storage_options=self._options(),
                        # Tried again, it would replace the columns of the table that another run has made.
                        commit_properties=CommitProperties(max_commit_retries=0),
                    )  # fmt: skip
            except (DeltaError, OSError) as error:  # perhaps another run was first
                last = _plain(error)
        raise TableError(f"the table {self._uri} cannot be made or changed: {last}")

    def add(self, file: PredictionFile, transaction: str) -> None:
        """Add a file to the table unless the transaction did. Its columns have to be in the table."""
        action = AddAction(
            path=file.path, size=file.size, partition_values={_PARTITION: file.day},
            modification_time=_milliseconds(file.modified), data_change=True,
            # No least and greatest values: the log would keep them after the rows are deleted.
            stats=f'{{"numRecords": {file.rows}}}',
        )  # fmt: skip
        last, unanswered = "", 0
        for _ in range(_TRIES):
            table = self._load()
            if table is None:
                raise TableError(f"there is no table {self._uri}: it was deleted")
            if table.transaction_version(transaction) is not None:
                return
            mark = Transaction(transaction, 1, _milliseconds(datetime.now(UTC)))
            try:
                table.create_write_transaction(
                    [action], "append", table.schema(), [_PARTITION],
                    commit_properties=CommitProperties(app_transactions=[mark]),
                )  # fmt: skip
            except CommitFailedError as error:  # perhaps another run added this very file
                last = _plain(error)
            except (DeltaError, OSError) as error:  # perhaps it is added, and only the answer is lost
                last, unanswered = _plain(error), unanswered + 1
                if unanswered == _UNANSWERED:
                    break
            else:
                return
        raise TableError(f"the table {self._uri} cannot be written: {last}")

    def snapshot(self) -> Snapshot | None:
        """Return the table's rows as of now, None when there is no table."""
        table = self._load()
        return None if table is None else Snapshot(self._uri, table)

    def delete_before(self, day: date) -> bool:
        """Delete the rows of the days before one; return whether there were any.

        Their files stay as long as the table's own setting says, a week by default: readers may be at them.
        """
        table = self._load()
        if table is None or all(str(part[_PARTITION]) >= f"{day}" for part in table.partitions()):
            return False
        try:
            table.delete(f"{_PARTITION} < '{day}'")
        except (DeltaError, OSError) as error:
            raise TableError(f"old rows of the table {self._uri} cannot be deleted: {_plain(error)}") from error
        return True

    def unused_files(self) -> list[str]:
        """Return files below the table's folder that no row is in for a week or longer; none without a table."""
        table = self._load()
        if table is None:
            return []
        try:
            return table.vacuum(dry_run=True, full=True)
        except (DeltaError, OSError) as error:
            raise TableError(f"the files of the table {self._uri} cannot be listed: {_plain(error)}") from error

    def _load(self) -> DeltaTable | None:
        try:
            return DeltaTable(self._uri, storage_options=self._options())
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise TableError(f"the table {self._uri} cannot be read: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    """Return the library's text of an error on one line: it is several lines with a terminal's colours."""
    return " ".join(_COLOUR.sub("", str(error)).split())


def _fields(schema: pa.Schema) -> list[Field]:
    """Return a file's columns as a table has them. Raises SchemaError for a column that no table has."""
    fields = []
    for column in schema:
        if set(column.name) & set(NOT_IN_TABLES):
            raise SchemaError(
                f"the column {column.name!r} has a character that no column of a Delta table has: rename it, or the "
                "class that it names, in the data, or give the pipeline score.format: parquet"
            )
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        name = next((name for fits, name in _TYPES if fits(kind)), None)
        if name is None:
            raise SchemaError(f"the column {column.name!r} has the type {kind}, which no column of a Delta table has")
        fields.append(Field(column.name, PrimitiveType(name)))
    return fields


def _missing(table: DeltaTable | None, fields: Sequence[Field]) -> list[Field]:
    if table is None:
        return list(fields)
    if (partitions := table.metadata().partition_columns) != [_PARTITION]:
        raise SchemaError(f"the table there is partitioned by {', '.join(partitions) or 'nothing'}, not {_PARTITION}")
    present = {field.name.lower(): field for field in table.schema().fields}
    missing = []
    for field in fields:
        known = present.setdefault(field.name.lower(), field)
        if known.name != field.name:
            raise SchemaError(f"it has the columns {known.name!r} and {field.name!r}, which are one in a Delta table")
        if known.type != field.type:
            raise SchemaError(
                f"the column {field.name!r} is {_name(known)} in the table, and {_name(field)} in this file: give the "
                "pipeline another folder, such as score.output: scoring/tables/second"
            )
        if known is field:
            missing.append(field)
    return missing


def _name(field: Field) -> str:
    return field.type.type if isinstance(field.type, PrimitiveType) else str(field.type)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
