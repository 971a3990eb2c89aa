"""Inputs of a registered version: its MLflow signature, and a request that fits it, to try the version with."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlops import candidates
from mlops.clients import Clients
from mlops.errors import InvalidError
from mlops.terminal import quiet_uploads

_FILE = "MLmodel"
_NEUTRAL: Mapping[str, Any] = {
    "boolean": False, "integer": 0, "long": 0, "float": 0.0, "double": 0.0, "string": "", "binary": "",
    "datetime": "2000-01-01T00:00:00",
}  # fmt: skip
"""A value of each type of MLflow's column schemas (mlflow.types.DataType)."""


@dataclass(frozen=True)
class Column:
    """An input of a model, of a type of MLflow's."""

    name: str
    type: str
    required: bool = True


@dataclass(frozen=True)
class ServedModel:
    """`columns` are empty for a model of tensors, whose requests are not checked here.

    `example` is a request that the model accepts, None where none is known.
    """

    columns: tuple[Column, ...]
    example: dict[str, Any] | None


def read(clients: Clients, version: str) -> ServedModel:
    """Return the inputs of a version. Raises InvalidError for a version that cannot be served without code."""
    name = clients.pipeline.model
    with tempfile.TemporaryDirectory() as folder, quiet_uploads():
        return parse(candidates.download(clients.ml, name, version, Path(folder)), f"Version {version} of {name}")


def parse(folder: Path, name: str) -> ServedModel:
    """Read a model's folder; `name` names the model in messages. Raises InvalidError as `read` does."""
    try:
        content: Any = yaml.safe_load((folder / _FILE).read_text(encoding="utf-8"))
        inputs: Any = json.loads(content["signature"]["inputs"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise InvalidError(
            f"{name} has no MLflow signature of its inputs, which Azure ML needs to serve it without code: log the "
            f"model with a signature, and train it again ({type(error).__name__})."
        ) from error
    columns = tuple(
        Column(str(item["name"]), str(item["type"]), bool(item.get("required", True)))
        for item in inputs
        if "name" in item and item.get("type") != "tensor"
    )
    return ServedModel(columns, _example(folder, content) or _neutral(columns))


def as_request(columns: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    """Return rows as the body of a request.

    learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models, "Payload examples".
    """
    return {"input_data": {"columns": columns, "index": list(range(len(rows))), "data": rows}}


def _example(folder: Path, content: dict[str, Any]) -> dict[str, Any] | None:
    """Return the example that was stored with the model, None without one of columns."""
    file = (content.get("saved_input_example_info") or {}).get("artifact_path")
    if file is None or not (folder / Path(str(file)).name).is_file():
        return None
    example: Any = json.loads((folder / Path(str(file)).name).read_text(encoding="utf-8"))
    if not isinstance(example, dict) or "columns" not in example or not example.get("data"):
        return None
    return as_request([str(column) for column in example["columns"]], [list(example["data"][0])])


def _neutral(columns: tuple[Column, ...]) -> dict[str, Any] | None:
    """Return a request of neutral values, for versions that were trained before examples were stored."""
    if not columns or any(column.type not in _NEUTRAL for column in columns if column.required):
        return None
    required = [column for column in columns if column.required]
    return as_request([column.name for column in required], [[_NEUTRAL[column.type] for column in required]])
