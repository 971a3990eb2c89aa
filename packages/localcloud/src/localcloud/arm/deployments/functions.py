"""The functions of template expressions that need nothing but their arguments.

learn.microsoft.com/azure/azure-resource-manager/templates/template-functions
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.arm.deployments.expressions import invalid

_GUID_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
"""Namespace of guid() (learn.microsoft.com, Bicep string functions): UUIDs of version 5 over arguments and hyphens."""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else str(value)


def _concat(*parts: Any) -> Any:
    if parts and all(isinstance(value, list) for value in parts):
        return [item for part in parts for item in part]
    return "".join(_text(value) for value in parts)


def _format(pattern: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)(?::[^}]*)?\}", lambda placeholder: _text(values[int(placeholder[1])]), pattern)


def unique_string(*parts: Any) -> str:
    """13 letters and digits that follow from the arguments, as on Azure; they are others than Azure's."""
    digest = hashlib.sha256("-".join(_text(part) for part in parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:13]


def _guid(*parts: Any) -> str:
    return str(uuid.uuid5(_GUID_NAMESPACE, "-".join(_text(part) for part in parts)))


def _equals(first: Any, other: Any) -> bool:
    return type(first) is type(other) and first == other


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _contains(container: Any, item: Any) -> bool:
    if isinstance(container, dict):
        return any(str(key).lower() == str(item).lower() for key in container)
    return item in container if isinstance(container, list) else _text(item) in str(container)


def _union(*parts: Any) -> Any:
    if all(isinstance(value, dict) for value in parts):
        merged: dict[str, Any] = {}
        for part in parts:
            merged |= part
        return merged
    items: list[Any] = []
    for part in parts:
        items += [item for item in part if item not in items]
    return items


def _bool(value: Any) -> bool:
    if isinstance(value, bool | int):
        return bool(value)
    if str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    raise invalid(f"The value '{value}' of bool() is neither true nor false")


def _create_object(*parts: Any) -> dict[str, Any]:
    return {str(key): value for key, value in zip(parts[::2], parts[1::2], strict=True)}


def _first(value: Any) -> Any:
    return value[0] if value else ("" if isinstance(value, str) else None)


def _last(value: Any) -> Any:
    return value[-1] if value else ("" if isinstance(value, str) else None)


def _split(text: str, separators: str | list[str]) -> list[str]:
    delimiters = [separators] if isinstance(separators, str) else separators
    return re.split("|".join(re.escape(delimiter) for delimiter in delimiters), text)


PURE: Mapping[str, Callable[..., Any]] = {
    "concat": _concat, "format": _format, "uniquestring": unique_string, "guid": _guid, "equals": _equals,
    "empty": _empty, "contains": _contains, "union": _union, "bool": _bool, "createobject": _create_object,
    "first": _first, "last": _last, "split": _split, "string": _text, "not": lambda value: not value,
    "json": json.loads, "int": int, "true": lambda: True, "false": lambda: False, "null": lambda: None,
    "tolower": lambda text: str(text).lower(), "toupper": lambda text: str(text).upper(),
    "trim": lambda text: str(text).strip(), "length": len, "createarray": lambda *items: list(items),
    "array": lambda value: value if isinstance(value, list) else [value],
    "replace": lambda text, old, new: str(text).replace(old, new),
    "substring": lambda text, start, count=None: text[start:] if count is None else text[start : start + count],
    "take": lambda value, count: value[:count], "skip": lambda value, count: value[count:],
    "join": lambda items, separator: separator.join(_text(item) for item in items),
    "startswith": lambda text, part: str(text).lower().startswith(str(part).lower()),
    "endswith": lambda text, part: str(text).lower().endswith(str(part).lower()),
    "add": lambda left, other: left + other, "sub": lambda left, other: left - other,
    "mul": lambda left, other: left * other, "div": lambda left, other: left // other,
    "mod": lambda left, other: left % other, "less": lambda left, other: left < other,
    "lessorequals": lambda left, other: left <= other, "greater": lambda left, other: left > other,
    "greaterorequals": lambda left, other: left >= other, "min": min, "max": max,
    "range": lambda start, count: list(range(start, start + count)),
    "base64": lambda text: base64.b64encode(str(text).encode()).decode(),
    "base64tostring": lambda text: base64.b64decode(text).decode(),
    "objectkeys": list, "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
}  # fmt: skip


def resource_id(root: str, type_: str, names: tuple[Any, ...]) -> str:
    """`root` is the id of the resource's container, empty for a tenant's."""
    namespace, *kinds = type_.split("/")
    if len(kinds) != len(names) or not kinds:
        raise invalid(
            f"Unable to evaluate template language function 'resourceId': the type '{type_}' requires "
            f"'{len(kinds)}' resource name argument(s), not {len(names)}"
        )
    tail = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, names, strict=True))
    return f"{root}/providers/{namespace}/{tail}"
