"""Parameters of pipelines and templates: values are bound to declarations, converted and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline_runner.errors import PipelineError

_ABSENT = object()


def bind(declared: Any, arguments: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return values by declared name. Raises PipelineError with the file and the parameter."""
    if not isinstance(declared, list) or not all(isinstance(item, dict) and "name" in item for item in declared):
        raise PipelineError(f"{file.name}: parameters must be a list of mappings with a name each, not {declared!r}.")
    values = {name.lower(): (name, value) for name, value in arguments.items()}
    result: dict[str, Any] = {}
    for parameter in declared:
        name = parameter["name"]
        _, value = values.pop(name.lower(), (name, parameter.get("default", _ABSENT)))
        if value is _ABSENT:
            raise PipelineError(f"{file.name}: A value for the '{name}' parameter must be provided.")
        converted = _converted(parameter.get("type", "string"), value, f"{file.name}: parameter '{name}'")
        allowed = parameter.get("values")
        if allowed is not None and converted not in allowed:
            raise PipelineError(f"{file.name}: '{value}' is not a value of '{name}': {', '.join(map(str, allowed))}.")
        result[name] = converted
    if values:
        names = ", ".join(f"'{name}'" for name, _ in values.values())
        raise PipelineError(f"{file.name}: Unexpected parameter {names}.")
    return result


def _converted(type_: str, value: Any, where: str) -> Any:
    convert = _TYPES.get(type_.lower())
    if convert is None:
        return value  # object, step, stepList, jobList, … are not converted
    try:
        return convert(value)
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{where}: {value!r} is not a {type_}.") from error


def _string(value: Any) -> str:
    if isinstance(value, dict | list):
        raise TypeError(value)
    return "" if value is None else str(value)


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]


def _number(value: Any) -> int | float:
    if isinstance(value, bool):
        raise TypeError(value)
    return value if isinstance(value, int | float) else float(value)


_TYPES: dict[str, Callable[[Any], Any]] = {"string": _string, "boolean": _boolean, "number": _number}
