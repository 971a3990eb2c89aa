"""Inputs of a model, read from its files: the signature, and a request to try it with."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from mlops import online_requests, served_model
from mlops.errors import InvalidError
from mlops.served_model import Column
from steps import training

FEATURES = pd.DataFrame({"age": [20, 30, 40, 90], "bmi": [20.0, None, 22.0, 27.0], "town": ["a", "b", "b", "c"]})


def _save(folder: Path, example: pd.DataFrame | None, *, signature: bool = True) -> Path:
    rows = pd.DataFrame({"age": [20.0, 30.0], "bmi": [20.0, 21.0]})
    model = LinearRegression().fit(rows, [1.0, 2.0])
    inferred = mlflow.models.infer_signature(rows, model.predict(rows)) if signature else False
    mlflow.sklearn.save_model(
        model, folder / "model", signature=inferred, input_example=example, pip_requirements=["scikit-learn"],
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
    )  # fmt: skip
    return folder / "model"


def test_the_example_is_a_row_of_medians_and_most_frequent_values() -> None:
    row = training.typical_row(FEATURES)

    assert row.to_dict("records") == [{"age": 35.0, "bmi": 22.0, "town": "b"}]
    assert list(row.columns) == list(FEATURES.columns)


def test_signature_and_example_come_from_the_model_s_files(tmp_path: Path) -> None:
    model = served_model.parse(_save(tmp_path, pd.DataFrame({"age": [35.0], "bmi": [22.0]})), "Version 3 of m")

    assert model.columns == (Column("age", "double"), Column("bmi", "double"))
    assert model.example == {"input_data": {"columns": ["age", "bmi"], "index": [0], "data": [[35.0, 22.0]]}}
    assert online_requests.fit(model.example, model.columns, "the example") == model.example


def test_a_version_without_an_example_is_tried_with_neutral_values(tmp_path: Path) -> None:
    model = served_model.parse(_save(tmp_path, None), "Version 3 of m")

    assert model.example == {"input_data": {"columns": ["age", "bmi"], "index": [0], "data": [[0.0, 0.0]]}}


def test_a_version_without_a_signature_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="Version 3 of m has no MLflow signature of its inputs, which"):
        served_model.parse(_save(tmp_path, None, signature=False), "Version 3 of m")
