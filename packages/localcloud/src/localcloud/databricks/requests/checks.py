"""Refusals of requests that databricks-sdk's types do not allow (types.json, written by request_types.py).

Wrong types: Databricks parses a request before it resolves its references, and answers MALFORMED_REQUEST with "Could
not parse request object: …" (learn.microsoft.com, Data Factory troubleshooting guide, error 3202). Like its parser,
this one accepts numbers and booleans as text, and plain values in maps of text.

Values outside an enum: Databricks answers 200 and drops the value, so that a misspelled one silently becomes the
default (measured in apache/airflow#72148; databricks/terraform-provider-databricks#729). localcloud refuses them
instead, as the Terraform provider does before it sends anything.

Fields that the types do not have: Databricks drops them as well. At a request's top level each handler knows its
fields; below it such a field is answered with 501, since it would be dropped in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from localcloud.databricks.requests.names import anonymous

_DECIDED_BY_HANDLERS = frozenset({"catalog.Privilege", "iam.PermissionLevel", "jobs.JobPermissionLevel"})
"""Enums that are narrower for each kind of object, or wider at the service than in the SDK (databricks/cli#3821)."""
_EXCERPT_LENGTH = 200
"""Characters of a wrong value that an error message repeats."""


@dataclass(frozen=True)
class Fault:
    """A fault. `kind`: another JSON type, a value outside an enum, or a field that the types do not have."""

    kind: Literal["type", "enum", "unknown"]
    message: str


def first_fault(method: str, path: str, parameters: Mapping[str, Any], *, scim: bool = False) -> Fault | None:
    """Return the fault of a request, None without any.

    `path` is the route's, such as "permissions/{type}/{id}". SCIM has its own extensions (RFC 7643, 3.3): only the
    types of known fields are checked.
    """
    faults = _fields(_request(method, path), parameters, "", top=True)
    if scim:
        faults = (fault for fault in chain(faults, _patches(path, parameters)) if fault.kind == "type")
    return next(faults, None)


def _request(method: str, path: str) -> dict[str, str]:
    fields: dict[str, str] = known_types()["requests"].get(f"{method} {anonymous(path)}", {})
    return fields


def _patches(path: str, parameters: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults of a SCIM PATCH whose operations hold parts of the object (RFC 7644, 3.5.2)."""
    made_by = _request("POST", path.rpartition("/")[0])
    for operation in parameters.get("Operations") or []:
        if isinstance(operation.get("value"), dict):
            yield from _fields(made_by, operation["value"], "", top=True)


@cache
def known_types() -> Any:
    """Return the SDK's types of requests, objects and enums."""
    return json.loads(Path(__file__).with_name("types.json").read_text(encoding="utf-8"))


def _fields(fields: Mapping[str, str], value: Mapping[str, Any], where: str, *, top: bool = False) -> Iterator[Fault]:
    known = {name.rstrip("!"): type_ for name, type_ in fields.items()}
    for name, item in value.items():
        path = f"{where}.{name}" if where else name
        if name in known:
            yield from _value(known[name], item, path)
        elif not top and item is not None:
            yield Fault(
                "unknown", f"localcloud does not emulate the field {path}: databricks-sdk's type has none such."
            )


def _value(type_: str, value: Any, path: str) -> Iterator[Fault]:
    if value is None or type_ == "any":
        return
    types = known_types()
    if "|" in type_:
        forms = [list(_value(form, value, path)) for form in type_.split("|")]
        yield from min(forms, key=len)
    elif type_.startswith("["):
        yield from _list(type_[1:-1], value, path)
    elif type_.startswith("{"):
        yield from _map(type_[1:-1], value, path)
    elif type_ in types["enums"]:
        yield from _enum(type_, types["enums"][type_], value, path)
    elif type_ in types["objects"]:
        if isinstance(value, dict):
            yield from _fields(types["objects"][type_], value, path)
        else:
            yield _expected(path, "an object", value)
    else:
        yield from _scalar(type_, value, path)


def _list(element: str, value: Any, path: str) -> Iterator[Fault]:
    has_objects = element in known_types()["objects"]
    if not isinstance(value, list):
        yield _expected(path, "an array", value)
    elif has_objects and not all(isinstance(item, dict) for item in value):
        yield _expected(path, "an array of objects", value)
    else:
        for index, item in enumerate(value):
            yield from _value(element, item, f"{path}[{index}]")


def _map(element: str, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield _expected(path, "an object", value)
        return
    for key, item in value.items():
        if item is None:
            # The text: learn.microsoft.com, Data Factory's connector troubleshooting guide, error 3202.
            yield Fault(
                "type",
                f"Could not parse request object: Expected 'key' and 'value' to be set for JSON map field"
                f" {_name(path)}, got 'key: \"{key}\"' instead.",
            )
        elif element != "string":
            yield from _value(element, item, f"{path}.{key}")
        elif isinstance(item, (dict, list)):
            yield _expected(f"{path}.{key}", "a string", item)


def _enum(name: str, values: list[str], value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield _expected(path, "a string", value)
    elif name not in _DECIDED_BY_HANDLERS and value not in values and value != "":
        excerpt = f"{value[:_EXCERPT_LENGTH]!r}"
        yield Fault("enum", f"Invalid value {excerpt} for field {path}: must be one of {', '.join(values)}.")


def _scalar(type_: str, value: Any, path: str) -> Iterator[Fault]:
    if type_ == "string" and not isinstance(value, str):
        yield _expected(path, "a string", value)
    elif type_ == "integer" and (isinstance(value, bool) or re.fullmatch("-?[0-9]+", str(value)) is None):
        yield _expected(path, "a whole number", value)
    elif type_ == "number" and not _is_number(value):
        yield _expected(path, "a number", value)
    elif type_ == "boolean" and str(value).lower() not in {"true", "false"}:
        yield _expected(path, "true or false", value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _expected(path: str, expected: str, value: Any) -> Fault:
    excerpt = f"{value!r:.{_EXCERPT_LENGTH}}"
    return Fault("type", f"Could not parse request object: Expected '{_name(path)}' to be {expected}, got {excerpt}.")


def _name(path: str) -> str:
    """Return the field alone, as Databricks' parser names it."""
    return path.rpartition(".")[2]
