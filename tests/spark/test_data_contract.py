"""The data contract in Spark: counts, refusals, messages, and stored rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from notebooks.lib.cells import cell
from notebooks.lib.contract import Check, check
from notebooks.lib.csv_source import MALFORMED, DataError, read_header, read_texts
from notebooks.lib.engineering import CHECKED, QUARANTINE, engineer
from notebooks.lib.rules import Rules, parse
from steps.data_contract import DataContract

SCHEMA = StructType(
    [
        StructField("id", LongType()),
        StructField("age", IntegerType()),
        StructField("bmi", DoubleType()),
        StructField("city", StringType()),
        StructField("score", DoubleType()),
    ]
)
HEADER = ",".join(SCHEMA.names)
ROWS = [f"{row},{20 + row % 50},{20 + row / 10},{'Ulm' if row % 3 else 'Bonn'},{row % 7}" for row in range(100)]


def _rules(target: str = "score", **contract: Any) -> Rules:
    return parse(DataContract.model_validate(contract).notebook_json(target))


def _csv(folder: Path, *lines: str) -> str:
    file = folder / "rows.csv"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file.as_uri()


def _check(spark: SparkSession, uri: str, rules: Rules) -> Check:
    return check(read_texts(spark, uri, read_header(spark, uri, SCHEMA.names)), rules, SCHEMA, MALFORMED)


def _broken(checked: Check) -> list[str]:
    return [result.message for result in checked.results if not result.passed]


COLUMNS = {
    "id": {"type": "integer", "unique": True},
    "age": {"minimum": 18, "maximum": {"limit": 99, "severity": "warning"}, "missing": 0.02},
    "city": {"allowed": ["Ulm", "Bonn"]},
}


def test_data_that_satisfy_every_rule_are_accepted_and_measured(spark: SparkSession, tmp_path: Path) -> None:
    checked = _check(
        spark, _csv(tmp_path, HEADER, *ROWS), _rules(columns=COLUMNS | {"score": {}}, rows=50, duplicates=0)
    )

    assert checked.accepted and not _broken(checked)
    assert checked.example_rows == []
    assert {(result.rule, result.column) for result in checked.results} >= {
        ("rows", None), ("duplicates", None), ("unique", "id"), ("minimum", "age"), ("missing", "age"),
        ("allowed", "city"), ("target", "score"), ("type", "bmi"),
    }  # fmt: skip
    assert checked.measures is not None and checked.typed is not None
    bmi, city = checked.measures.columns["bmi"], checked.measures.columns["city"]
    assert (bmi.minimum, bmi.maximum, bmi.count, bmi.missing) == (20.0, 29.9, 100, 0)
    assert bmi.quantiles[0] == 20.0 and bmi.quantiles[-1] == 29.9 and bmi.quantiles[200] == pytest.approx(25, abs=0.2)
    assert city.categories == (("Ulm", 66), ("Bonn", 34))
    assert [field.dataType for field in checked.typed.schema] == [field.dataType for field in SCHEMA]


def test_numbers_are_the_texts_of_the_contract_s_grammar(spark: SparkSession) -> None:
    texts = [
        "5",
        "+5",
        "-05",
        " 5 ",
        "5.",
        ".5",
        "5.25",
        "1e5",
        "-1.5E-3",
        "5e-400",
        "9" * 30,
        "1e400",
        "1e39",
        "inf",
        "-Infinity",
        "nan",
        "1d",
        "5D",
        "1.5f",
        "5F",
        "0x1p3",
        "0X1P3",
        "0x5",
        "\t5",
        "5\t",
        "\x005",
        "5\x1f",
        "5\N{NO-BREAK SPACE}",
        "1_000",
        "1,5",
        "--5",
        "+",
        ".",
        "e5",
        "1e",
        "1e+",
        "1.5.2",
        "\N{ARABIC-INDIC DIGIT THREE}5",
        "1\N{ARABIC-INDIC DIGIT THREE}5",
        "",
    ]
    rows = spark.createDataFrame([(text,) for text in texts], "text string")
    kinds = {
        "integer": IntegerType(),
        "long": LongType(),
        "float": FloatType(),
        "double": DoubleType(),
        "decimal": DecimalType(38, 2),
    }
    values = [cell(rows, "text", StructField(name, kind)).value.isNotNull().alias(name) for name, kind in kinds.items()]

    accepted = {
        name: [text for text, row in zip(texts, rows.select(*values).collect(), strict=True) if row[name]]
        for name in kinds
    }

    whole = ["5", "+5", "-05", " 5 "]
    numbers = [*whole, "5.", ".5", "5.25", "1e5", "-1.5E-3", "5e-400", "9" * 30]
    assert accepted == {
        "integer": whole,
        "long": whole,
        "float": numbers,
        "double": [*numbers, "1e39"],
        "decimal": numbers,
    }


def test_the_table_is_read_once(spark: SparkSession, tmp_path: Path) -> None:
    rows = read_texts(spark, _csv(tmp_path, HEADER, *ROWS), SCHEMA.names)
    reads = spark.sparkContext.accumulator(0)

    def counts(number: int) -> int:
        reads.add(1)
        return number

    counting = rows.withColumn("id", F.udf(counts, LongType())(rows["id"].cast("long")))

    checked = check(counting, _rules(columns=COLUMNS | {"score": {}}, duplicates=0), SCHEMA, MALFORMED)

    assert checked.accepted
    assert reads.value == len(ROWS)


def test_breaches_name_rule_column_and_count_and_no_value(spark: SparkSession, tmp_path: Path) -> None:
    wrong = [
        "101,abc,20,Ulm,1", "102,2.5,20,Ulm,1", "103,99999999999,20,Ulm,1", "104,50,inf,Ulm,1",
        "105,50,-Infinity,Ulm,1", "106,50,1e400,Ulm,1", "107,50,1d,Ulm,1", "108,50,20,Ulm", "109,50,20,Ulm,1,7",
        "110,17,20,Ulm,1",
        "111,50,20,K\N{LATIN SMALL LETTER O WITH DIAERESIS}ln,1", "112,,20,Ulm,1", "113,,20,Ulm,1", "114,,NaN,Ulm,1",
        "5,50,20,Ulm,1",
    ]  # fmt: skip

    checked = _check(spark, _csv(tmp_path, HEADER, *ROWS, *wrong), _rules(columns=COLUMNS | {"score": {}}))

    assert not checked.accepted
    assert _broken(checked) == [
        "2 rows have more or fewer values than there are columns",
        "id repeats a value in 1 row",
        "age has 2 values that are not a whole number and has 1 value that is infinite, or too large for a whole "
        "number here",
        "age has 1 value below 18",
        "age is missing in 3 rows (2.6%, and 2.0% may)",
        "bmi has 1 value that is not a number and has 3 values that are infinite, or too large for a number here",
        "city has 1 value other than Ulm, Bonn",
    ]
    assert checked.measures is not None and checked.measures.columns["bmi"].missing == 1
    kept = [json.loads(row) for row in checked.example_rows]
    assert {row["id"] for row in kept} == {str(number) for number in (5, *range(101, 112))}, "and no others"
    assert next(row["_broken"] for row in kept if row["id"] == "104") == ["type of bmi"]


def test_values_are_shown_where_the_contract_allows_it(spark: SparkSession, tmp_path: Path) -> None:
    uri = _csv(tmp_path, HEADER, *ROWS, "200,abc,inf,Ulm,1", "201,99999999999,1e400,Ulm,1")

    checked = _check(spark, uri, _rules(show_values=True))

    assert _broken(checked) == [
        "age has 1 value that is not a whole number and has 1 value that is infinite, or too large for a whole number "
        "here, such as 'abc', '99999999999'",
        "bmi has 2 values that are infinite, or too large for a number here, such as 'inf', '1e400'",
    ]


def test_a_warning_is_kept_and_does_not_stop_the_run(spark: SparkSession, tmp_path: Path) -> None:
    uri = _csv(tmp_path, HEADER, *ROWS, "200,120,20,Ulm,1")

    checked = _check(spark, uri, _rules(columns=COLUMNS | {"score": {}}))

    assert checked.accepted
    assert _broken(checked) == ["age has 1 value above 99"]
    (row,) = map(json.loads, checked.example_rows)
    assert (row["_broken"], row["age"]) == (["maximum of age"], "120")


def test_duplicates_too_few_rows_and_a_constant_target_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    row = "1,50,20,Ulm,3"

    checked = _check(spark, _csv(tmp_path, HEADER, row, row, row), _rules(rows=10, duplicates=0.5))

    assert _broken(checked) == [
        "there are 3 rows, and at least 10 are needed",
        "2 rows repeat another row (66.7%, and 50.0% may)",
        "the target score is constant: there is nothing to learn",
    ]
    assert json.loads(checked.example_rows[0])["rows"] == 3


def test_reordered_columns_are_accepted(spark: SparkSession, tmp_path: Path) -> None:
    uri = _csv(tmp_path, "score,city,bmi,age,id", *(",".join(reversed(row.split(","))) for row in ROWS))

    checked = _check(spark, uri, _rules())

    assert checked.accepted and checked.typed is not None
    assert checked.typed.columns == SCHEMA.names
    assert tuple(checked.typed.orderBy("id").first() or ()) == (0, 20, 20.0, "Bonn", 0.0)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,age,bmi,score", ["the column city is missing from the header"]),
        (
            "id,agee,bmi,city,score",
            [
                "the column age is missing from the header: is agee its name misspelt?",
                "the column agee (number 2) is extra: the notebook reads no such column",
            ],
        ),
        ("id,age,colour,bmi,city,score", ["the column colour (number 3) is extra: the notebook reads no such column"]),
    ],
)
def test_a_missing_or_extra_column_is_named(
    spark: SparkSession, tmp_path: Path, header: str, message: list[str]
) -> None:
    assert _broken(_check(spark, _csv(tmp_path, header, "1"), _rules())) == message


def test_an_extra_column_may_be_a_warning_and_a_column_may_be_optional(spark: SparkSession, tmp_path: Path) -> None:
    uri = _csv(tmp_path, "id,age,bmi,score,colour", *(f"{row},{20 + row},1.5,{row},red" for row in range(9)))
    rules = _rules(columns={"city": {"required": False}, "score": {}}, extra_columns="warning")

    checked = _check(spark, uri, rules)

    assert checked.accepted and checked.typed is not None
    assert checked.typed.columns == SCHEMA.names
    assert checked.typed.where("city is null").count() == 9


def test_a_rule_for_a_column_that_the_notebook_does_not_read_is_named(spark: SparkSession, tmp_path: Path) -> None:
    checked = _check(spark, _csv(tmp_path, HEADER, *ROWS), _rules(columns={"bmj": {}, "score": {}}))

    assert _broken(checked) == [
        "the contract has rules for bmj, and the notebook's schema has no such column: did you mean bmi?"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace(",", ";") + "\n1;2;3;4;5\n", "it is separated by semicolons: save it with commas"),
        (HEADER.replace(",", "\t") + "\n", "it is separated by tabs"),
        ("id,age,age,city,score\n1,2,3,4,5\n", "the header has age more than once"),
        ("", "there is not a single row"),
        ("7,7,20,Ulm,1\n8,7,20,Ulm,1\n", "the first line has none of the columns' names: has the file a header"),
    ],
)
def test_an_invalid_table_is_refused(spark: SparkSession, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(DataError, match=message):
        engineer(spark, file.as_uri(), (tmp_path / "out").as_uri(), SCHEMA, lambda rows: rows)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"\xef\xbb\xbf" + (HEADER + "\n1,2,3,Ulm,5\n2,2,3,Ulm,6\n").encode(), True),
        pytest.param((HEADER + "\r\n1,2,3,Ulm,5\r\n2,2,3,Ulm,6\r\n").encode(), True, marks=pytest.mark.nightly),
        pytest.param((HEADER + "\n1,2,3,K\xf6ln,5\n2,2,3,Ulm,6\n").encode("latin-1"), True, marks=pytest.mark.nightly),
        ((HEADER + "\n1,2\x00,3,Ulm,5\n2,2,3,Ulm,6\n").encode(), False),
    ],
    ids=["byte order mark", "CRLF", "latin-1", "NUL"],
)
def test_encodings_and_line_ends(spark: SparkSession, tmp_path: Path, content: bytes, kept: bool) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(content)

    outcome = engineer(spark, file.as_uri(), (tmp_path / "out").as_uri(), SCHEMA, lambda rows: rows)

    assert outcome.read == 2
    assert (outcome.kept == 2) == kept
    if kept:
        assert sorted(spark.read.parquet((tmp_path / "out").as_uri()).columns) == sorted(SCHEMA.names)
    else:
        assert outcome.broken == ("age has 1 value that is not a whole number",)


def test_typed_tables_are_checked_by_the_same_rules(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, 17, float("inf"), "Ulm", 1.0), (2, 30, float("nan"), "Bonn", 2.0)], SCHEMA)

    checked = check(rows, _rules(columns={"age": {"minimum": 18}, "score": {}}), SCHEMA)

    assert _broken(checked) == [
        "age has 1 value below 18",
        "bmi has 1 value that is infinite, or too large for a number here",
    ]
    assert checked.measures is not None and checked.measures.columns["bmi"].missing == 1


def test_names_with_dots_and_backticks_are_names(spark: SparkSession, tmp_path: Path) -> None:
    schema = StructType([StructField("a.b", LongType()), StructField("c`d", StringType())])
    file = tmp_path / "rows.csv"
    file.write_text("c`d,a.b\nx,1\ny,z\n")

    outcome = engineer(spark, file.as_uri(), (tmp_path / "out").as_uri(), schema, lambda rows: rows)

    assert outcome.broken == ("a.b has 1 value that is not a whole number",)


def test_a_breach_leaves_the_last_good_set_and_keeps_examples_in_storage(spark: SparkSession, tmp_path: Path) -> None:
    output = tmp_path / "out"
    engineer(spark, _csv(tmp_path, HEADER, *ROWS), output.as_uri(), SCHEMA, lambda rows: rows)

    outcome = engineer(
        spark, _csv(tmp_path, HEADER, *ROWS, "7,secret,1,Ulm,1"), output.as_uri(), SCHEMA, lambda rows: rows
    )

    assert outcome.kept == 0 and "secret" not in str(outcome)
    assert spark.read.parquet(output.as_uri()).count() == 100, "the last good set is gone"
    (kept,) = (output / QUARANTINE).glob("part-*")
    assert json.loads(kept.read_text())["age"] == "secret"
    (file,) = (output / CHECKED).glob("part-*")
    report = json.loads(file.read_text())
    assert (report["accepted"], report["rows_read"], report["rows_kept"]) == (False, 101, None)
    assert "secret" not in file.read_text()
