"""The metrics that a gate may name, for regression and classification, by scikit-learn's functions.

The module imports scikit-learn when a metric is computed: the specification, which is read on workstations, needs the
names alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Task = Literal["regression", "classification"]
Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Predictions:
    """Predictions for some rows, and the true values.

    `actual`, `predicted`: one value a row. `probabilities`: rows x classes, in the order of `classes`, None when the
    model has none.
    """

    actual: np.ndarray[Any, Any]
    predicted: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any] | None = None
    classes: tuple[Any, ...] = ()

    def rows(self, index: np.ndarray[Any, Any]) -> Predictions:
        """Return the predictions of some rows, by their positions; a row may be there more than once."""
        probabilities = None if self.probabilities is None else self.probabilities[index]
        return Predictions(self.actual[index], self.predicted[index], probabilities, self.classes)


@dataclass(frozen=True)
class BuiltIn:
    """A metric that needs no function of the pipeline's own."""

    task: Task
    direction: Direction
    function: Callable[[Predictions], float]

    def compute(self, predictions: Predictions) -> float:
        """Return the metric. Raises NotComputableError where these rows or this model do not allow it."""
        try:
            return self.function(predictions)
        except (TypeError, ValueError) as error:
            # The library's own text may have values of the data, and be of many lines.
            if self.task == "regression":
                reason = "the target or the predictions have values that are no finite numbers"
            else:
                reason = "the classes that the model predicts are not those of the rows"
            raise NotComputableError(reason) from error


class NotComputableError(Exception):
    """These rows or this model do not allow the metric; the text has the reason."""


def _sklearn(name: str, **options: Any) -> Callable[[Predictions], float]:
    """Return a metric of actual and predicted values."""

    def compute(predictions: Predictions) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, name)(predictions.actual, predictions.predicted, **options))

    return compute


def _label(name: str) -> Callable[[Predictions], float]:
    """Return a metric of labels: of the positive class, the last one, where there are two; their plain mean else.

    It is not a number where it is not defined, as the recall of rows without a positive one.
    """

    def compute(predictions: Predictions) -> float:
        import numpy as np
        import sklearn.metrics

        classes = _classes(predictions)
        options: dict[str, Any] = {"average": "macro", "labels": list(classes), "zero_division": np.nan}
        if len(classes) == 2:
            options = {"average": "binary", "pos_label": classes[-1], "zero_division": np.nan}
        return float(getattr(sklearn.metrics, name)(predictions.actual, predictions.predicted, **options))

    return compute


def _probability(name: str) -> Callable[[Predictions], float]:
    """Return a metric of probabilities."""

    def compute(predictions: Predictions) -> float:
        import numpy as np
        import sklearn.metrics

        if predictions.probabilities is None:
            raise NotComputableError(f"{name} needs probabilities, and the model gives labels alone")
        classes = predictions.classes
        if len(np.unique(predictions.actual)) < 2:
            raise NotComputableError(f"{name} needs rows of more than one class")
        function = getattr(sklearn.metrics, name)
        if name == "log_loss":
            return float(function(predictions.actual, predictions.probabilities, labels=list(classes)))
        if len(classes) == 2:
            positive = predictions.actual == classes[-1]
            return float(function(positive, predictions.probabilities[:, -1]))
        if name == "brier_score_loss":
            raise NotComputableError(f"{name} is for two classes, and there are {len(classes)}")
        if name == "roc_auc_score":
            return float(
                function(predictions.actual, predictions.probabilities, multi_class="ovr", labels=list(classes))
            )
        return float(function(predictions.actual, predictions.probabilities, average="macro"))

    return compute


def _classes(predictions: Predictions) -> tuple[Any, ...]:
    import numpy as np

    return predictions.classes or tuple(np.unique(np.concatenate([predictions.actual, predictions.predicted])))


BUILT_IN: Mapping[str, BuiltIn] = {
    "r2": BuiltIn("regression", "higher", _sklearn("r2_score")),
    "rmse": BuiltIn("regression", "lower", _sklearn("root_mean_squared_error")),
    "mae": BuiltIn("regression", "lower", _sklearn("mean_absolute_error")),
    "mape": BuiltIn("regression", "lower", _sklearn("mean_absolute_percentage_error")),
    "median_absolute_error": BuiltIn("regression", "lower", _sklearn("median_absolute_error")),
    "accuracy": BuiltIn("classification", "higher", _sklearn("accuracy_score")),
    "balanced_accuracy": BuiltIn("classification", "higher", _sklearn("balanced_accuracy_score")),
    "matthews": BuiltIn("classification", "higher", _sklearn("matthews_corrcoef")),
    "f1": BuiltIn("classification", "higher", _label("f1_score")),
    "precision": BuiltIn("classification", "higher", _label("precision_score")),
    "recall": BuiltIn("classification", "higher", _label("recall_score")),
    "roc_auc": BuiltIn("classification", "higher", _probability("roc_auc_score")),
    "average_precision": BuiltIn("classification", "higher", _probability("average_precision_score")),
    "log_loss": BuiltIn("classification", "lower", _probability("log_loss")),
    "brier": BuiltIn("classification", "lower", _probability("brier_score_loss")),
}
