"""Requests to an online endpoint: every form becomes Azure ML's, and a fault names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops import online_requests
from mlops.errors import InvalidError
from mlops.served_model import Column

COLUMNS = (
    Column("age", "long"), Column("bmi", "double"), Column("sex", "string"), Column("smokes", "boolean"),
    Column("note", "string", required=False),
)  # fmt: skip
ROW = {"age": 50, "bmi": 21.5, "sex": "f", "smokes": False}
SPLIT = {"columns": [*ROW], "data": [[*ROW.values()]]}
REQUEST = {"input_data": {**SPLIT, "index": [0]}}


@pytest.mark.parametrize(
    "content",
    [
        ROW, [ROW], {"input_data": SPLIT}, REQUEST, {"dataframe_split": SPLIT}, {"dataframe_records": [ROW]},
    ],
)  # fmt: skip
def test_rows_and_both_forms_are_one_request(content: Any) -> None:
    request = online_requests.read(json.dumps(content), "request.json")

    assert request == REQUEST
    assert online_requests.fit(request, COLUMNS, "request.json") == REQUEST


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "request.json is not JSON: "),
        ('[{"age": NaN}]', "request.json is not JSON: NaN is no value of JSON: write null"),
        ("3", "request.json is no request: write such as {"),
        ("[]", "request.json is no request"),
        ("[{}]", "request.json is no request"),
        ("[[1, 2]]", "request.json is no request"),
        ('[{"age": 1}, {"bmi": 2}]', "row 0 has no bmi, which other rows have: write null there"),
        ('{"input_data": {"columns": ["age"]}}', "input_data needs columns and data"),
        ('{"input_data": {"columns": ["age"], "data": []}}', "input_data needs columns and data"),
        ('{"input_data": {"columns": ["age"], "data": [[1, 2]]}}', "row 0 has 2 values, and there are 1 columns"),
        ('{"input_data": {"columns": ["age"], "data": [1]}}', "row 0 has no list of values"),
        ('{"input_data": {"columns": ["a", "a"], "data": [[1, 2]]}}', "the columns a are there more than once"),
        ('{"input_data": {"columns": ["a"], "data": [[1]], "index": [1, 2]}}', "index must be a list with a value for"),
    ],
)
def test_an_invalid_request_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidError) as raised:
        online_requests.read(text, "request.json")

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bmi_": 1}, "request.json has a field 'bmi_', which the model does not take. Did you mean bmi?"),
        ({"age": None}, "request.json, row 0: the field 'age' is null: give a whole number."),
        ({"age": 1.5}, "the field 'age' is 1.5: give a whole number."),
        ({"age": 2**63}, "give a whole number."),
        ({"bmi": 10**400}, "give a number."),
        ({"age": True}, "the field 'age' is true: give a whole number."),
        ({"bmi": "21"}, "the field 'bmi' is \"21\": give a number."),
        ({"sex": 1}, "the field 'sex' is 1: give a text."),
        ({"smokes": 0}, "the field 'smokes' is 0: give true or false."),
    ],
)
def test_a_field_that_does_not_fit_the_signature_is_named(changes: dict[str, Any], message: str) -> None:
    request = online_requests.read(json.dumps(ROW | changes), "request.json")

    with pytest.raises(InvalidError) as raised:
        online_requests.fit(request, COLUMNS, "request.json")

    assert message in str(raised.value)


def test_a_field_that_the_model_needs_is_named() -> None:
    request = online_requests.read(json.dumps({"age": 50, "sex": "f", "smokes": True}), "Standard input")

    with pytest.raises(InvalidError, match="Standard input has no field 'bmi', which the model takes: give a number"):
        online_requests.fit(request, COLUMNS, "Standard input")


@pytest.mark.parametrize("changes", [{"bmi": None}, {"bmi": 3}, {"sex": None}, {"note": "x"}, {"age": 2.0}])
def test_missing_values_and_whole_numbers_fit_as_mlflow_takes_them(changes: dict[str, Any]) -> None:
    online_requests.fit(online_requests.read(json.dumps(ROW | changes), "r"), COLUMNS, "r")


def test_the_second_row_is_checked_too() -> None:
    request = online_requests.read(json.dumps([ROW, ROW | {"bmi": "x"}]), "r")

    with pytest.raises(InvalidError, match="r, row 1: the field 'bmi' is \"x\": give a number"):
        online_requests.fit(request, COLUMNS, "r")


def test_tensors_are_left_to_the_model() -> None:
    request = online_requests.read('{"input_data": [[1.0, 2.0]]}', "r")

    online_requests.fit(request, (), "r")
    assert request == {"input_data": [[1.0, 2.0]]}


@given(st.text(max_size=200))
def test_any_text_is_a_request_or_one_message(text: str) -> None:
    try:
        assert "input_data" in online_requests.read(text, "r")
    except InvalidError as error:
        assert str(error).startswith("r")


def test_whole_numbers_become_floats_where_the_model_takes_floats() -> None:
    """Values for MLflow: it converts no whole numbers by itself."""
    request = online_requests.read(json.dumps(ROW | {"age": 50.0, "bmi": 21}), "r")

    (row,) = online_requests.fit(request, COLUMNS, "r")["input_data"]["data"]

    assert [(value, type(value)) for value in row[:2]] == [(50, int), (21.0, float)]
