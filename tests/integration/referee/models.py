"""Request bodies against the model classes of Azure's clients, which are generated from Azure's API description.

Two styles of models are in use: models with `rest_field` (azure.core's generator since 2024), whose annotations hold
the types, and msrest's, with `_attribute_map`, `_validation` and enums in the annotations of `__init__`.
"""

from __future__ import annotations

import datetime
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Kind = typing.Literal["unknown", "required", "read-only", "enum", "type", "pattern", "length", "range"]
_SCALARS: Mapping[Any, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}
_MSREST = {
    "str": str, "int": int, "long": int, "float": float, "bool": bool, "iso-8601": str, "duration": str, "object": Any,
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Fault at `path` of a body."""

    path: str
    kind: Kind
    detail: str

    def __str__(self) -> str:
        return f"{self.path or 'body'}: {self.kind}: {self.detail}"


@dataclass(frozen=True, kw_only=True)
class Field:
    """`type_` is a class, an Enum, a typing form (list[T], dict[str, T], Union[…]), or Nested."""

    type_: Any
    required: bool = False
    read_only: bool = False
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Nested:
    """An object that msrest's models flatten into their own attributes."""

    fields: Mapping[str, Field]


def find(model: str) -> type:
    """Return the class of "azure.mgmt.storage.models.BlobContainer"."""
    module, _, name = model.rpartition(".")
    class_: type = getattr(importlib.import_module(module), name)
    return class_


def findings(model: type, body: Any, path: str = "") -> Iterator[Finding]:
    """Yield each difference between `body` and `model`."""
    if not isinstance(body, dict):
        yield Finding(path, "type", f"{model.__name__} is an object, got {body!r:.80}")
        return
    model = _variant(model, body)
    fields, is_open = (_rest_fields(model), False) if hasattr(model, "_deserialize") else _msrest_fields(model)
    yield from _object(fields, body, path, is_open=is_open)


def _object(fields: Mapping[str, Field], body: Mapping[str, Any], path: str, *, is_open: bool) -> Iterator[Finding]:
    for name, known in fields.items():
        if known.required and not known.read_only and body.get(name) is None:
            yield Finding(_join(path, name), "required", "is missing")
    for name, value in body.items():
        here = _join(path, name)
        known_field = fields.get(name)
        if known_field is None:
            if not is_open:
                yield Finding(here, "unknown", f"there are {', '.join(sorted(fields))}")
        elif known_field.read_only:
            yield Finding(here, "read-only", "only the service sets it")
        elif value is not None:
            yield from _value(known_field.type_, value, here)
            yield from _rules(known_field.rules, value, here)


def _value(type_: Any, value: Any, path: str) -> Iterator[Finding]:
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if isinstance(type_, Nested):
        if isinstance(value, dict):
            yield from _object(type_.fields, value, path, is_open=False)
        else:
            yield Finding(path, "type", f"an object, got {value!r:.80}")
    elif origin is typing.Union:
        yield from _choice([form for form in arguments if form is not type(None)], value, path)
    elif origin is list:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _value(arguments[0], item, f"{path}[{index}]")
        else:
            yield Finding(path, "type", f"a list, got {value!r:.80}")
    elif origin is dict:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from _value(arguments[1], item, _join(path, key))
        else:
            yield Finding(path, "type", f"an object, got {value!r:.80}")
    elif inspect.isclass(type_) and issubclass(type_, Enum):
        values = [str(member.value) for member in type_]
        if str(value) not in values:
            yield Finding(path, "enum", f"{value!r} is none of {', '.join(values)}")
    elif type_ in _SCALARS:
        if not isinstance(value, _SCALARS[type_]) or (isinstance(value, bool) and type_ is not bool):
            yield Finding(path, "type", f"{type_.__name__}, got {value!r:.80}")
    elif inspect.isclass(type_) and type_.__module__.startswith("azure."):
        yield from findings(type_, value, path)


def _choice(forms: list[Any], value: Any, path: str) -> Iterator[Finding]:
    """Compare with an open enum, text or an enum; the enum's values are the documented ones."""
    enums = [form for form in forms if inspect.isclass(form) and issubclass(form, Enum)]
    forms = enums or forms
    yield from min((list(_value(form, value, path)) for form in forms), key=len)


def _rules(rules: Mapping[str, Any], value: Any, path: str) -> Iterator[Finding]:
    if isinstance(value, (str, list)):
        if (least := rules.get("min_length") or rules.get("min_items")) is not None and len(value) < least:
            yield Finding(path, "length", f"{len(value)}, at least {least}")
        if (most := rules.get("max_length") or rules.get("max_items")) is not None and len(value) > most:
            yield Finding(path, "length", f"{len(value)}, at most {most}")
    if isinstance(value, str) and "pattern" in rules and not re.search(rules["pattern"], value):
        yield Finding(path, "pattern", f"{value!r} does not match {rules['pattern']}")
    elif isinstance(value, (int, float)) and not rules.get("minimum", value) <= value <= rules.get("maximum", value):
        yield Finding(path, "range", f"{value} is not in {rules.get('minimum')} to {rules.get('maximum')}")


def _variant(model: type, body: Mapping[str, Any]) -> type:
    """Return the subclass that a discriminator of the body names."""
    for name, field_ in _raw_rest_fields(model).items():
        if getattr(field_, "_is_discriminator", False):
            chosen = getattr(model, "__mapping__", {}).get(body.get(name))
            if chosen is not None and chosen is not model:
                return _variant(chosen, body)
    for attribute, names in vars(model).get("_subtype_map", {}).items():
        key = model._attribute_map[attribute]["key"].replace("\\.", ".")  # type: ignore[attr-defined]
        if (name := names.get(body.get(key))) is not None:
            return _variant(getattr(_models_of(model), name), body)
    return model


def _models_of(model: type) -> Any:
    return sys.modules[model.__module__.rpartition(".")[0]]


def _raw_rest_fields(model: type) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for class_ in reversed(model.__mro__):
        for name, value in vars(class_).items():
            if type(value).__name__ == "_RestField":
                properties[value._rest_name_input or name] = value
    return properties


def _rest_fields(model: type) -> dict[str, Field]:
    names = {"_models": _models_of(model), "datetime": datetime}
    hints = typing.get_type_hints(model, localns=names)
    fields: dict[str, Field] = {}
    for class_ in reversed(model.__mro__):
        for attribute, value in vars(class_).items():
            if type(value).__name__ == "_RestField":
                hint = hints[attribute]
                required = type(None) not in typing.get_args(hint) and hint is not Any
                read_only = value._visibility == ["read"]
                fields[value._rest_name_input or attribute] = Field(type_=hint, required=required, read_only=read_only)
    return fields


def _msrest_fields(model: type) -> tuple[dict[str, Field], bool]:
    """Return the fields by wire name, and whether others are allowed."""
    tree: dict[str, Any] = {}
    is_open = False
    for attribute, mapping in model._attribute_map.items():  # type: ignore[attr-defined]
        if not mapping["key"]:
            is_open = True
            continue
        rules = getattr(model, "_validation", {}).get(attribute, {})
        *parents, name = (part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", mapping["key"]))
        holder = tree
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[name] = Field(
            type_=_msrest_type(model, attribute, mapping["type"]), required=rules.get("required", False),
            read_only=rules.get("readonly", False), rules=rules,
        )  # fmt: skip
    return _nested(tree), is_open


def _nested(tree: Mapping[str, Any]) -> dict[str, Field]:
    return {
        name: value if isinstance(value, Field) else Field(
            type_=Nested(inner := _nested(value)), required=any(part.required and not part.read_only
                                                                for part in inner.values()),
        )
        for name, value in tree.items()
    }  # fmt: skip


def _msrest_type(model: type, attribute: str, written: str) -> Any:
    if written.startswith("["):
        return list[_msrest_type(model, attribute, written[1:-1])]  # type: ignore[misc]
    if written.startswith("{"):
        return dict[str, _msrest_type(model, attribute, written[1:-1])]  # type: ignore[misc]
    models = _models_of(model)
    if written == "str" and (enum := _enum_of(model, attribute)) is not None:
        return getattr(models, enum)
    return _MSREST.get(written) or getattr(models, written, Any)


def _enum_of(model: type, attribute: str) -> str | None:
    """Return the enum in a constructor argument's annotation such as Optional[Union[str, "_models.LockLevel"]]."""
    for class_ in model.__mro__:
        parameter = inspect.signature(class_).parameters.get(attribute) if class_ is not object else None
        if parameter is not None:
            match = re.search(r"Union\[str, ['\"]?(?:ForwardRef\(')?_models\.(\w+)", str(parameter.annotation))
            return None if match is None else match[1]
    return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
