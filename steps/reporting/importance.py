"""Permutation importance: how much worse a model gets when one column's values are shuffled.

scikit-learn has the same (`sklearn.inspection.permutation_importance`) and calls the model once for each shuffle. A
call of an MLflow model checks the schema anew, which takes longer than its prediction: here the shuffled copies of a
column are predicted in one call.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from steps import models
from steps.gate import Measure
from steps.metrics import NotComputableError, Predictions
from steps.specification import Specification

_REPEATS = 5
_MOST_ROWS = 2_000
_MOST_SECONDS = 30.0
"""A model that is slow to predict gets importances of the columns that this time allows."""


def permutation_importance(
    specified: Specification, model: Any, rows: pd.DataFrame, measure: Measure, challenger: Predictions
) -> dict[str, Any]:
    """Return the loss of the gate's first metric for each column of the model's input, the greatest first."""
    metric = specified.gate.metrics[0]
    chance = np.random.default_rng(specified.gate.seed)
    chosen = np.arange(len(rows))
    if len(rows) > _MOST_ROWS:
        chosen = chance.choice(chosen, _MOST_ROWS, replace=False)
    sample = rows.iloc[chosen].reset_index(drop=True)
    columns = models.input_columns(model, rows, (specified.target,))
    sign = 1.0 if metric.better == "higher" else -1.0
    result: dict[str, Any] = {"metric": metric.name, "repeats": _REPEATS, "columns": [], "left_out": []}
    start = time.monotonic()
    try:
        base = measure.of(metric.name, challenger.rows(chosen), chosen)
        for column in columns:
            if time.monotonic() - start > _MOST_SECONDS:
                result["left_out"].append(column)
                continue
            shuffled = pd.concat([sample] * _REPEATS, ignore_index=True)
            values = sample[column].to_numpy()
            shuffled[column] = np.concatenate([chance.permutation(values) for _ in range(_REPEATS)])
            predictions = models.predict(model, shuffled, specified.target)
            losses = [
                sign * (base - measure.of(metric.name, predictions.rows(part), chosen))
                for part in np.array_split(np.arange(len(shuffled)), _REPEATS)
            ]
            result["columns"].append(
                {"name": str(column), "loss": float(np.mean(losses)), "deviation": float(np.std(losses))}
            )
    except (NotComputableError, models.NotComparableError) as error:
        return result | {"columns": [], "problem": str(error)}
    result["columns"].sort(key=lambda item: -item["loss"])
    return result
