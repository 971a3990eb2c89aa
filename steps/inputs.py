"""Literal inputs of a component, which Azure ML passes to the process as variables.

The name of the variable: azure-ai-ml, docstring of `CommandJob`. No command has a literal input (docs/adr/0020).
"""

from __future__ import annotations

import os
import sys

from steps.specification import ParameterValue, Specification


def parameter(name: str) -> str:
    """Return a literal input. Ends the program when its variable is missing."""
    variable = f"AZUREML_PARAMETER_{name}"
    if variable not in os.environ:
        sys.exit(f"The variable {variable} is not set: it has the input {name} of this component.")
    return os.environ[variable]


def specification() -> Specification:
    """Return the pipeline's specification, from the input of that name."""
    return Specification.model_validate_json(parameter("specification"))


def run_parameters(specified: Specification) -> dict[str, ParameterValue]:
    """Return the values of the run's parameters. Ends the program with one line for a value that is not allowed."""
    values: dict[str, ParameterValue] = {}
    for name, rule in specified.parameters.items():
        try:
            values[name] = rule.parse(parameter(name))
        except ValueError as error:
            sys.exit(f"The parameter {name}: {error}.")
    return values
