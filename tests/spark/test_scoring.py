"""The features of rows to be scored: prepared rows, refused ones with reasons, and files that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    StringType,
    StructField,
    StructType,
)

from mlops import specifications
from notebooks.lib import row_measures, scored_file
from notebooks.lib.contract import check
from notebooks.lib.csv_source import MALFORMED, DataError, read_header, read_texts
from notebooks.lib.row_measures import source_cells, valued
from notebooks.lib.row_rules import reasons, refused
from notebooks.lib.rules import ColumnRules, Rule, Rules
from notebooks.lib.scoring import Columns, Counts, RefusedFileError, prepare
from steps import column_measures, profiles, scored_measures
from steps.data_contract import DataContract
from steps.scoring import Stamp, score
from steps.specification import Score
from tests import samples
from tests.spark.sample_features import SCHEMA, complete_rows

NEEDED = [name for name in SCHEMA.names if name != "progression"]
HEADER = ",".join(["patient", *NEEDED])
VALUES = "59,2,32.1,101,157,93.2,38,4,4.8598,87"


def _prepare(
    spark: SparkSession,
    folder: Path,
    lines: Sequence[str],
    keys: Sequence[str] = ("patient", "age"),
    features: Callable[[DataFrame], DataFrame] = complete_rows,
    contract: str = "",
) -> Counts:
    file = folder / "rows.csv"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    columns = Columns(SCHEMA, "progression", list(keys))
    return prepare(spark, file.as_uri(), (folder / "out").as_uri(), columns, features, contract)


class Nothing(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """The same answer to every row."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> np.ndarray[Any, Any]:
        return np.zeros(len(model_input))


def _measures(folder: Path, keys: Sequence[str] = ("patient", "age")) -> dict[str, Any]:
    """Return the measures that the step `score` hands on: the notebook leaves columns of plain numbers to it."""
    mlflow.pyfunc.save_model(str(folder / "model"), python_model=Nothing(), pip_requirements=[])
    specification = specifications.load("diabetes", samples.PIPELINES).specification.model_copy(
        update={"score": Score(notebook="n", input="scoring/in/n", keys=tuple(keys))}
    )
    stamp = Stamp("1", datetime(2026, 11, 30, tzinfo=UTC), "in/rows.csv")
    (folder / "scored").mkdir()
    score(folder / "out", mlflow.pyfunc.load_model(str(folder / "model")), specification, stamp, folder / "scored")
    measures: dict[str, Any] = json.loads((folder / "scored" / scored_measures.FILE).read_text())["columns"]
    return measures


def _refused(spark: SparkSession, folder: Path) -> list[Any]:
    return spark.read.parquet((folder / "out/refused").as_uri()).orderBy("_row").collect()


def test_rows_without_the_target_become_the_features_of_the_training(spark: SparkSession, tmp_path: Path) -> None:
    counts = _prepare(spark, tmp_path, [HEADER, f"p1,{VALUES}", f",{VALUES}"])

    assert counts == Counts(read=2, kept=2, refused=0)
    rows = spark.read.parquet((tmp_path / "out/rows").as_uri()).orderBy("_row")
    assert rows.columns == [*NEEDED, "_row", "_key_0", "_key_1"]
    assert [(row["_row"], row["_key_0"], row["_key_1"], row["bmi"]) for row in rows.collect()] == [
        (0, "p1", 59, 32.1), (1, None, 59, 32.1),
    ], "a missing key refuses no row"  # fmt: skip
    (written,) = (tmp_path / "out/counts").glob("*.json")
    noted = json.loads(written.read_text())
    assert (noted["read"], noted["kept"], noted["refused"]) == (2, 2, 0)


def test_every_row_is_kept_or_refused_with_its_reason(spark: SparkSession, tmp_path: Path) -> None:
    counts = _prepare(
        spark, tmp_path,
        [
            HEADER, f"p1,{VALUES}", "p2,59,2,,101,157,93.2,38,4,4.8598,", "p3,59,2,fat,101,157,93.2,38,4,4.8598,87",
            f"p4,{VALUES},1,2", "p5,59",
        ],
    )  # fmt: skip

    assert counts == Counts(read=5, kept=1, refused=4)
    assert [(row["_row"], row["reason"]) for row in _refused(spark, tmp_path)] == [
        (1, "missing: bmi, s6"),
        (2, "malformed: no value that fits in bmi"),
        (3, "malformed: more or fewer values than columns"),
        (4, "malformed: no value that fits in sex, bmi, bp, s1, s2, s3, s4, s5, s6"),
    ]
    records = [row["record"] for row in _refused(spark, tmp_path)]
    assert json.loads(records[0])["patient"] == "p2", "a row is known by its keys"
    assert records[1] == "p3,59,2,fat,101,157,93.2,38,4,4.8598,87"


@pytest.mark.nightly
def test_columns_in_any_order_and_unused_columns_are_accepted(spark: SparkSession, tmp_path: Path) -> None:
    names = [*reversed(NEEDED), "note", "progression"]
    values = [*reversed(VALUES.split(",")), "any text", "not known"]

    counts = _prepare(spark, tmp_path, [",".join(names), ",".join(values)], keys=())

    assert counts == Counts(read=1, kept=1, refused=0)
    (row,) = spark.read.parquet((tmp_path / "out/rows").as_uri()).collect()
    assert (row["age"], row["s6"]) == (59, 87.0)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"there is no header, and not a single row\.$"),
        ([HEADER], r"there is not a single row\.$"),
        ([HEADER.replace("bmi", "bim")], r"the header lacks bmi\. It has patient, age, sex, bim, bp"),
        ([HEADER.replace("patient", "id")], r"the header lacks patient\."),
        ([f"{HEADER},bmi"], r"the header has bmi more than once\.$"),
        ([",".join(f"c{number}" for number in range(99))], r"It has c0, c1, .*, c29 and 69 more; scoring needs "),
        (["x" * 200_000], r"its first line is no header: field larger than field limit"),
        ([HEADER, "," * 21_000], r"it cannot be read as CSV with at most 20,480 columns\.$"),
    ],
)
def test_a_file_that_is_at_fault_itself_is_refused(
    spark: SparkSession, tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(RefusedFileError, match=message):
        _prepare(spark, tmp_path, lines)


@pytest.mark.nightly
def test_a_bad_file_of_a_list_keeps_no_other_from_being_prepared(spark: SparkSession, tmp_path: Path) -> None:
    lines = {
        "good": [HEADER, f"p1,{VALUES}"], "bad": [HEADER.replace("bmi", "bim")], "also": [HEADER, f"p2,{VALUES}"],
    }  # fmt: skip
    files = []
    for name, rows in lines.items():
        file = tmp_path / f"{name}.csv"
        file.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        files.append({"version": name, "name": file.name, "uri": file.as_uri()})
    files.append({"version": "gone", "name": "gone.csv", "uri": (tmp_path / "gone.csv").as_uri()})
    listed = tmp_path / "files.json"
    listed.write_text(json.dumps({"files": files, "left": 0}), encoding="utf-8")
    columns = Columns(SCHEMA, "progression", ["patient"])

    counts = prepare(spark, listed.as_uri(), (tmp_path / "out").as_uri(), columns, complete_rows)

    assert counts == Counts(read=2, kept=2, refused=0)
    for name in ("good", "also"):
        assert spark.read.parquet((tmp_path / "out" / name / "rows").as_uri()).count() == 1
    failed = _failed(tmp_path / "out/bad")
    assert failed["reason"].startswith("the header lacks bmi. It has patient, age, sex, bim, bp")
    assert failed["refused"] is True
    gone = _failed(tmp_path / "out/gone")
    assert gone == {"reason": "there is no such file.", "refused": False}, "a later run may read it"

    listed.write_text(json.dumps({"files": files[1:2], "left": 0}), encoding="utf-8")
    assert prepare(spark, listed.as_uri(), (tmp_path / "one").as_uri(), columns, complete_rows) == Counts(0, 0, 0)
    assert _failed(tmp_path / "one/bad")["refused"] is True
    listed.write_text(json.dumps({"files": files[3:], "left": 0}), encoding="utf-8")
    with pytest.raises(DataError, match=r"there is no such file\."):
        prepare(spark, listed.as_uri(), (tmp_path / "none").as_uri(), columns, complete_rows)


def _failed(folder: Path) -> dict[str, Any]:
    (written,) = (folder / "failed").glob("*.json")
    content: dict[str, Any] = json.loads(written.read_text())
    return content


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (lambda rows: rows.select("age", "bmi"), "they have to keep all columns"),
        pytest.param(
            lambda rows: rows.withColumn("x", F.col("progression")), "without the target progression",
            marks=pytest.mark.nightly,
        ),
        (lambda rows: rows.unionByName(rows), "of 1 rows 2 became features and 0 were refused"),
    ],
)  # fmt: skip
def test_features_that_cannot_be_made_without_the_target_are_named(
    spark: SparkSession, tmp_path: Path, features: Callable[[DataFrame], DataFrame], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _prepare(spark, tmp_path, [HEADER, f"p1,{VALUES}"], features=features)


def test_features_that_repeat_one_row_in_place_of_another_are_found(spark: SparkSession, tmp_path: Path) -> None:
    def repeat_the_old(rows: DataFrame) -> DataFrame:
        return rows.where("age = 59").crossJoin(rows.sparkSession.range(2)).drop("id")

    with pytest.raises(DataError, match="of 2 rows 2 became features and 1 were refused"):
        _prepare(
            spark, tmp_path, [HEADER, f"p1,{VALUES}", f"p2,{VALUES.replace('59', '60', 1)}"], features=repeat_the_old
        )


def test_quantiles_of_many_rows_are_of_a_sample_with_the_extremes_of_all(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_measures, "SAMPLED_ROWS", 1000)
    lines = [f"p,59,2,{number / 100},101,157,93.2,38,4,4.8598,87" for number in range(4000)]

    _prepare(spark, tmp_path, [HEADER, *lines])

    bmi = _measures(tmp_path)["bmi"]
    assert (bmi["count"], bmi["minimum"], bmi["maximum"], bmi["mean"]) == (4000, 0.0, 39.99, pytest.approx(19.995))
    quantiles = bmi["quantiles"]
    assert (len(quantiles), quantiles[0], quantiles[-1]) == (401, 0.0, 39.99)
    distances = [abs(quantile - 39.99 * index / 400) for index, quantile in enumerate(quantiles)]
    assert 0.05 < max(distances) < 2, "of a quarter of the rows: of all, no quantile is off by two rows"


def test_a_large_file_is_read_in_parts_of_the_same_size(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mib, setting = 2**20, "spark.sql.files.maxPartitionBytes"
    assert [scored_file.part_bytes(size * mib, 2) for size in (255, 256, 400, 1024, 1040)] == [
        None, None, 100 * mib, 128 * mib, 104 * mib,
    ], "Spark's own parts of 400 MiB are three of 128 MiB and one of 16 MiB"  # fmt: skip
    assert scored_file.part_bytes(2000 * mib, 8) == 125 * mib
    monkeypatch.setattr(scored_file, "_LARGEST_PART", 700)
    monkeypatch.setattr(scored_file, "_cores", lambda _: 2)
    own = spark.conf.get(setting)

    counts = _prepare(spark, tmp_path, [HEADER, *(f"p{number},{VALUES}" for number in range(100)), "p,59"])

    assert counts == Counts(read=101, kept=100, refused=1), "no row is lost between two parts, or in two of them"
    assert len(list((tmp_path / "out/rows").glob("part-*"))) == 8
    assert spark.conf.get(setting) == own, "the notebook's session has its own setting again"


def test_a_column_may_have_the_name_of_a_measure(spark: SparkSession, tmp_path: Path) -> None:
    names = ("values", "kept", "rows", "fitting")
    schema = StructType([StructField(name, DoubleType()) for name in (*names, "price")])
    file = tmp_path / "rows.csv"
    file.write_text(f"{','.join(names)}\n1.5,2.5,3.5,4.5\n,2.5,3.5,4.5\n", encoding="utf-8")

    counts = prepare(
        spark, file.as_uri(), (tmp_path / "out").as_uri(), Columns(schema, "price", []), lambda rows: rows.dropna()
    )

    assert counts == Counts(read=2, kept=1, refused=1)
    (row,) = spark.read.parquet((tmp_path / "out/rows").as_uri()).select(*names).collect()
    assert tuple(row) == (1.5, 2.5, 3.5, 4.5)


@pytest.mark.parametrize(
    "rules",
    [
        ColumnRules(), ColumnRules(minimum=Rule(0.1), maximum=Rule(3.0, "warning")),
        ColumnRules(minimum=Rule(-1, "warning"), maximum=Rule(3)),
        ColumnRules(type=Rule("number", "warning"), minimum=Rule(0), maximum=Rule(3)),
        ColumnRules(type=Rule("integer"), minimum=Rule(0)), ColumnRules(minimum=Rule(0), allowed=Rule([1, 3])),
    ],
)  # fmt: skip
def test_a_row_is_refused_when_it_has_a_reason(spark: SparkSession, rules: ColumnRules) -> None:
    numbers = (None, *map(float, ("nan", "inf", "-inf", "-0.0", "1e308", "-1e308")), -1.0, 0.1, 1.0, 3.0, 3.1)
    kinds = {"double": DoubleType(), "float": FloatType(), "decimal": DecimalType(9, 1), "whole": IntegerType()}
    rows = spark.createDataFrame([(number,) for number in numbers], "number double")
    rows = rows.select(*(F.col("number").try_cast(kind).alias(name) for name, kind in kinds.items()))
    every = Rules(dict.fromkeys(kinds, rules))
    schema = StructType([StructField(name, kind) for name, kind in kinds.items()])
    answers = []
    for cell in source_cells(rows, schema, list(kinds), every):
        answers += [refused([cell], every), reasons([cell], every) != ""]

    collected = rows.select(*(answer.alias(str(index)) for index, answer in enumerate(answers))).collect()

    assert len(collected) == len(numbers)
    assert [row[0::2] for row in collected] == [row[1::2] for row in collected], list(kinds)
    assert any(row[0] for row in collected) and not all(row[0] for row in collected)


def test_the_conditions_of_thirty_columns_are_no_longer_than_the_jvm_compiles(
    spark: SparkSession, tmp_path: Path
) -> None:
    names = [f"c{number}" for number in range(30)]
    file = tmp_path / "rows.csv"
    file.write_text(f"{','.join(names)}\n", encoding="utf-8")
    columns = Columns(StructType([StructField(name, DoubleType()) for name in (*names, "target")]), "target", [])
    rows = scored_file.read_rows(spark, file.as_uri(), columns, names)
    rules = Rules(dict.fromkeys(names, ColumnRules(Rule("number"), minimum=Rule(0), maximum=Rule(10))))

    cells = source_cells(rows, columns.schema, names, rules)

    assert spark._jvm is not None
    debug = getattr(getattr(spark._jvm.org.apache.spark.sql.execution.debug, "package$"), "MODULE$")
    for parts in ([refused(cells, rules)], valued(cells)[0]):
        stages = debug.codegenStringSeq(rows.select("*", *parts)._jdf.queryExecution().executedPlan())
        sizes = [stages.apply(index)._3().maxMethodCodeSize() for index in range(stages.size())]
        assert sizes and max(sizes) < 8000, "HotSpot interprets longer ones, which takes several times as long"


def test_rows_that_break_an_error_of_the_contract_are_refused_with_the_rule(
    spark: SparkSession, tmp_path: Path
) -> None:
    contract = DataContract.model_validate(
        {
            "columns": {
                "age": {"type": "integer", "minimum": 18, "maximum": {"limit": 50, "severity": "warning"}},
                "sex": {"allowed": [1, 2]},
                "bmi": {"type": "integer", "maximum": 80},
                "progression": {"minimum": 0},
            }
        }
    ).notebook_json("progression")
    names = [HEADER.replace("patient,", "")]

    counts = _prepare(
        spark, tmp_path,
        [
            *names, "59,2,32,101,157,93.2,38,4,4.8598,87", "17,3,32,101,157,93.2,38,4,4.8598,87",
            "59,2,32.5,101,157,93.2,38,4,4.8598,87", "59,2,90,Infinity,157,93.2,38,4,4.8598,87",
            "17,2,,101,157,93.2,38,4,4.8598,87",
        ],
        keys=(), contract=contract,
    )  # fmt: skip

    assert counts == Counts(read=5, kept=1, refused=4)
    assert [(row["_row"], row["reason"]) for row in _refused(spark, tmp_path)] == [
        (1, "below 18: age; not allowed: sex"), (2, "not a whole number: bmi"), (3, "above 80: bmi; infinite: bp"),
        (4, "below 18: age"),
    ]  # fmt: skip
    records = [json.loads(row["record"]) for row in _refused(spark, tmp_path)]
    assert records[0]["age"] == 17 and "_reason" not in records[0]


def _changed_in_a_part(rows: DataFrame) -> DataFrame:
    """Return rows of two plans; Spark describes the columns of both by the first one, in which none is changed."""
    rows = rows.dropna()
    return rows.where("rooms < 3").union(rows.where("rooms >= 3").withColumn("size", F.lit(1.0)))


@pytest.mark.parametrize(
    "features",
    [
        pytest.param(lambda rows: rows.dropna(), id="unchanged"),
        pytest.param(lambda rows: rows.dropna(subset=["size"]), id="rows that lack a value"),
        pytest.param(lambda rows: rows.dropna().withColumn("size", F.log("size")).drop("city"), id="changed"),
        pytest.param(_changed_in_a_part, id="changed in a part"),
    ],
)
def test_scored_rows_are_measured_as_the_training_data_are(
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    features: Callable[[DataFrame], DataFrame],
) -> None:
    monkeypatch.setattr(row_measures, "_TOGETHER", 3)
    schema = StructType(
        [
            StructField("size", DoubleType()), StructField("rooms", IntegerType()), StructField("city", StringType()),
            StructField("new", BooleanType()), StructField("price", DoubleType()),
        ]
    )  # fmt: skip
    cities = ("Ulm", "Bonn", "Ulm", "")
    lines = [f"{50 + number / 7},{number % 5},{cities[number % 4]},{'TRUE' if number % 3 else 'false'},1"
             for number in range(400)]  # fmt: skip
    file = tmp_path / "rows.csv"
    text = "\n".join(["size,rooms,city,new,price", *lines, "Infinity,1,Ulm,true,1", ",,,,1", "small,1,Ulm,true,1"])
    file.write_text(f"{text}\n", encoding="utf-8")
    in_training = check(
        read_texts(spark, file.as_uri(), read_header(spark, file.as_uri(), schema.names)), Rules(), schema, MALFORMED
    )
    assert in_training.measures is not None

    columns = Columns(schema, "price", [])
    prepare(spark, file.as_uri(), (tmp_path / "out").as_uri(), columns, features)

    measures = _measures(tmp_path, keys=())
    assert list(measures) == ["size", "rooms", "city", "new"]
    size = measures["size"]
    assert (size["count"], size["missing"], size["wrong"]) == (400, 1, 1), "a malformed row has no values at all"
    for name in ("minimum", "maximum", "mean", "quantiles"):
        assert size[name] == pytest.approx(getattr(in_training.measures.columns["size"], name)), name
    assert measures["city"]["categories"] == [["Ulm", 201], ["Bonn", 100]]
    assert measures["new"]["categories"] == [["true", 267], ["false", 134]]
    assert dict(in_training.measures.columns["new"].categories) == {"true": 268, "false": 134}
    profiled = profiles.profile(measures, 403, "price", show_values=True)
    trained = profiles.profile(asdict(in_training.measures)["columns"], 403, "price", show_values=True)
    assert profiled.columns["size"].shares == trained.columns["size"].shares
