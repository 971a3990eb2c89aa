"""The inputs of resource classes, read from the vendors' Python SDKs: for the schema files beside each provider's code.

A property's type is "string", "integer", "number", "boolean", "any", the name of an object, "<A;B>" for an enum's
values, "A|B" for a choice of types, "[T]" for a list and "{T}" for a map. A name with "!" at its end is required.
"""

from __future__ import annotations

import importlib
import inspect
import json
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

_WITHOUT_ENUMS = frozenset({"monitor"})
"""A module of several specifications whose enums share names.

Its ConditionOperator is another enum than its Condition's: it lacks the documented values (Equals, GreaterThan …;
azure-mgmt-monitor, models.ConditionOperator).
"""
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
Objects = dict[str, dict[str, str]]


def arguments_of(package: Any, class_name: str) -> type:
    """Return the class of a resource's inputs."""
    # Where a resource is also a part of another, …Args are the part's inputs.
    arguments: type = getattr(package, f"{class_name}InitArgs", None) or getattr(package, f"{class_name}Args")
    return arguments


def properties(class_: type, module: str, objects: Objects) -> dict[str, str]:
    """Return the properties of a class of inputs; add the objects in them to `objects`."""
    import pulumi
    from pulumi._types import input_type_py_to_pulumi_names

    names = input_type_py_to_pulumi_names(class_)
    constructor = inspect.getattr_static(class_, "__init__")
    scope = vars(importlib.import_module(class_.__module__))
    hints = typing.get_type_hints(constructor, scope, {"Output": pulumi.Output, "T": Any})
    result: dict[str, str] = {}
    for parameter in list(inspect.signature(constructor).parameters.values())[1:]:
        required = parameter.default is inspect.Parameter.empty
        name = names.get(parameter.name, parameter.name)
        result[name + ("!" if required else "")] = _type(hints[parameter.name], module, objects)
    return result


def text(objects: Objects) -> str:
    """Return a schema file's content, one object a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(objects[name], sort_keys=True)}" for name in sorted(objects)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _type(hint: Any, module: str, objects: Objects) -> str:
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return _choice(typing.get_args(hint), module, objects)
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return f"{{{_type(typing.get_args(hint)[1], module, objects)}}}"
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return f"[{_type(typing.get_args(hint)[0], module, objects)}]"
    if hint in _SCALARS:
        return _SCALARS[hint]
    if inspect.isclass(hint) and issubclass(hint, Enum):
        if module in _WITHOUT_ENUMS:
            return "string" if issubclass(hint, str) else "number"
        return f"<{';'.join(member.value for member in hint)}>" if issubclass(hint, str) else "number"
    if inspect.isclass(hint) and hint.__name__.endswith("Args"):
        key = f"{module}:{hint.__name__.removesuffix('Args')}*"  # a resource may have an object's name
        if key not in objects:
            objects[key] = {}  # an object may contain itself
            objects[key] = properties(hint, module, objects)
        return key
    return "any"


def _choice(hints: Sequence[Any], module: str, objects: Objects) -> str:
    """Return the value among an input's forms (value, awaitable, output, dictionary of the same)."""
    result: list[str] = []
    for hint in hints:
        origin = typing.get_origin(hint)
        name = getattr(origin or hint, "__name__", "")
        if (
            hint is type(None)
            or name in {"Awaitable", "Output"}
            or name.endswith("ArgsDict")
            or typing.is_typeddict(hint)
        ):
            continue
        if (form := _type(hint, module, objects)) not in result:
            result.append(form)
    if any(form.startswith("<") for form in result):
        # An enum that may grow is "a text or one of these": only the documented values are known.
        result = [form for form in result if form != "string"]
    return "any" if "any" in result or not result else "|".join(result)
