"""The Delta table of predictions: each file's rows once, columns that fit, and old rows that go."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from steps.prediction_table import PredictionFile, PredictionTable, SchemaError, TableError

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def _rows(**columns: Any) -> pa.Table:
    rows = {"row": [0, 1], "prediction": [1.0, 2.0], "scored_at": pd.Timestamp(NOW), "run": "r"} | columns
    return pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)


def _write(folder: Path, name: str, rows: pa.Table, day: str = "2026-11-29") -> PredictionFile:
    path = f"date={day}/run={name}/predictions.parquet"
    file = folder / path
    file.parent.mkdir(parents=True)
    pq.write_table(rows, file)
    return PredictionFile(path, file.stat().st_size, rows.num_rows, day, NOW)


def _append(folder: Path, name: str, rows: pa.Table | None = None, day: str = "2026-11-29") -> PredictionTable:
    rows = _rows() if rows is None else rows
    table = PredictionTable(str(folder))
    table.ensure(rows.schema)
    table.add(_write(folder, name, rows, day), f"{name}/first")
    return table


def _read(folder: Path) -> pd.DataFrame:
    rows: pd.DataFrame = DeltaTable(str(folder)).to_pandas()
    return rows


def test_files_are_rows_of_one_table_each_once(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    _append(folder, "one")
    table = _append(folder, "a b")  # a name with a space

    again = _write(folder, "again", _rows())
    table.add(again, "one/first")

    rows = _read(folder)
    assert len(rows) == 4
    assert list(rows) == ["row", "prediction", "scored_at", "run", "date"]
    assert set(rows["date"]) == {date(2026, 11, 29)}
    assert DeltaTable(str(folder)).version() == 2


def test_of_simultaneous_additions_of_one_file_one_is_made(tmp_path: Path) -> None:
    table = PredictionTable(str(tmp_path))
    table.ensure(_rows().schema)
    files = [_write(tmp_path, f"run-{number}", _rows()) for number in range(2)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: table.add(files[number % 2], f"{number % 2}/first"), range(8)))

    assert len(_read(tmp_path)) == 4
    assert DeltaTable(str(tmp_path)).version() == 2


def _answers_lost(monkeypatch: pytest.MonkeyPatch, number: int, *, committed: bool) -> None:
    """Let the connection of a table's next commits break, before or after storage has the commit."""
    commit, left = DeltaTable.create_write_transaction, [number]

    def broken(*words: Any, **options: Any) -> None:
        if left[0] and not committed:
            left[0] -= 1
            raise OSError("Generic error\n  \x1b[31m↳\x1b[0m peer closed connection")
        commit(*words, **options)
        if left[0]:
            left[0] -= 1
            raise OSError("peer closed connection")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", broken)


@pytest.mark.parametrize("committed", [False, True])
def test_a_commit_whose_answer_is_lost_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    table = PredictionTable(str(tmp_path))
    table.ensure(_rows().schema)
    _answers_lost(monkeypatch, 2, committed=committed)

    table.add(_write(tmp_path, "one", _rows()), "one/first")

    assert len(_read(tmp_path)) == 2
    assert DeltaTable(str(tmp_path)).version() == 1


def test_storage_that_never_answers_is_named_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = PredictionTable(str(tmp_path))
    table.ensure(_rows().schema)
    _answers_lost(monkeypatch, 100, committed=False)

    with pytest.raises(TableError) as refused:
        table.add(_write(tmp_path, "one", _rows()), "one/first")

    text = f"the table {tmp_path} cannot be written: Generic error ↳ peer closed connection"
    assert str(refused.value) == text
    assert DeltaTable(str(tmp_path)).version() == 0


@pytest.mark.parametrize("number", range(5))
def test_of_simultaneous_runs_one_makes_the_table_and_the_others_have_to_fit(tmp_path: Path, number: int) -> None:
    def ensure(texts: bool) -> bool:
        try:
            PredictionTable(str(tmp_path)).ensure(_rows(prediction=["a", "b"] if texts else [1.0, 2.0]).schema)
        except SchemaError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        fits = list(pool.map(ensure, [True, False] * 3))

    assert DeltaTable(str(tmp_path)).version() == 0
    assert fits in ([True, False] * 3, [False, True] * 3)


def test_new_columns_are_added_and_lacking_ones_are_null(tmp_path: Path) -> None:
    _append(tmp_path, "old")
    _append(tmp_path, "new", _rows(probability_yes=[0.5, 0.25]))
    _append(tmp_path, "rolled-back")

    rows = _read(tmp_path).sort_values(["probability_yes", "row"])
    assert rows["probability_yes"].fillna(-1).tolist() == [0.25, 0.5, -1, -1, -1, -1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"prediction": ["a", "b"]},
            "the column 'prediction' is double in the table, and string in this file: give the pipeline another "
            "folder, such as score.output: scoring/tables/second",
        ),
        ({"Row": [1, 2]}, "it has the columns 'row' and 'Row', which are one in a Delta table"),
        (
            {"a b": [1, 2]},
            "the column 'a b' has a character that no column of a Delta table has: rename it, or the class that it "
            "names, in the data, or give the pipeline score.format: parquet",
        ),
        (
            {"count": pd.Series([1, 2], dtype="uint8")},
            "the column 'count' has the type uint8, which no column of a Delta table has",
        ),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    table = _append(tmp_path, "old")

    for attempt in (table.check, table.ensure):
        with pytest.raises(SchemaError) as refused:
            attempt(_rows(**columns).schema)
        assert str(refused.value) == message
    assert DeltaTable(str(tmp_path)).version() == 1


def test_a_foreign_table_is_left_alone(tmp_path: Path) -> None:
    DeltaTable.create(str(tmp_path), _rows().schema, partition_by=["run"])

    with pytest.raises(SchemaError, match="the table there is partitioned by run, not date"):
        PredictionTable(str(tmp_path)).ensure(_rows().schema)


def test_old_rows_are_deleted_and_their_files_a_week_later(tmp_path: Path) -> None:
    _append(tmp_path, "old", day="2026-11-01")
    table = _append(tmp_path, "new")
    orphan = _write(tmp_path, "orphan", _rows())
    (tmp_path / "_staged").mkdir()
    (tmp_path / "_staged/mark").touch()
    for file in (orphan.path, "_staged/mark"):
        os.utime(tmp_path / file, (0, time.time() - 8 * 24 * 3600))

    assert table.delete_before(date(2026, 11, 29))
    assert not table.delete_before(date(2026, 11, 29)), "nothing is left to delete, and nothing is written"

    assert set(_read(tmp_path)["date"]) == {date(2026, 11, 29)}
    assert table.unused_files() == [orphan.path]
    assert (tmp_path / "date=2026-11-01/run=old/predictions.parquet").exists()


def test_deleted_rows_do_not_come_back_with_a_repeated_addition(tmp_path: Path) -> None:
    table = _append(tmp_path, "old", day="2026-11-01")
    file = PredictionFile("date=2026-11-01/run=old/predictions.parquet", 1, 2, "2026-11-01", NOW)
    table.delete_before(date(2026, 11, 2))

    table.add(file, "old/first")

    assert _read(tmp_path).empty


def test_rows_of_a_file_are_read_wherever_they_are_in_the_table(tmp_path: Path) -> None:
    def rows(name: str) -> pd.DataFrame | None:
        snapshot = table.snapshot()
        assert snapshot is not None
        content = snapshot.rows(f"date=2026-11-29/run={name}/predictions.parquet", name, f"{name}.csv", ["row", "run"])
        return None if content is None else content.to_pandas()

    for name in ("one", "two"):
        table = _append(tmp_path, name, _rows(run=name, input_file=f"{name}.csv"))
    _append(tmp_path, "late", _rows(run="late", input_file="late.csv"), day="2026-11-30")
    whole = rows("one")
    assert whole is not None and whole.to_dict("list") == {"row": [0, 1], "run": ["one", "one"]}

    delta = DeltaTable(str(tmp_path))
    delta.optimize.compact()
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert not (tmp_path / "date=2026-11-29/run=one/predictions.parquet").exists()
    assert rows("one").equals(whole), "compacted"  # type: ignore[union-attr]
    assert rows("none").empty  # type: ignore[union-attr]

    DeltaTable(str(tmp_path)).delete("run = 'one' AND row = 0")
    assert rows("one")["row"].tolist() == [1], "a row that was deleted does not count"  # type: ignore[index]

    for file in (tmp_path / "date=2026-11-29").rglob("*.parquet"):
        file.unlink()
    assert rows("one") is None


def test_without_a_table_there_is_nothing_to_delete_and_nothing_to_add_to(tmp_path: Path) -> None:
    table = PredictionTable(str(tmp_path / "none"))

    assert not table.delete_before(date(2026, 11, 29))
    assert table.unused_files() == []
    with pytest.raises(TableError, match=r"there is no table .*none: it was deleted"):
        table.add(PredictionFile("x", 1, 1, "2026-11-29", NOW), "x/first")
