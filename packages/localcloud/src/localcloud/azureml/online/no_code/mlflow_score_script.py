"""The scoring script of MLflow models that are deployed without one: init() and run() for Azure ML's inference server.

It runs in the environment of the deployment, with the model's packages. It accepts the requests of Azure's script
(Azure/azureml-assets, `mlflow-py312-inference/context/mlflow_score_script.py`): {"input_data": …, "params": …}, where
input_data is a data frame in split orientation, a tensor or named tensors, and answers as MLflow's scoring server
formats predictions. One thing is different: a request that does not fit the model's signature is answered with 400 and
the reason, where Azure's answers 500 without one; the endpoint's client sees 424 either way.
"""

from __future__ import annotations

import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pandas

# Azure's script imports it whether or not data are collected: a model that lacks the package must fail here too.
from azureml.ai.monitoring import Collector  # type: ignore[import-not-found]  # noqa: F401
from azureml_inference_server_http.api.aml_response import AMLResponse  # type: ignore[import-not-found]
from inference_schema.parameter_types.abstract_parameter_type import (  # type: ignore[import-not-found]
    AbstractParameterType,
)
from inference_schema.schema_decorators import input_schema  # type: ignore[import-not-found]
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import _get_jsonable_obj
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json

_SPLIT = {"columns", "data"}
_WHOLE = {"integer", "long"}
_JSON_TYPES = {
    "boolean": "boolean", "integer": "integer", "long": "integer", "float": "number", "double": "number",
}  # fmt: skip
_log = logging.getLogger("azmlinfsrv.user_script.mlflow")


class InvalidInput(ValueError):
    """A request that cannot be an input of the model."""


class _Input(AbstractParameterType):  # type: ignore[misc]
    """A parameter that is passed on unchanged, with its description for swagger.json."""

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(None)
        self._description = description

    def deserialize_input(self, input_data: Any) -> Any:
        return input_data

    def input_to_swagger(self) -> dict[str, Any]:
        return self._description


_FOLDER = str(Path(os.environ["AZUREML_MODEL_DIR"]) / os.environ["MLFLOW_MODEL_FOLDER"])


def _data_description(signature: Any) -> dict[str, Any]:
    """Describe input_data: a frame's columns with their types, an object for data without columns."""
    schema = signature.inputs if signature is not None else None
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {"type": "object", "example": {}}
    columns = [(str(column.name), column) for column in schema.inputs]
    row = {name: {"type": _JSON_TYPES.get(str(getattr(column.type, "name", "")), "string")} for name, column in columns}
    names = [name for name, _ in columns]
    return {
        "type": "object",
        "required": ["columns", "index", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "index": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array", "items": {"type": "array", "items": {"type": "object"}}},
        },
        "x-columns": {"type": "object", "properties": row},
        "example": {"columns": names, "index": [0], "data": [[None] * len(names)]},
    }


_log.info("Loading the model from %s", _FOLDER)
_model = mlflow.pyfunc.load_model(_FOLDER)
_signature = _model.metadata.signature


def init() -> None:
    """Do nothing: the model is loaded with the module, so that a model that cannot be loaded ends the server."""
    _log.info("The model %s is loaded", os.environ["MLFLOW_MODEL_FOLDER"])


@input_schema("input_data", _Input(_data_description(_signature)))  # type: ignore[untyped-decorator]
@input_schema("params", _Input({"type": "object", "example": {}}), optional=True)  # type: ignore[untyped-decorator]
def run(input_data: Any, params: Any = None) -> Any:
    """Predict. Returns the predictions as JSON values, or a response with status 400 for input that does not fit."""
    try:
        if params is not None and not isinstance(params, dict):
            raise InvalidInput(f"'params' must be an object, not {type(params).__name__}.")
        predictions = _model.predict(_parsed(input_data), params=params or None)
    except (InvalidInput, MlflowException, json.JSONDecodeError) as error:
        _log.error("The request does not fit the model: %s", error)
        return AMLResponse({"message": f"The request does not fit the model's signature: {error}"}, 400, json_str=True)
    return _get_jsonable_obj(predictions, pandas_orient="records")


def _parsed(content: Any) -> Any:
    """Return the model's input: a data frame for a signature of columns, arrays for one of tensors.

    Raises InvalidInput, MlflowException.
    """
    schema = _signature.inputs if _signature is not None else None
    if schema is None:
        return _unsigned(json.loads(content) if isinstance(content, str) else content)
    return _tensors(content, schema) if schema.is_tensor_spec() else _frame(content, schema)


def _frame(content: Any, schema: Any) -> pandas.DataFrame:
    """Convert JSON's values to the signature's types, as MLflow's scoring server does: 1 is a double too."""
    if not isinstance(content, dict) or not content.keys() >= _SPLIT:
        raise InvalidInput("'input_data' must be an object with 'columns', 'index' and 'data'.")
    columns, index, data = content["columns"], content.get("index"), content["data"]
    for name, value in (("columns", columns), ("data", data)):
        if not isinstance(value, list):
            raise InvalidInput(f"'{name}' of 'input_data' must be a list.")
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            size = len(row) if isinstance(row, list) else type(row).__name__
            raise InvalidInput(f"Row {number} of 'data' has {size} values for {len(columns)} columns.")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        raise InvalidInput("'index' of 'input_data' must have a value for each row of 'data'.")
    _check_whole_numbers(columns, data, [column.name for column in schema.inputs if _is_whole(column)])
    return dataframe_from_parsed_json(content, pandas_orient="split", schema=schema)


def _is_whole(column: Any) -> bool:
    return str(getattr(column.type, "name", "")) in _WHOLE


def _check_whole_numbers(columns: list[Any], rows: list[list[Any]], names: list[Any]) -> None:
    """Refuse 1.5 for a whole number, which the conversion would cut to 1. NaN is a missing value."""
    for position, name in enumerate(columns):
        if name in names and any(_has_fraction(row[position]) for row in rows):
            raise InvalidInput(f"The column '{name}' takes whole numbers.")


def _has_fraction(value: Any) -> bool:
    return isinstance(value, float) and not math.isnan(value) and not value.is_integer()


def _tensors(content: Any, schema: Any) -> Any:
    types = {spec.name: spec.type for spec in schema.inputs}
    if not schema.has_input_names():
        return _array("input_data", content, next(iter(types.values())))
    if not isinstance(content, dict):
        raise InvalidInput(f"'input_data' must be an object with {', '.join(map(repr, types))}.")
    return {name: _array(name, value, types.get(name)) for name, value in content.items()}


def _unsigned(content: Any) -> Any:
    """Return the input of a model without a signature, by its form."""
    if isinstance(content, list):
        return _array("input_data", content)
    if not isinstance(content, dict):
        raise InvalidInput(f"'input_data' must be an object or a list, not {type(content).__name__}.")
    if content.keys() >= _SPLIT:
        return dataframe_from_parsed_json(content, pandas_orient="split")
    return {name: _array(name, value) for name, value in content.items()}


def _array(name: str, value: Any, type_: Any = None) -> Any:
    if not isinstance(value, list):
        raise InvalidInput(f"'{name}' must be a list.")
    try:
        return numpy.asarray(value, dtype=type_)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"'{name}' is not an array of {type_ or 'one type'}: {error}") from error
