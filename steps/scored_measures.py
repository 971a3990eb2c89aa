"""Measures of a scored file and of its predictions: the input of the step watch.

The file is beside the predictions and is put in its place with them, so that a run which fails before it watches loses
nothing. It has quantiles and categories, which are data: it is for the stack's storage.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from steps import profiles
from steps.column_measures import NumberColumns
from steps.data_results import Profile
from steps.metrics import Predictions
from steps.specification import Specification

FILE = "_measures.json"
"""Readers of Parquet leave out names that begin with an underscore."""
PREDICTION, PROBABILITY = "prediction", "probability"
"""Columns of the predictions: the model's answer, and the probability of the second of two classes."""
_PREFIX = "probability_"


class ScoredMeasures(BaseModel):
    """Measures by column, as notebooks/lib/measures.py makes them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal[1] = 1
    columns: dict[str, dict[str, Any]] = {}
    """Empty where the notebook measured nothing."""
    predictions: dict[str, dict[str, Any]] = {}


class Answers:
    """The predictions for a file of so many rows, as they come."""

    def __init__(self, specified: Specification, rows: int) -> None:
        self._classes = specified.task == "classification"
        self._rows = rows
        self._numbers: dict[str, NumberColumns] = {}
        self._parts: dict[str, list[np.ndarray[Any, Any]]] = {}
        """Answers that are counted by their values."""

    def add(self, rows: pd.DataFrame) -> None:
        """Add some predictions. The column `row` has the rows' numbers."""
        probabilities = [name for name in rows.columns if str(name).startswith(_PREFIX)]
        names = {PREDICTION: PREDICTION} if PREDICTION in rows else {}
        if len(probabilities) == 2:
            names[PROBABILITY] = probabilities[-1]
        for name, column in names.items():
            values = rows[column].to_numpy()
            if values.dtype.kind not in "iuf" or (self._classes and name == PREDICTION):
                self._parts.setdefault(name, []).append(values)
            else:
                numbers = self._numbers.setdefault(name, NumberColumns({name: "number"}, self._rows))
                numbers.add({name: values}, rows["row"])

    def measures(self) -> dict[str, dict[str, Any]]:
        """Return the measures of all predictions. Quantiles of many rows are of a sample."""
        by_value = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        measured = _measures(by_value, self._classes)
        for numbers in self._numbers.values():
            measured |= numbers.measures()
        return measured


def prediction_profile(predictions: Predictions, specified: Specification) -> Profile:
    """Return the profile of a model's answers for its held-out rows."""
    values = {PREDICTION: np.asarray(predictions.predicted)}
    if predictions.probabilities is not None and predictions.probabilities.shape[1] == 2:
        values[PROBABILITY] = predictions.probabilities[:, -1]
    measured = _measures(values, specified.task == "classification")
    show_values = specified.data_contract.show_values
    return profiles.profile(measured, len(predictions.predicted), specified.target, show_values=show_values)


def write(folder: Path, columns: dict[str, dict[str, Any]], answers: Answers) -> None:
    """Write the file into a folder."""
    content = ScoredMeasures(columns=columns, predictions=answers.measures())
    (folder / FILE).write_text(json.dumps(content.model_dump(mode="json")), encoding="utf-8")


def _measures(values: dict[str, np.ndarray[Any, Any]], classes: bool) -> dict[str, dict[str, Any]]:
    return {
        name: profiles.measured(column, categories=classes and name == PREDICTION) for name, column in values.items()
    }
