"""Parameters of a run in the form name=value."""

from __future__ import annotations

from collections.abc import Iterable

from mlops.errors import InvalidError
from mlops.specifications import TrainingPipeline
from mlops.suggestions import hint
from steps.specification import ParameterValue


def parse(pipeline: TrainingPipeline, texts: Iterable[str]) -> dict[str, ParameterValue]:
    """Return the values by name. Raises InvalidError for an unknown name, or a value that its rule refuses."""
    rules = pipeline.specification.parameters
    values: dict[str, ParameterValue] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidError(f"The parameter {text!r} has no value: write name=value, such as alpha=0.3.")
        if name not in rules:
            raise InvalidError(f"The pipeline {pipeline.name} has no parameter {name!r}. {hint(name, rules)}")
        try:
            values[name] = rules[name].parse(value)
        except ValueError as error:
            raise InvalidError(f"The parameter {name}: {error}.") from error
    return values
