"""Input values: as clients write them, and held against what a component declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import expressions, literals, shapes
from localcloud.azureml.jobs.expressions import BindingError, Reference
from localcloud.azureml.jobs.literals import LiteralError
from localcloud.core.json import Json

Value = Json
"""{"type": "literal", "value"} or {"type": "uri_folder", "uri", "mode"}; "bound" when it comes from somewhere else."""

Refer = Callable[[Reference], "Value | None"]


def declared_inputs(given: Any) -> dict[str, Json]:
    """A component's inputs by name; groups become GROUP.NAME, as their values are written."""
    result: dict[str, Json] = {}
    for name, one in (given or {}).items():
        port = one if isinstance(one, dict) else {"type": str(one)}
        if port.get("type") == "group":
            inner = declared_inputs(port.get("values"))
            result |= {f"{name}.{key}": value for key, value in inner.items()}
        else:
            result[name] = port
    return result


def input_value(name: str, raw: Any, refer: Refer) -> Value | None:
    """One input. Raises BindingError; ServiceError 400 for a bad mode."""
    if not isinstance(raw, dict):
        return _literal(raw, refer)
    kind = shapes.kind_of(shapes.pick(raw, "jobInputType") or raw.get("type"))
    mode = shapes.mode_of(raw.get("mode"), f"input '{name}'", shapes.INPUT_MODES)
    uri = shapes.pick(raw, "uri", "path")
    if uri is not None:
        reference = expressions.whole(uri)
        if reference is None:
            return {"type": kind or "uri_folder", "uri": str(uri), "mode": mode}
        value = refer(reference)
    elif kind not in {None, "literal"}:
        if raw.get("value") is None:
            raise BindingError(f"an input of type {kind} needs a uri.")
        value = _literal(raw["value"], refer)
    else:
        if raw.get("value") is None:
            raise BindingError("a literal needs a value.")
        value = _literal(raw["value"], refer)
    if value is not None and mode:
        value = {**value, "mode": mode}
    return value


def _literal(raw: Any, refer: Refer) -> Value | None:
    if isinstance(raw, str):
        reference = expressions.whole(raw)
        if reference is not None:
            return refer(reference)
        if expressions.references(raw):
            return {"type": "literal", "value": expressions.interpolate(raw, lambda one: _text(one, refer))}
    return {"type": "literal", "value": literals.text_of(raw)}


def _text(reference: Reference, refer: Refer) -> str:
    value = refer(reference)
    if value is None:
        return ""
    if value["type"] != "literal":
        raise BindingError("only literal inputs can stand within a text.")
    return str(value["value"])


def conform(given: dict[str, Value | None], declared: dict[str, Json], what: str) -> dict[str, Value | None]:
    """Values of all declared inputs: defaults filled in, types checked; None for optional ones that were not given.

    Raises ServiceError 400 UserError, for others than the declared ones too.
    """
    unknown = sorted(set(given) - set(declared))
    if unknown:
        known = ", ".join(sorted(declared)) or "none"
        raise user_error(f"The {what} has no input '{unknown[0]}': its inputs are {known}.")
    result: dict[str, Value | None] = {}
    for name, port in declared.items():
        value = given.get(name)
        if value is None and port.get("default") is not None:
            value = {"type": "literal", "value": literals.text_of(port["default"])}
        if value is None:
            if not _optional(port):
                raise user_error(f"The required input '{name}' of {what} is missing.")
            result[name] = None
            continue
        result[name] = _typed(name, value, port, what)
    return result


def _typed(name: str, value: Value, port: Json, what: str) -> Value:
    kind = port.get("type", "string")
    kinds = kind if isinstance(kind, list) else [kind]
    if any(one in literals.TYPES for one in kinds):
        if value["type"] != "literal":
            raise user_error(f"The input '{name}' of {what} is of type {kind}, but it is given a {value['type']}.")
        try:
            return {**value, "value": literals.check(name, str(value["value"]), port | {"type": kinds[0]})}
        except LiteralError as error:
            raise user_error(f"The {what} is not valid: {error}") from error
    if value["type"] == "literal":
        raise user_error(
            f"The input '{name}' of {what} is of type {kind}, but it is given the literal '{value['value']}'."
        )
    mode = value.get("mode") or shapes.mode_of(port.get("mode"), f"input '{name}' of {what}", shapes.INPUT_MODES)
    return {**value, "mode": mode}


def _optional(port: Json) -> bool:
    given = port.get("optional", False)
    return given if isinstance(given, bool) else str(given).lower() == "true"
