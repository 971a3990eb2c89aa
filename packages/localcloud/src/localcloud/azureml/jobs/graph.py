"""The order of a pipeline's steps: each after those whose outputs its inputs name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import expressions
from localcloud.azureml.jobs.expressions import BindingError, StepOutput
from localcloud.azureml.jobs.runs import Run
from localcloud.core.json import Json


def needs(inputs: Json, steps: Mapping[str, Run]) -> list[str]:
    """The ids of the steps whose outputs a step's inputs name."""
    return sorted({steps[one.step].id for one in _step_outputs(inputs) if one.step in steps})


def _step_outputs(value: Any) -> list[StepOutput]:
    """Every parent.jobs.X.outputs.Y anywhere in a value. Raises BindingError."""
    if isinstance(value, str):
        return [one for one in expressions.references(value) if isinstance(one, StepOutput)]
    if isinstance(value, dict):
        return [one for inner in value.values() for one in _step_outputs(inner)]
    return []


def ordered(steps: Json, path: str) -> list[str]:
    """Steps, each after those it refers to. Raises ServiceError 400 for a cycle or an unknown step."""
    before = {}
    for name, node in steps.items():
        try:
            found = {one.step for one in _step_outputs((node or {}).get("inputs") if isinstance(node, dict) else {})}
        except BindingError as error:
            raise user_error(f"The job '{name}' of the pipeline is not valid: {error}") from error
        missing = sorted(found - set(steps))
        if missing:
            raise user_error(
                f"The job '{name}' of the pipeline refers to the outputs of job '{missing[0]}', which does not exist."
            )
        before[name] = found
    order: list[str] = []
    while len(order) < len(steps):
        ready = [name for name in steps if name not in order and before[name] <= set(order)]
        if not ready:
            rest = [name for name in steps if name not in order]
            raise user_error(f"The pipeline '{path}' has a cycle: {', '.join(rest)} wait for each other.")
        order += ready
    return order
