"""Fit gradient boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from steps import training
from steps.specification import ParameterValue


def fit(features: pd.DataFrame, target: pd.Series[Any], parameters: Mapping[str, ParameterValue]) -> Any:
    """Return the fitted model."""
    model = HistGradientBoostingClassifier(
        max_iter=int(parameters["trees"]), learning_rate=float(parameters["learning_rate"]), random_state=0
    )
    return model.fit(features, target)


if __name__ == "__main__":
    training.run(fit, __doc__)
