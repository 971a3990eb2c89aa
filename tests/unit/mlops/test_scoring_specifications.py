"""The sections score and watch of a specification: every fault is named by its dotted path."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops import specifications
from mlops.errors import InvalidError
from mlops.specifications import TrainingPipeline
from steps.specification import Score, Specification
from tests import samples


def test_classes_that_no_delta_table_has_in_a_column_s_name_are_refused() -> None:
    content = specifications.load("breast_cancer", samples.PIPELINES).specification.model_dump(exclude_defaults=True)
    content["data_contract"]["columns"]["malignant"] = {"type": "text", "allowed": ["no", "yes, it is"]}
    content["score"] |= {"format": "parquet"}
    Specification.model_validate(content)

    with pytest.raises(ValueError, match=r"score\.format is delta, .* has the class 'yes, it is': no column"):
        Specification.model_validate(content | {"score": content["score"] | {"format": "delta"}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"input": "scoring/in/x"}, "score.notebook is missing (such as notebook: house_prices_scoring)"),
        ({"notebook": "n"}, "score.input is missing (such as input: scoring/in/house_prices)"),
        ({"notebook": "n", "input": "incoming/x"}, "score.input is 'incoming/x': String should match pattern"),
        (
            {"notebook": "n", "input": "scoring/out/x"},
            "score.input is 'scoring/out/x': must be a folder below scoring/in/, such as scoring/in/house_prices",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "output": "scoring/ledger"},
            "score.output is 'scoring/ledger': must be scoring/out or a folder below it for the format parquet",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "output": "scoring/tables"},
            "score.output is 'scoring/tables': must be scoring/out or a folder below it for the format parquet",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "format": "delta", "output": "scoring/out"},
            "score.output is 'scoring/out': must be scoring/tables or a folder below it for the format delta",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "format": "csv"},
            "score.format is 'csv': Input should be 'parquet' or 'delta' (such as format: delta)",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "format": "delta", "keys": ["house id"]},
            "score.keys: 'house id': no column of a Delta table has a space or one of ,;{}()= in its name",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "format": "delta", "keys": ["id", "ID"]},
            "score.keys: 'ID': a Delta table of predictions has the column 'id' already",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "format": "delta", "keys": ["Date"]},
            "score.keys: 'Date': a Delta table of predictions has the column 'date' already",
        ),
        ({"notebook": "n", "input": "scoring/in/../x"}, "score.input is 'scoring/in/../x': String should match"),
        ({"notebook": "n", "input": "scoring/in/x", "most_refused": 2}, "score.most_refused is 2: Input should"),
        ({"notebook": "n", "input": "scoring/in/x", "most_files": 0}, "score.most_files is 0: Input should"),
        (
            {"notebook": "n", "input": "scoring/in/x", "schedule": {"cron": "61 * * * *"}},
            "score.schedule.cron is '61 * * * *': '61' is not a value of minutes: these are 0 to 59 (such as cron: '30",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "schedule": {"cron": "0 3 * * *", "data": "data/x"}},
            "score.schedule.data is unknown",
        ),
        (
            {"notebook": "n", "input": "scoring/in/x", "schedule": {"cron": "0 3 * * *", "time_zone": "Europe/Rome"}},
            "score.schedule.time_zone is 'Europe/Rome': Azure ML takes the names that Windows has for time zones",
        ),
        (
            {
                "notebook": "n",
                "input": "scoring/in/x",
                "schedule": {"cron": "0 3 * * *", "time_zone": "W Europ Standard"},
            },
            "has for time zones: did you mean W. Europe Standard Time or",
        ),
        ({"notebook": "n", "input": "scoring/in/x", "inputs": 1}, "score.inputs is unknown: did you mean input?"),
        (
            {"notebook": "n", "input": "scoring/in/x", "keys": ["prediction", "id"]},
            "score.keys: prediction: columns of the output, choose others",
        ),
    ],
)
def test_every_fault_of_the_scoring_section_is_named_by_its_path(
    tmp_path: Path, section: dict[str, Any], message: str
) -> None:
    content = yaml.safe_load((samples.PIPELINES / "diabetes/pipeline.yml").read_text(encoding="utf-8"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own/pipeline.yml").write_text(yaml.safe_dump(content | {"score": section}), encoding="utf-8")

    with pytest.raises(InvalidError) as refused:
        specifications.load("own", tmp_path)

    assert message in str(refused.value)


def test_a_table_has_a_folder_of_its_own_which_the_steps_are_given() -> None:
    pipeline = specifications.load("diabetes", samples.PIPELINES)
    score = Score.model_validate({"notebook": "n", "input": "scoring/in/n", "format": "delta"})
    specification = pipeline.specification.model_copy(update={"score": score})

    received = Specification.model_validate_json(replace(pipeline, specification=specification).specification_json)

    assert received.score == score and score.output == "scoring/tables"
    assert score.outputs == ("scoring/tables", "scoring/out")
    own = Score(notebook="n", input="scoring/in/n", output="scoring/out/own")
    assert own.outputs == ("scoring/out/own", "scoring/out", "scoring/tables")


def _with_watch(tmp_path: Path, section: Any, **changes: Any) -> TrainingPipeline:
    content = yaml.safe_load((samples.PIPELINES / "diabetes/pipeline.yml").read_text(encoding="utf-8"))
    content |= {"watch": section} | changes
    (tmp_path / "own").mkdir()
    text = yaml.safe_dump({name: value for name, value in content.items() if value is not None})
    (tmp_path / "own/pipeline.yml").write_text(text, encoding="utf-8")
    return specifications.load("own", tmp_path)


def test_the_watch_section_reaches_the_steps_with_its_limits(tmp_path: Path) -> None:
    labels = {"file": "scoring/labels/own.csv", "keys": ["age"], "worse_by": {"rmse": 3}}
    section = {
        "drift": 0.3, "columns": {"bmi": {"drift": 0.5}}, "labels": labels, "retrain": "on_drift",
        "windows": 2, "at_most_every": "P7DT12H",
    }  # fmt: skip

    watch = Specification.model_validate_json(_with_watch(tmp_path, section).specification_json).watch

    assert watch is not None and watch.labels is not None
    assert (watch.limit("bmi", "drift"), watch.limit("bp", "drift"), watch.limit("bmi", "missing")) == (0.5, 0.3, 0.1)
    assert (watch.retrain, watch.windows, watch.at_most_every) == ("on_drift", 2, timedelta(days=7, hours=12))
    assert (watch.labels.file, watch.labels.worse_by) == ("scoring/labels/own.csv", {"rmse": 3})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"drift": 0}, "watch.drift is 0: Input should be greater than 0 (such as drift: 0.25)"),
        ({"missing": 1.5}, "watch.missing is 1.5: Input should be less than or equal to 1"),
        ({"drfit": 1}, "watch.drfit is unknown: did you mean drift?"),
        ({"columns": {"bmi": {"drfit": 1}}}, "watch.columns.bmi.drfit is unknown: did you mean drift?"),
        ({"columns": {"bmo": {"drift": 1}}}, "watch.columns has no column 'bmo' to watch: did you mean bmi?"),
        ({"columns": {"progression": {"drift": 1}}}, "watch.columns has no column 'progression' to watch"),
        ({"leave_out": ["bmo"]}, "watch.leave_out has no column 'bmo' to watch: did you mean bmi?"),
        ({"retrain": "always"}, "watch.retrain is 'always': Input should be 'never', 'on_drift' or 'work_item'"),
        ({"at_most_every": "weekly"}, "watch.at_most_every is 'weekly': give a duration of ISO 8601"),
        ({"at_most_every": 7}, "watch.at_most_every is 7: give a duration of ISO 8601"),
        ({"at_most_every": "PT5M"}, "watch.at_most_every is 'PT5M': must be at least an hour, such as P7D"),
        ({"windows": 0, "refused": -1}, "watch.windows is 0: Input should be greater than or equal to 1"),
        ({"windows": 0, "refused": -1}, "watch.refused is -1: Input should be greater than or equal to 0"),
        ({"labels": {"keys": ["age"]}}, "watch.labels.file is missing (such as file: scoring/labels/house_prices.csv)"),
        (
            {"labels": {"file": "data/x.csv", "keys": ["age"]}},
            "watch.labels.file is 'data/x.csv': String should match pattern",
        ),
        (
            {"labels": {"file": "scoring/labels/../x.csv", "keys": ["age"]}},
            "watch.labels.file is 'scoring/labels/../x.csv': String should match pattern",
        ),
        (
            {"labels": {"file": "scoring/labels/x.csv", "keys": ["id"]}},
            "watch.labels.keys: 'id' is none of score.keys, which are carried along",
        ),
        (
            {"labels": {"file": "scoring/labels/x.csv", "keys": ["age"], "worse_by": {"rms": 1}}},
            "watch.labels.worse_by: the gate has no metric 'rms': did you mean rmse?",
        ),
    ],
)
def test_every_fault_of_the_watch_section_is_named_by_its_path(
    tmp_path: Path, section: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        _with_watch(tmp_path, section)

    assert message in str(refused.value)


def test_files_that_are_not_scored_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="watch is for scored files, and there is no section score"):
        _with_watch(tmp_path, {}, score=None)
