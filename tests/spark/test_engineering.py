"""The notebook's functions on real Spark: remaining rows, counts, and messages on bad files."""

from __future__ import annotations

from pathlib import Path

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType, StringType, StructField, StructType

from data.make_diabetes import FILE
from notebooks.lib.csv_source import DataError
from notebooks.lib.engineering import Outcome, engineer
from tests.spark.sample_features import SCHEMA, complete_rows

HEADER = ",".join(SCHEMA.names)
GOOD = "59,2,32.1,101,157,93.2,38,4,4.8598,87,151"
LATER = "48,1,21.6,87,183,103.2,70,3,3.8918,69,75"
INCOMPLETE = "72,2,,93,156,93.6,41,4,4.6728,85,141"


def _csv(folder: Path, *lines: str) -> str:
    file = folder / "rows.csv"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file.as_uri()


def _engineer(spark: SparkSession, source: str, output: str) -> Outcome:
    return engineer(spark, source, output, SCHEMA, complete_rows)


def test_only_complete_rows_are_kept(spark: SparkSession) -> None:
    first = (59, 2, 32.1, 101.0, 157.0, 93.2, 38.0, 4.0, 4.8598, 87.0, 151.0)
    rows = spark.createDataFrame([first, (48, None, *first[2:]), (*first[:10], None)], SCHEMA)

    assert_df_equality(complete_rows(rows), spark.createDataFrame([first], SCHEMA))


def test_the_engineered_set_is_written_with_types_and_counted(spark: SparkSession, tmp_path: Path) -> None:
    output = (tmp_path / "out").as_uri()

    counts = _engineer(spark, _csv(tmp_path, HEADER, GOOD, INCOMPLETE, LATER), output)

    assert counts == Outcome(read=3, kept=2)
    expected = spark.createDataFrame(
        [
            (59, 2, 32.1, 101.0, 157.0, 93.2, 38.0, 4.0, 4.8598, 87.0, 151.0),
            (48, 1, 21.6, 87.0, 183.0, 103.2, 70.0, 3.0, 3.8918, 69.0, 75.0),
        ],
        SCHEMA,
    )
    assert_df_equality(spark.read.parquet(output), expected, ignore_row_order=True)


def test_features_are_made_of_the_checked_rows_without_another_read(spark: SparkSession, tmp_path: Path) -> None:
    source = _csv(tmp_path, HEADER, GOOD, LATER)

    def features(rows: DataFrame) -> DataFrame:
        (tmp_path / "rows.csv").unlink()
        return rows

    assert engineer(spark, source, (tmp_path / "out").as_uri(), SCHEMA, features) == Outcome(2, 2)


def test_quotes_in_names_and_values_are_doubled_ones(spark: SparkSession, tmp_path: Path) -> None:
    name = 'the "real" size'
    schema = StructType([StructField(name, LongType()), StructField("note", StringType())])
    source = _csv(tmp_path, '"the ""real"" size",note', '3000000000,"he said ""yes"", twice"')

    counts = engineer(spark, source, (tmp_path / "out").as_uri(), schema, lambda rows: rows)

    assert counts == Outcome(1, 1)
    assert spark.read.parquet((tmp_path / "out").as_uri()).collect() == [(3000000000, 'he said "yes", twice')]


def test_the_committed_data_lose_their_incomplete_rows_only(spark: SparkSession, tmp_path: Path) -> None:
    counts = _engineer(spark, str(FILE), (tmp_path / "out").as_uri())

    lines = FILE.read_text(encoding="utf-8").splitlines()[1:]
    complete = [line for line in lines if "" not in line.split(",")]
    assert counts == Outcome(read=len(lines), kept=len(complete))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(
            (HEADER, GOOD, GOOD.replace("59", "abc", 1)), "age has 1 value that is not a whole number",
            marks=pytest.mark.nightly,
        ),
        ((HEADER.replace("bmi", "colour"), GOOD), "the column bmi is missing from the header"),
        ((HEADER + ",extra", GOOD + ",1"), "the column extra (number 12) is extra: the notebook reads no such column"),
        ((HEADER, GOOD + ",7"), "1 row has more or fewer values than there are columns"),
        pytest.param((HEADER,), "there is not a single row", marks=pytest.mark.nightly),
    ],
)  # fmt: skip
def test_bad_files_are_named_with_their_fault(
    spark: SparkSession, tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    outcome = _engineer(spark, _csv(tmp_path, *lines), (tmp_path / "out").as_uri())

    assert outcome.kept == 0
    assert outcome.broken[0] == message


@pytest.mark.parametrize(
    ("lines", "message"),
    [((), "there is not a single row, and no header"), ((HEADER, INCOMPLETE), "not one of the 1 rows is complete")],
)
def test_files_without_usable_rows_are_refused(
    spark: SparkSession, tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _engineer(spark, _csv(tmp_path, *lines), (tmp_path / "out").as_uri())


def test_a_missing_file_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file"):
        _engineer(spark, (tmp_path / "nowhere.csv").as_uri(), (tmp_path / "out").as_uri())
