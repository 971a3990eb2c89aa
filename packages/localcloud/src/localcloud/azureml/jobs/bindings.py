"""The pipeline around a step: the values that the step's bindings refer to."""

from __future__ import annotations

from dataclasses import dataclass, field

from localcloud.azureml.jobs.expressions import BindingError, ParentInput, Reference, StepOutput
from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.jobs.values import Value, Values
from localcloud.core.json import Json


@dataclass
class Scope:
    """A pipeline with the steps that are planned so far. `outputs` are as the pipeline's specification has them."""

    run: Run
    inputs: Values
    outputs: dict[str, Json]
    steps: dict[str, Run] = field(default_factory=dict)

    def value_of(self, reference: Reference) -> Value | None:
        """Return the value behind a reference, None for an optional input without one. Raises BindingError."""
        if isinstance(reference, ParentInput):
            if reference.name not in self.inputs:
                raise BindingError(f"the pipeline has no input '{reference.name}'.")
            value = self.inputs[reference.name]
            return None if value is None else {**value, "bound": True}
        if isinstance(reference, StepOutput):
            step = self.steps.get(reference.step)
            if step is None:
                raise BindingError(f"the pipeline has no job '{reference.step}'.")
            if reference.name not in step.outputs:
                raise BindingError(f"the job '{reference.step}' has no output '{reference.name}'.")
            output = step.outputs[reference.name]
            return {"type": output["type"], "uri": output["uri"], "bound": True}
        raise BindingError(f"an input cannot be bound to the pipeline's output '{reference.name}'.")


def no_value(reference: Reference) -> Value | None:
    """Refuse a reference in the inputs of a job, around which there is nothing. Raises BindingError."""
    raise BindingError("a job's own inputs cannot refer to others.")
