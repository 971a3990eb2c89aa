"""The order of a pipeline's steps: each after the steps whose outputs its inputs name."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import expressions
from localcloud.azureml.jobs.expressions import BindingError, StepOutput
from localcloud.azureml.jobs.specification import InputSpec, StepSpec


def needs(inputs: Mapping[str, InputSpec]) -> set[str]:
    """Return the names of the steps whose outputs the inputs name. Raises BindingError."""
    return {
        reference.step
        for port in inputs.values()
        for text in (port.uri, port.value)
        for reference in expressions.references(text)
        if isinstance(reference, StepOutput)
    }


def ordered(steps: Mapping[str, StepSpec], path: str) -> list[str]:
    """Return the names of steps, each after the steps that it needs; the order of the request decides between others.

    Raises ServiceError 400 for a cycle or an unknown step.
    """
    before: dict[str, list[str]] = {}
    for name, step in steps.items():
        try:
            needed = needs(step.inputs)
        except BindingError as error:
            raise user_error(f"The job '{name}' of the pipeline is not valid: {error}") from error
        missing = sorted(needed - set(steps))
        if missing:
            raise user_error(
                f"The job '{name}' of the pipeline refers to the outputs of job '{missing[0]}', which does not exist."
            )
        before[name] = sorted(needed)
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError as error:
        members = set(error.args[1])
        raise user_error(
            f"The pipeline '{path}' has a cycle: {', '.join(name for name in steps if name in members)} wait for each "
            "other."
        ) from error
    place = list(steps)
    order: list[str] = []
    while ready := sorter.get_ready():
        order += sorted(ready, key=place.index)
        sorter.done(*ready)
    return order
