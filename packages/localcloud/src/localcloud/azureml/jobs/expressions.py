"""Binding expressions, `${{…}}`, and the optional parts of commands, `$[[…]]`.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-core-syntax ("Expression syntax …").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_EXPRESSION = re.compile(r"\$\{\{\s*([^{}]+?)\s*\}\}")
_OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_NAME = r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*"
_PARENT_INPUT = re.compile(rf"parent\.inputs\.({_NAME})")
_PARENT_OUTPUT = re.compile(rf"parent\.outputs\.({_NAME})")
_STEP_OUTPUT = re.compile(rf"parent\.jobs\.([A-Za-z_][\w-]*)\.outputs\.({_NAME})")
_INPUT = re.compile(rf"inputs\.({_NAME})")
_OUTPUT = re.compile(rf"outputs\.({_NAME})")


class BindingError(ValueError):
    """An expression without a target; the text names it."""


@dataclass(frozen=True)
class ParentInput:
    """Binding to an input of the pipeline."""

    name: str


@dataclass(frozen=True)
class ParentOutput:
    """Binding to an output of the pipeline."""

    name: str


@dataclass(frozen=True)
class StepOutput:
    """Binding to an output of another step."""

    step: str
    name: str


Reference = ParentInput | ParentOutput | StepOutput


def parse(text: str) -> Reference:
    """Return the reference inside `${{ }}` in a pipeline. Raises BindingError."""
    if match := _PARENT_INPUT.fullmatch(text):
        return ParentInput(match[1])
    if match := _PARENT_OUTPUT.fullmatch(text):
        return ParentOutput(match[1])
    if match := _STEP_OUTPUT.fullmatch(text):
        return StepOutput(match[1], match[2])
    raise BindingError(
        f"The expression '${{{{{text}}}}}' is not valid: use parent.inputs.NAME, parent.outputs.NAME or "
        "parent.jobs.JOB.outputs.NAME."
    )


def whole(value: object) -> Reference | None:
    """Return the reference that `value` is, None for anything else. Raises BindingError for an invalid one."""
    if not isinstance(value, str):
        return None
    match = _EXPRESSION.fullmatch(value.strip())
    return None if match is None else parse(match[1])


def references(value: object) -> list[Reference]:
    """Return every reference in a text."""
    return [parse(inner) for inner in _EXPRESSION.findall(value)] if isinstance(value, str) else []


def interpolate(text: str, value_of: Callable[[Reference], str]) -> str:
    """Return a text with each expression replaced by its literal."""
    return _EXPRESSION.sub(lambda match: value_of(parse(match[1])), text)


def command(text: str, inputs: Mapping[str, str | None], outputs: Mapping[str, str]) -> str:
    """Return a command with its placeholders filled in. An input of None is optional and has no value.

    Raises BindingError for a placeholder that names nothing, or an optional input outside of `$[[ ]]`.
    """

    def optional(match: re.Match[str]) -> str:
        names = [_INPUT.fullmatch(inner) for inner in _EXPRESSION.findall(match[1])]
        missing = any(name is not None and name[1] in inputs and inputs[name[1]] is None for name in names)
        return "" if missing else match[1]

    def fill(match: re.Match[str]) -> str:
        expression = match[1]
        if name := _INPUT.fullmatch(expression):
            if name[1] not in inputs:
                raise BindingError(f"The command refers to '${{{{inputs.{name[1]}}}}}', but there is no such input.")
            value = inputs[name[1]]
            if value is None:
                raise BindingError(
                    f"The command uses the optional input '{name[1]}', which has no value: put it in $[[ ]]."
                )
            return value
        if name := _OUTPUT.fullmatch(expression):
            if name[1] not in outputs:
                raise BindingError(f"The command refers to '${{{{outputs.{name[1]}}}}}', but there is no such output.")
            return outputs[name[1]]
        raise BindingError(f"The command has the expression '${{{{{expression}}}}}': use inputs.NAME or outputs.NAME.")

    return _EXPRESSION.sub(fill, _OPTIONAL.sub(optional, text))
