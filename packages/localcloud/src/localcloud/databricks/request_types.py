"""Writes types.json: the fields of every request that localcloud answers, read from the installed databricks-sdk.

    python -m localcloud.databricks.request_types

The SDK is generated from Databricks' own API description. A method of its clients names the route in its call of
`_api.do`, the fields in `body["…"] = …` and `query["…"] = …`, and their types in its signature. A type is written as
"string", "integer", "number", "boolean", "any", the name of an object or enum ("compute.DiskSpec"), "[T]" for a list,
"{T}" for a map, and "A|B" where two methods share a route. A name with "!" at its end is required.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from localcloud.databricks.requests.names import anonymous

TYPES_FILE = Path(__file__).parent / "requests" / "types.json"
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
_VERSION = re.compile(r"/api/2\.\d+/")
Fields = dict[str, str]


@dataclasses.dataclass
class Types:
    """`requests` by "METHOD path" with "{}" for each parameter; `objects` and `enums` by module and class name."""

    requests: dict[str, Fields] = dataclasses.field(default_factory=dict)
    objects: dict[str, Fields] = dataclasses.field(default_factory=dict)
    enums: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def text(self) -> str:
        """Return the file's content, one request, object or enum a line."""
        parts = []
        for name, entries in dataclasses.asdict(self).items():
            lines = [f"{json.dumps(key)}: {json.dumps(entries[key], sort_keys=True)}" for key in sorted(entries)]
            parts.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
        return "{\n" + ",\n".join(parts) + "\n}\n"


def types(routes: typing.Iterable[tuple[str, str]]) -> Types:
    """Return the types of `routes`: method and path below /api/2.x, as localcloud.databricks.routes has them."""
    requested = {f"{method} {anonymous(path)}" for method, path in routes}
    collected = Types()
    for module in _service_modules():
        for method in _client_methods(module):
            _add_request(collected, requested, module, method)
    return collected


def _service_modules() -> Iterator[ModuleType]:
    package = importlib.import_module("databricks.sdk.service")
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{package.__name__}.{info.name}")


def _client_methods(module: ModuleType) -> Iterator[Any]:
    for name, class_ in vars(module).items():
        if inspect.isclass(class_) and name.endswith("API") and class_.__module__ == module.__name__:
            yield from (method for method in vars(class_).values() if inspect.isfunction(method))


def _add_request(collected: Types, wanted: set[str], module: ModuleType, method: Any) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    route = _route(tree)
    if route not in wanted:
        return
    hints = typing.get_type_hints(method, vars(module))
    parameters = inspect.signature(method).parameters
    fields = collected.requests.setdefault(route, {})
    for name, argument in _assignments(tree, parameters):
        type_ = _type(hints[argument], collected)
        required = parameters[argument].default is inspect.Parameter.empty
        _merge(fields, name, type_, required=required)


def _route(tree: ast.AST) -> str | None:
    """Return "METHOD path" of the method's request, None for methods without one."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "do":
            continue
        match node.args:
            case [ast.Constant(value=str(verb)), path, *_] if (text := _path(path)) is not None:
                return f"{verb} {text}"
    return None


def _path(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        whole = str(node.value)
    elif isinstance(node, ast.JoinedStr):
        whole = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    else:
        return None
    match = _VERSION.match(whole)
    return None if match is None else whole[match.end() :]


def _assignments(tree: ast.AST, parameters: typing.Container[str]) -> Iterator[tuple[str, str]]:
    """Yield each field of body or query with the argument that its value comes from."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not isinstance(target := node.targets[0], ast.Subscript):
            continue
        holder, key = target.value, target.slice
        if isinstance(holder, ast.Name) and holder.id in {"body", "query"} and isinstance(key, ast.Constant):
            names = [part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)]
            argument = next((name for name in names if name in parameters), None)
            if argument is not None:
                yield str(key.value), argument


def _merge(fields: Fields, name: str, type_: str, *, required: bool) -> None:
    """Add a field. Where two methods share the route, the field has either type, and is required if both require it."""
    known = next((key for key in (name, f"{name}!") if key in fields), None)
    if known is not None:
        type_ = "|".join(dict.fromkeys([*fields.pop(known).split("|"), type_]))
        required = required and known.endswith("!")
    fields[name + ("!" if required else "")] = type_


def _type(hint: Any, collected: Types) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        forms = [_type(form, collected) for form in arguments if form is not type(None)]
        return forms[0] if len(forms) == 1 else "any"
    if origin is list:
        return f"[{_type(arguments[0], collected)}]"
    if origin is dict:
        return f"{{{_type(arguments[1], collected)}}}"
    if hint in _SCALARS:
        return _SCALARS[hint]
    if not inspect.isclass(hint):
        return "any"
    name = f"{hint.__module__.rpartition('.')[2]}.{hint.__name__}"
    if issubclass(hint, Enum):
        collected.enums[name] = [str(member.value) for member in hint]
        return name
    if not dataclasses.is_dataclass(hint):
        return "any"
    if name not in collected.objects:
        collected.objects[name] = {}  # an object may contain itself
        collected.objects[name] = _object(hint, collected)
    return name


def _object(class_: type, collected: Types) -> Fields:
    """Return the fields of a dataclass by the names that its `as_dict` writes."""
    hints = typing.get_type_hints(class_)
    attributes = {field.name: field for field in dataclasses.fields(class_)}
    tree = ast.parse(textwrap.dedent(inspect.getsource(class_.as_dict)))  # type: ignore[attr-defined]
    fields: Fields = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Subscript):
            key = target.slice
            read = [part.attr for part in ast.walk(node.value) if isinstance(part, ast.Attribute)]
            attribute = next((name for name in read if name in attributes), None)
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and attribute is not None:
                required = attributes[attribute].default is dataclasses.MISSING
                fields[key.value + ("!" if required else "")] = _type(hints[attribute], collected)
    return fields


if __name__ == "__main__":
    from localcloud.databricks.routes import ROUTES

    TYPES_FILE.write_text(types(ROUTES).text(), encoding="utf-8")
