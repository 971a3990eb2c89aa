"""Requests to an online endpoint: read from a file, and held against the model's signature before they are sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops.errors import InvalidError
from mlops.served_model import Column, as_request
from mlops.suggestions import hint

_FORM = 'such as {"input_data": {"columns": ["age", "bmi"], "data": [[50, 21.5]]}}, or rows: [{"age": 50, "bmi": 21.5}]'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value) and -(2**63) <= value < 2**63


_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": ("a whole number", _is_whole),
    "long": ("a whole number", _is_whole),
    "float": ("a number", _is_number),
    "double": ("a number", _is_number),
    "string": ("a text", lambda value: isinstance(value, str)),
    "binary": ("a text", lambda value: isinstance(value, str)),
    "datetime": ("a text such as 2027-01-04T00:00:00", lambda value: isinstance(value, str)),
}
_NUMBERS: Mapping[str, Callable[[Any], int | float]] = {"integer": int, "long": int, "float": float, "double": float}
_MAY_BE_NULL = frozenset({"float", "double", "string", "datetime"})
"""Types whose columns have missing values in pandas."""


def read(text: str, source: str) -> dict[str, Any]:
    """Return a request in Azure ML's form. `text` is that form, MLflow's, or rows as objects.

    Raises InvalidError, which names `source`, for any other text.
    """
    try:
        content: Any = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidError(f"{source} is not JSON: {error}.") from error
    if isinstance(content, dict) and isinstance(content.get("input_data"), dict | list):
        return _with_index(content, source)
    if isinstance(content, dict) and isinstance(content.get("dataframe_split"), dict):
        return _with_index({"input_data": content["dataframe_split"]}, source)
    if isinstance(content, dict) and isinstance(content.get("dataframe_records"), list):
        content = content["dataframe_records"]
    records = content if isinstance(content, list) else [content]
    if not records or not all(isinstance(record, dict) and record for record in records):
        raise InvalidError(f"{source} is no request: write {_FORM}.")
    columns = list(dict.fromkeys(str(name) for record in records for name in record))
    for number, record in enumerate(records):
        if missing := [name for name in columns if name not in record]:
            raise InvalidError(f"{source}: row {number} has no {missing[0]}, which other rows have: write null there.")
    return as_request(columns, [[record[name] for name in columns] for record in records])


def fit(request: dict[str, Any], columns: Sequence[Column], source: str) -> dict[str, Any]:
    """Check a request against the columns of a model's signature; return it with numbers of the columns' types.

    JSON does not distinguish 80 from 80.0, and MLflow refuses whole numbers in a column of floats. Raises InvalidError
    that names the first field that does not fit.
    """
    data = request["input_data"]
    if not columns or not isinstance(data, dict):
        return request
    names, expected = [str(name) for name in data["columns"]], {column.name: column for column in columns}
    for name in names:
        if name not in expected:
            raise InvalidError(f"{source} has a field {name!r}, which the model does not take. {hint(name, expected)}")
    for column in columns:
        if column.required and column.name not in names:
            raise InvalidError(
                f"{source} has no field {column.name!r}, which the model takes: give {_wanted(column)} for each row."
            )
    rows = [
        [_fitted(expected[name], value, f"{source}, row {number}") for name, value in zip(names, row, strict=True)]
        for number, row in enumerate(data["data"])
    ]
    return {**request, "input_data": {**data, "data": rows}}


def _fitted(column: Column, value: Any, where: str) -> Any:
    if column.type not in _TYPES or (value is None and column.type in _MAY_BE_NULL):
        return value
    if not _TYPES[column.type][1](value):
        raise InvalidError(f"{where}: the field {column.name!r} is {json.dumps(value)}: give {_wanted(column)}.")
    return _NUMBERS[column.type](value) if column.type in _NUMBERS else value


def _wanted(column: Column) -> str:
    return _TYPES[column.type][0] if column.type in _TYPES else f"a value of the type {column.type}"


def _with_index(content: dict[str, Any], source: str) -> dict[str, Any]:
    """Return a request whose rows all have as many values as there are columns; return other inputs unchanged."""
    data = content["input_data"]
    if isinstance(data, list):
        return content
    columns, rows = data.get("columns"), data.get("data")
    if not isinstance(columns, list) or not isinstance(rows, list) or not rows:
        raise InvalidError(f"{source}: input_data needs columns and data: write {_FORM}.")
    if twice := sorted({str(name) for name in columns if columns.count(name) > 1}):
        raise InvalidError(f"{source}: the columns {', '.join(twice)} are there more than once.")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            length = len(row) if isinstance(row, list) else "no list of"
            raise InvalidError(f"{source}: row {number} has {length} values, and there are {len(columns)} columns.")
    index = data.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise InvalidError(f"{source}: index must be a list with a value for each of the {len(rows)} rows.")
    return {**content, "input_data": {**data, "index": list(range(len(rows))) if index is None else index}}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON: write null")
