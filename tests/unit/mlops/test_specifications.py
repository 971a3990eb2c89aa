"""Specifications of pipelines: every fault is named by its dotted path, and nothing unknown is accepted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from declarations.training_pipelines import additional_pipelines
from mlops import parameters, specification_schema, specifications
from mlops.errors import InvalidError, MissingError
from mlops.specifications import TrainingPipeline
from steps.specification import Score, Specification

GOOD: dict[str, Any] = {
    "description": "Predicts prices.", "model": "houses", "task": "regression", "target": "price",
    "notebook": "house_features", "data": "data/houses.csv", "gate": {"metrics": [{"name": "rmse"}]},
}  # fmt: skip


def _write(folder: Path, name: str = "houses", **changes: Any) -> Path:
    (folder / name).mkdir()
    content = {key: value for key, value in (GOOD | changes).items() if value is not None}
    (folder / name / "pipeline.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def _load(folder: Path, **changes: Any) -> TrainingPipeline:
    return specifications.load("houses", _write(folder, **changes))


@pytest.mark.parametrize("name", specifications.names())
def test_the_pipelines_of_the_repository_are_valid(name: str) -> None:
    pipeline = specifications.load(name)

    assert pipeline.data.is_file()
    assert set(pipeline.specification.split.by) <= set(pipeline.data.read_text().splitlines()[0].split(","))


def test_names_follow_from_the_folder_s(tmp_path: Path) -> None:
    pipeline = specifications.load("house_prices", _write(tmp_path, "house_prices"))

    assert (pipeline.model, pipeline.component, pipeline.experiment) == (
        "houses", "house_prices_training", "house-prices-training",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "model is missing (such as model: house_prices)"),
        ({"task": "ranking"}, "task is 'ranking': Input should be 'regression' or 'classification'"),
        ({"modell": "x"}, "modell is unknown: did you mean model?"),
        (
            {"gate": {"metrics": [{"name": "rmse", "minumum": 1}]}},
            "gate.metrics.0.minumum is unknown: did you mean minimum?",
        ),
        ({"gate": {"metrics": []}}, "gate.metrics"),
        (
            {"gate": {"metrics": [{"name": "roc_auc"}]}},
            "gate.metrics: roc_auc is for classification, and the task is regr",
        ),
        (
            {"gate": {"metrics": [{"name": "profit"}]}},
            "gate.metrics: profit is not built in for regression (built in: mae",
        ),
        ({"gate": {"metrics": [{"name": "rmse"}, {"name": "rmse"}]}}, "metrics rmse are there more than once"),
        (
            {"gate": {"metrics": [{"name": "rmse"}], "slices": [{"column": "x", "metric": "mae", "maximum": 1}]}},
            "slices name mae, and metrics has rmse",
        ),
        (
            {"split": {"held_out": 0.9}},
            "split.held_out is 0.9: Input should be less than or equal to 0.5 (such as held_out",
        ),
        ({"parameters": {"alpha": {"default": -1, "minimum": 0}}}, "-1 is below the minimum 0"),
        ({"parameters": {"data_uri": {"default": 1}}}, "data_uri: these are inputs of every pipeline"),
        ({"packages": ["lightgbm"]}, "packages: 'lightgbm' has no exact version: write name==version, such as"),
        ({"packages": ["a-b==1.0", "A_b==2.0"]}, "packages: a-b is there more than once"),
        ({"description": "${{inputs.x}}"}, "has an expression of Azure ML"),
        (
            {"data_contract": {"columns": {"price": {"minimum": {"limit": 0, "severty": "warning"}}}}},
            "data_contract.columns.price.minimum.severty is unknown: did you mean severity?",
        ),
        (
            {"data_contract": {"columns": {"price": {"minium": 0}}}},
            "data_contract.columns.price.minium is unknown: did you mean minimum?",
        ),
        (
            {"data_contract": {"columns": {"price": {"missing": 3}}}},
            "data_contract.columns.price.missing.limit is 3: Input should be less than or equal to 1",
        ),
        (
            {"data_contract": {"columns": {"price": {"minimum": 5, "maximum": 2}}}},
            "data_contract.columns.price: minimum 5 is above maximum 2",
        ),
        (
            {"data_contract": {"columns": {"price": {"type": "text", "minimum": 5}}}},
            "data_contract.columns.price: minimum and maximum are for numbers, and type is text: use allowed",
        ),
        (
            {"data_contract": {"columns": {"price": {"type": "integer", "allowed": [1, "two"]}}}},
            "data_contract.columns.price: allowed has the text 'two', and type is integer",
        ),
        (
            {"data_contract": {"columns": {"prices": {}, "size": {}}}},
            "data_contract.columns has no column 'price', the target: did you mean prices?",
        ),
        ({"serve": "onlin"}, "serve is 'onlin': write online, or a section online with settings (such as serve: on"),
        ({"serve": {"onlne": {}}}, "serve.onlne is unknown: did you mean online?"),
        (
            {"serve": {"online": {"instances": 0}}},
            "serve.online.instances is 0: Input should be greater than or equal to 1 (such as instances: 2)",
        ),
        (
            {"serve": {"online": {"traffic_steps": [50, 10, 100]}}},
            "serve.online.traffic_steps: [50, 10, 100] must rise, and end with 100",
        ),
        ({"serve": {"online": {"traffic_steps": [10, 50]}}}, "[10, 50] must rise, and end with 100"),
        ({"serve": {"online": {"auth": "keys"}}}, "serve.online.auth is 'keys': Input should be 'entra' or 'key'"),
        ({"serve": {"online": {"request_timeout": 181}}}, "serve.online.request_timeout is 181: Input should be less"),
        ({"serve": {"online": {"instance_type": "DS3"}}}, "serve.online.instance_type is 'DS3'"),
        ({"data_contract": {"rows": 0}}, "data_contract.rows.limit is 0: Input should be greater than or equal to 1"),
    ],
)
def test_a_fault_is_named_by_its_path(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidError) as raised:
        _load(tmp_path, **changes)

    assert message in str(raised.value), str(raised.value)
    assert "houses/pipeline.yml" in str(raised.value)


@pytest.mark.parametrize("written", ["online", {"online": None}, {"online": {}}])
def test_the_short_form_of_serve_has_all_defaults(tmp_path: Path, written: Any) -> None:
    serve = _load(tmp_path, serve=written).specification.serve

    assert serve is not None
    assert serve.online.model_dump() == {
        "instance_type": "Standard_DS3_v2", "instances": 1, "traffic_steps": (10, 50, 100), "request_timeout": 5,
        "requests_per_instance": 1, "auth": "entra",
    }  # fmt: skip


def test_serving_is_no_business_of_the_steps_so_that_it_trains_nothing_again(tmp_path: Path) -> None:
    pipeline = _load(tmp_path, serve="online")

    assert "serve" not in json.loads(pipeline.specification_json)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as raised:
        _load(tmp_path, model=None, task="ranking", colour="red")

    assert [name in str(raised.value) for name in ("model is missing", "task is", "colour is unknown")] == [True] * 3


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is not YAML"), ("- 1", "must have fields"), ("\xff", "cannot be read")]
)
def test_an_invalid_specification_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "houses").mkdir()
    (tmp_path / "houses" / "pipeline.yml").write_bytes(text.encode("latin-1"))

    with pytest.raises(InvalidError, match=message):
        specifications.load("houses", tmp_path)


def test_an_unknown_pipeline_is_answered_with_the_closest_names(tmp_path: Path) -> None:
    _write(tmp_path, "houses")
    _write(tmp_path, "flats")

    with pytest.raises(MissingError, match=r"There is no pipeline 'hoses'.*Did you mean houses\?"):
        specifications.load("hoses", tmp_path)
    with pytest.raises(MissingError, match="There are: flats, houses"):
        specifications.load("zzz", tmp_path)


def test_without_a_name_it_is_the_default_or_the_only_one(tmp_path: Path) -> None:
    _write(tmp_path, "houses")
    assert specifications.load(None, tmp_path).name == "houses"
    _write(tmp_path, "flats")
    with pytest.raises(
        InvalidError, match=r"Name a pipeline with --pipeline, one of flats, houses: none is the default"
    ):
        specifications.load(None, tmp_path)
    _write(tmp_path, "sheds", default=True)
    assert specifications.load(None, tmp_path).name == "sheds"
    assert specifications.load("default", tmp_path).name == "sheds", "builds name it so"
    _write(tmp_path, "huts", default=True)
    with pytest.raises(InvalidError, match="huts and sheds both are the default"):
        specifications.load(None, tmp_path)


RULES = {
    "alpha": {"default": 1.0, "minimum": 0, "maximum": 10},
    "depth": {"type": "integer", "default": 3},
    "loss": {"type": "string", "default": "log", "allowed": ["log", "hinge"]},
    "scale": {"type": "boolean", "default": True},
}


def test_run_parameters_are_parsed_by_their_types(tmp_path: Path) -> None:
    pipeline = _load(tmp_path, parameters=RULES)

    values = parameters.parse(pipeline, ["alpha=0.3", "depth=5", "loss=hinge", "scale=false"])

    assert values == {"alpha": 0.3, "depth": 5, "loss": "hinge", "scale": False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha", "'alpha' has no value: write name=value"),
        ("alhpa=1", r"has no parameter 'alhpa'\. Did you mean alpha\?"),
        ("alpha=11", "The parameter alpha: 11 is above the maximum 10"),
        ("alpha=nan", "'nan' is not a finite number"),
        ("depth=1.5", "'1.5' is not a whole number"),
        ("loss=x; rm -rf /", "'x; rm -rf /' is none of log, hinge"),
        ("scale=maybe", "'maybe' is neither true nor false"),
    ],
)
def test_a_run_parameter_that_is_not_allowed_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        parameters.parse(_load(tmp_path, parameters=RULES), [text])


def test_a_rule_of_the_data_contract_is_a_limit_or_a_limit_with_a_severity(tmp_path: Path) -> None:
    columns = {"price": {"minimum": 0, "maximum": {"limit": 9, "severity": "warning"}, "type": "integer"}}

    pipeline = _load(tmp_path, data_contract={"columns": columns, "rows": 10})

    rules = pipeline.specification.data_contract.columns["price"]
    assert rules.minimum is not None and (rules.minimum.limit, rules.minimum.severity) == (0, "error")
    assert rules.maximum is not None and (rules.maximum.limit, rules.maximum.severity) == (9, "warning")
    assert Specification.model_validate_json(pipeline.specification_json) == pipeline.specification


def test_rules_for_the_notebook_hold_nothing_that_databricks_replaces(tmp_path: Path) -> None:
    pipeline = _load(tmp_path, data_contract={"columns": {"price": {}, "{{job.id}}": {"allowed": ["{{{x}}}"]}}})

    text = pipeline.specification.data_contract.notebook_json("price")

    assert "{{" not in text
    rules = json.loads(text)
    assert rules["columns"]["{{job.id}}"]["allowed"] == {"limit": ["{{{x}}}"]}
    assert rules["target"] == "price"


def test_the_schema_for_editors_is_the_code_s() -> None:
    assert specification_schema.FILE.read_text(encoding="utf-8") == specification_schema.text(), (
        "run `python -m mlops.specification_schema`"
    )


def test_the_stack_and_the_verbs_agree_on_the_owner_of_the_first_endpoint(tmp_path: Path) -> None:
    _write(tmp_path, "houses")
    assert specifications.load("houses", tmp_path).has_first_endpoint, "it is the only one, default or not"

    _write(tmp_path, "flats", default=True)

    first = [name for name in specifications.names(tmp_path) if specifications.load(name, tmp_path).has_first_endpoint]
    assert first == ["flats"]
    assert additional_pipelines(tmp_path) == ["houses"]


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
    content = yaml.safe_load((specifications.PIPELINES / "diabetes/pipeline.yml").read_text(encoding="utf-8"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own/pipeline.yml").write_text(yaml.safe_dump(content | {"score": section}), encoding="utf-8")

    with pytest.raises(InvalidError) as refused:
        specifications.load("own", tmp_path)

    assert message in str(refused.value)


def test_a_table_has_a_folder_of_its_own_which_the_steps_are_given() -> None:
    pipeline = specifications.load("diabetes")
    score = Score.model_validate({"notebook": "n", "input": "scoring/in/n", "format": "delta"})
    specification = pipeline.specification.model_copy(update={"score": score})

    received = Specification.model_validate_json(replace(pipeline, specification=specification).specification_json)

    assert received.score == score and score.output == "scoring/tables"
    assert score.outputs == ("scoring/tables", "scoring/out")
    own = Score(notebook="n", input="scoring/in/n", output="scoring/out/own")
    assert own.outputs == ("scoring/out/own", "scoring/out", "scoring/tables")


def _with_watch(tmp_path: Path, section: Any, **changes: Any) -> TrainingPipeline:
    content = yaml.safe_load((specifications.PIPELINES / "diabetes/pipeline.yml").read_text(encoding="utf-8"))
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
