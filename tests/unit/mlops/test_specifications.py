"""Specifications of pipelines: every fault is named by its dotted path, and nothing unknown is accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from declarations.training_pipelines import additional_pipelines
from mlops import parameters, specification_schema, specifications
from mlops.errors import InvalidError, MissingError
from mlops.specifications import TrainingPipeline
from steps.specification import Specification

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
