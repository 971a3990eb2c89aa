"""Values of inputs: from their specifications, checked against the declarations of a component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import expressions, literals, shapes
from localcloud.azureml.jobs.expressions import BindingError, Reference
from localcloud.azureml.jobs.literals import LiteralError
from localcloud.azureml.jobs.specification import InputDeclaration, InputSpec
from localcloud.core.json import Json

Value = Json
"""{"type": "literal", "value"} or {"type": "uri_folder", "uri", "mode"}, as runs keep it; "bound" if it is bound."""

Values = dict[str, Value | None]
"""Values by name; None where a binding leads to an optional input without a value."""

Refer = Callable[[Reference], "Value | None"]


def input_value(name: str, port: InputSpec, refer: Refer) -> Value | None:
    """Return the value of one input. Raises BindingError; ServiceError 400 for a bad mode."""
    mode = shapes.check_mode(port.mode, f"input '{name}'", shapes.INPUT_MODES)
    if port.uri is not None:
        reference = expressions.whole(port.uri)
        if reference is None:
            return {"type": port.kind or "uri_folder", "uri": port.uri, "mode": mode}
        value = refer(reference)
    elif port.value is None:
        literal = port.kind in {None, "literal"}
        raise BindingError("a literal needs a value." if literal else f"an input of type {port.kind} needs a uri.")
    else:
        value = _literal(port.value, refer)
    return {**value, "mode": mode} if value is not None and mode else value


def _literal(raw: Any, refer: Refer) -> Value | None:
    if isinstance(raw, str):
        reference = expressions.whole(raw)
        if reference is not None:
            return refer(reference)
        if expressions.references(raw):
            return {"type": "literal", "value": expressions.interpolate(raw, lambda inner: _text(inner, refer))}
    return {"type": "literal", "value": literals.text_of(raw)}


def _text(reference: Reference, refer: Refer) -> str:
    value = refer(reference)
    if value is None:
        return ""
    if value["type"] != "literal":
        raise BindingError("only literal inputs can stand within a text.")
    return str(value["value"])


def conform(values: Values, declared: Mapping[str, InputDeclaration], subject: str) -> Values:
    """Return the values of all declared inputs, checked and with defaults; None for an optional input without a value.

    Raises ServiceError 400 UserError, for an input that is not declared too.
    """
    unknown = sorted(set(values) - set(declared))
    if unknown:
        known = ", ".join(sorted(declared)) or "none"
        raise user_error(f"The {subject} has no input '{unknown[0]}': its inputs are {known}.")
    result: Values = {}
    for name, declaration in declared.items():
        value = values.get(name)
        if value is None and declaration.default is not None:
            value = {"type": "literal", "value": literals.text_of(declaration.default)}
        if value is None and not declaration.optional:
            raise user_error(f"The required input '{name}' of {subject} is missing.")
        result[name] = None if value is None else _typed(name, value, declaration, subject)
    return result


def _typed(name: str, value: Value, declaration: InputDeclaration, subject: str) -> Value:
    kind = declaration.type
    if any(declared in literals.TYPES for declared in declaration.kinds):
        if value["type"] != "literal":
            raise user_error(f"The input '{name}' of {subject} is of type {kind}, but it is given a {value['type']}.")
        try:
            return {**value, "value": literals.check(name, str(value["value"]), declaration)}
        except LiteralError as error:
            raise user_error(f"The {subject} is not valid: {error}") from error
    if value["type"] == "literal":
        raise user_error(
            f"The input '{name}' of {subject} is of type {kind}, but it is given the literal '{value['value']}'."
        )
    declared_mode = shapes.check_mode(declaration.mode, f"input '{name}' of {subject}", shapes.INPUT_MODES)
    return {**value, "mode": value.get("mode") or declared_mode}
