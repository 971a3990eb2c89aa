"""Fit a ridge regression on the scaled features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from steps import training
from steps.specification import ParameterValue


def fit(features: pd.DataFrame, target: pd.Series[Any], parameters: Mapping[str, ParameterValue]) -> Any:
    """Return the fitted model."""
    return make_pipeline(StandardScaler(), Ridge(alpha=float(parameters["alpha"]))).fit(features, target)


if __name__ == "__main__":
    training.run(fit, __doc__)
