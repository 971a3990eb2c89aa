"""Check of a resource's inputs by its type: unknown, missing and mistyped ones by path.

The types are from a schema file (localcloud/plugins/sdk_types.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from localcloud.plugins.values import UNKNOWN, Plain, Secret, reveal

Failure = tuple[str, str]
_NAMES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
_SCALARS = {"string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float)}


@dataclass(frozen=True)
class Schema:
    """Content of a schema file, read when it is first needed."""

    file: Path

    @cached_property
    def _objects(self) -> dict[str, dict[str, str]]:
        objects: dict[str, dict[str, str]] = json.loads(self.file.read_text(encoding="utf-8"))
        return objects

    def failures(self, token: str, inputs: Plain) -> list[Failure]:
        """Return (path, reason) of each fault in the inputs of a resource type. Unknown values count as right."""
        return list(self._object(token, reveal(inputs), ""))

    def settable(self, token: str, values: Plain) -> Plain:
        """Return the outputs of a resource that its type accepts as inputs."""
        settable_values: Plain = self._taken(token, values)
        return settable_values

    def _taken(self, type_: str, value: Any) -> Any:
        if isinstance(value, Secret):
            return Secret(self._taken(type_, value.value))
        if isinstance(value, list) and type_[0] == "[":
            return [self._taken(type_[1:-1], item) for item in value]
        if not isinstance(value, dict) or type_[0] == "{":
            return value
        # Of several forms the largest one is used.
        forms = [self._objects[form] for form in type_.split("|") if form in self._objects]
        taken = [
            {key: self._taken(known[key], value[key]) for key in value if key in known}
            for known in ({key.rstrip("!"): inner for key, inner in form.items()} for form in forms)
        ]
        return max(taken, key=len, default=value)

    def _object(self, name: str, value: Plain, path: str) -> Iterator[Failure]:
        properties = self._objects[name]
        known = {key.rstrip("!") for key in properties}
        for key in value:
            if key not in known:
                yield _join(path, key), f"unknown property '{_join(path, key)}'; there are: {', '.join(sorted(known))}"
        for key, type_ in properties.items():
            here, item = _join(path, key.rstrip("!")), value.get(key.rstrip("!"))
            if item is None or item == "":
                if key.endswith("!"):
                    yield here, f"missing required property '{here}'"
            else:
                yield from self._value(type_, item, here)

    def _value(self, type_: str, value: Any, path: str) -> Iterator[Failure]:
        if type_ == "any" or value is UNKNOWN or value is None:
            return
        if type_[0] == "[" and isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._value(type_[1:-1], item, f"{path}[{index}]")
        elif type_[0] == "{" and isinstance(value, dict):
            for key, item in value.items():
                yield from self._value(type_[1:-1], item, _join(path, key))
        elif "|" in type_ and type_[0] not in "[{":
            # The form with the best fit counts as the intended one.
            yield from min((list(self._value(form, value, path)) for form in type_.split("|")), key=len)
        elif type_ in _SCALARS:
            if not isinstance(value, _SCALARS[type_]) or (isinstance(value, bool) and type_ != "boolean"):
                yield path, f"'{path}' should be of type '{type_}' but got '{_NAMES[type(value)]}'"
        elif type_[0] == "<" and isinstance(value, str):
            if value not in (allowed := type_[1:-1].split(";")):
                yield path, f"'{path}' should be one of {', '.join(allowed)} but got '{value}'"
        elif type_[0] not in "[{<" and isinstance(value, dict):
            yield from self._object(type_, value, path)
        else:
            expected = {"[": "array", "<": "string"}.get(type_[0], "object")
            yield path, f"'{path}' should be of type '{expected}' but got '{_NAMES[type(value)]}'"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
