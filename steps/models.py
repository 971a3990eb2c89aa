"""Predictions of any MLflow model, with the columns of the model's own signature."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

from steps.metrics import Predictions

MODEL_FILE_FOLDER = "model"
"""Folder of the training run's artifacts that has the model."""
RUN_FILE = "training_run.json"
"""File beside the model: the MLflow run that made it."""


class NotComparableError(Exception):
    """A model cannot judge these rows; the text has the reason."""


def load(address: str) -> Any:
    """Return the model at a path or address as a pyfunc. Raises NotComparableError when it cannot be had."""
    try:
        return mlflow.pyfunc.load_model(address)
    except (MlflowException, OSError, ImportError, AttributeError, ValueError) as error:
        raise NotComparableError(f"it cannot be loaded: {type(error).__name__}: {_first_line(error)}") from error


@dataclass(frozen=True)
class Answer:
    """Answers of a model for rows: `predicted` has a row for each, `probabilities` a column for each class."""

    predicted: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any] | None
    classes: tuple[Any, ...]


def predict(model: Any, rows: pd.DataFrame, target: str) -> Predictions:
    """Return the model's predictions for rows whose target is known. Raises NotComparableError like `ask`."""
    answer = ask(model, rows, (target,))
    return Predictions(rows[target].to_numpy(), answer.predicted.reshape(-1), answer.probabilities, answer.classes)


def ask(model: Any, rows: pd.DataFrame, others: Collection[str]) -> Answer:
    """Return the model's answers for the rows. Raises NotComparableError when it lacks columns or fails.

    The columns are the model's signature, so that others do no harm; without a signature, all but the `others`. A
    model whose flavor offers `predict_proba` returns probabilities as well.
    """
    columns = input_columns(model, rows, others)
    if missing := [column for column in columns if column not in rows.columns]:
        noun = "column" if len(missing) == 1 else "columns"
        raise NotComparableError(f"{noun} {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} gone")
    features = rows[columns]
    features = features.astype(dict.fromkeys(features.select_dtypes("integer").columns, float))
    try:
        predicted = np.asarray(model.predict(features))
        probabilities, classes = _probabilities(model, features)
    except Exception as error:
        # A model is other people's code, which may raise anything.
        raise NotComparableError(f"it fails on these rows: {type(error).__name__}: {_first_line(error)}") from error
    return Answer(predicted, probabilities, classes)


def input_columns(model: Any, rows: pd.DataFrame, others: Collection[str]) -> list[str]:
    """Return the model's input columns: its signature; without one, all but the others."""
    inputs = model.metadata.get_input_schema()
    if inputs is None or not inputs.has_input_names():
        return [str(column) for column in rows.columns if column not in others]
    return [str(name) for name in inputs.input_names()]


def _probabilities(model: Any, features: pd.DataFrame) -> tuple[np.ndarray[Any, Any] | None, tuple[Any, ...]]:
    try:
        raw = model.get_raw_model()
    except NotImplementedError:  # of MLflow, for models without one, such as functions
        return None, ()
    if not hasattr(raw, "predict_proba") or not hasattr(raw, "classes_"):
        return None, ()
    return np.asarray(raw.predict_proba(features)), tuple(np.asarray(raw.classes_).tolist())


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
