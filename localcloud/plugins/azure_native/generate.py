"""Writes schema.json: the inputs of every type in the table, read from the installed Python SDK's classes.

    python -m localcloud.plugins.azure_native.generate

A property's type is "string", "integer", "number", "boolean", "any", the name of an object, "A|B" for a choice of
them, "[T]" for a list and "{T}" for a map. A name that ends in "!" is required.
"""

from __future__ import annotations

import importlib
import inspect
import json
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from localcloud.plugins.azure_native.types import TYPES

SCHEMA_FILE = Path(__file__).with_name("schema.json")
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
Objects = dict[str, dict[str, str]]


def schema() -> Objects:
    """Properties by object; a resource's own inputs are under its token without "azure-native:"."""
    objects: Objects = {}
    for token in TYPES:
        module, class_name = token.split(":")
        package = importlib.import_module(f"pulumi_azure_native.{module}")
        # Where a resource is also a part of another, …Args are the part's inputs.
        arguments = getattr(package, f"{class_name}InitArgs", None) or getattr(package, f"{class_name}Args")
        objects[token] = _properties(arguments, module, objects)
    return dict(sorted(objects.items()))


def _properties(class_: type, module: str, objects: Objects) -> dict[str, str]:
    import pulumi
    from pulumi._types import input_type_py_to_pulumi_names

    names = input_type_py_to_pulumi_names(class_)
    constructor = inspect.getattr_static(class_, "__init__")
    scope = vars(importlib.import_module(class_.__module__))
    hints = typing.get_type_hints(constructor, scope, {"Output": pulumi.Output, "T": Any})
    found: dict[str, str] = {}
    for parameter in list(inspect.signature(constructor).parameters.values())[1:]:
        required = parameter.default is inspect.Parameter.empty
        name = names.get(parameter.name, parameter.name)
        found[name + ("!" if required else "")] = _type(hints[parameter.name], module, objects)
    return found


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
        return "string" if issubclass(hint, str) else "number"
    if inspect.isclass(hint) and hint.__name__.endswith("Args"):
        key = f"{module}:{hint.__name__.removesuffix('Args')}*"  # a resource may have an object's name
        if key not in objects:
            objects[key] = {}  # an object may contain itself
            objects[key] = _properties(hint, module, objects)
        return key
    return "any"


def _choice(hints: Sequence[Any], module: str, objects: Objects) -> str:
    """Of an input's forms (value, awaitable, output, dictionary of the same) the value is what counts."""
    found: list[str] = []
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
        if (one := _type(hint, module, objects)) not in found:
            found.append(one)
    return "any" if "any" in found or not found else "|".join(found)


def text() -> str:
    """The file's content, one object a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(properties, sort_keys=True)}" for name, properties in schema().items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
