"""Inputs to ARM's path and body, and ARM's answer to outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.plugins import refreshing
from localcloud.plugins.azure_native import schema
from localcloud.plugins.azure_native.types import AzureType
from localcloud.plugins.errors import PluginError
from localcloud.plugins.values import INPUTS, Plain, Secret, conceal, reveal

_SECRET = re.compile(
    r"(?i)(password|secret|token|primaryKey|secondaryKey|sharedKey|connectionString|instrumentationKey|accountKey)$"
)
_NOT_INPUTS = frozenset({"id", "type", "name", "systemData", "etag", "azureApiVersion"})
_ELEMENT = frozenset({"name", "id", "etag", "type", "endpointType"})


def path_of(type_: AzureType, inputs: Mapping[str, Any], subscription: str) -> str:
    """Return the resource's id. Raises PluginError that names a missing part."""
    values = {**type_.fixed, "subscriptionId": subscription, **{key: value for key, value in inputs.items() if value}}
    missing = [name for name in type_.parameters if not values.get(name)]
    if missing:
        raise PluginError(f"missing required property '{missing[0]}'")
    return type_.template.format(**{name: str(values[name]).strip("/") for name in type_.parameters})


def body_of(type_: AzureType, inputs: Mapping[str, Any]) -> Plain:
    """ARM's body. Inputs of the path are not part of it."""
    body: Plain = {}
    properties: Plain = {}
    for key, value in inputs.items():
        if key in type_.parameters or value is None:
            continue
        target = properties if type_.flat and key not in type_.top else body
        target[type_.renames.get(key, key)] = _wrapped(key, _renamed(value, type_.renames, key), type_.wrapped)
    if type_.flat and (properties or "properties" not in body):
        body["properties"] = properties
    identity = body.get("identity")
    if isinstance(identity, dict) and isinstance(identity.get("userAssignedIdentities"), list):
        # A list of ids in Pulumi, an object of ids in ARM.
        body["identity"] = identity | {
            "userAssignedIdentities": {id_: {} for id_ in identity["userAssignedIdentities"]}
        }
    return body


def _renamed(value: Any, renames: Mapping[str, str], parent: str) -> Any:
    if isinstance(value, dict):
        return {
            renames.get(f"{parent}.{key}", renames.get(key, key)): _renamed(item, renames, key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_renamed(item, renames, parent) for item in value]
    return value


def _wrapped(key: str, value: Any, wrapped: frozenset[str]) -> Any:
    """Put the own inputs of elements and of objects into `properties`, where ARM has them."""
    if isinstance(value, dict):
        inner = {name: _wrapped(name, item, wrapped) for name, item in value.items()}
        return _element(inner) if key in wrapped and inner.keys() - _ELEMENT else inner
    if not isinstance(value, list):
        return value
    items = [_wrapped("", item, wrapped) for item in value]
    return [_element(item) for item in items] if key in wrapped else items


def _element(item: Plain) -> Plain:
    return {name: item[name] for name in _ELEMENT if name in item} | {
        "properties": {name: part for name, part in item.items() if name not in _ELEMENT}
    }


def _unwrapped(key: str, value: Any, wrapped: frozenset[str]) -> Any:
    """Undo _wrapped."""
    if isinstance(value, dict):
        inner = {name: _unwrapped(name, item, wrapped) for name, item in value.items()}
        return _flat(inner) if key in wrapped else inner
    if not isinstance(value, list):
        return value
    items = [_unwrapped("", item, wrapped) for item in value]
    return [_flat(item) for item in items] if key in wrapped else items


def _flat(item: Plain) -> Plain:
    return {name: part for name, part in item.items() if name != "properties"} | (item.get("properties") or {})


def outputs_of(type_: AzureType, answer: Plain, inputs: Plain, version: str) -> Plain:
    """Return the resource's outputs from ARM's answer, with secrets marked and the inputs added."""
    back = type_.answered
    outputs: Plain = {}
    for key, value in answer.items():
        if key == "properties" and type_.flat and isinstance(value, dict):
            for name, item in value.items():
                # Application Insights answers in PascalCase, which the SDK's outputs are not.
                own = back.get(name) or name[0].lower() + name[1:]
                outputs[own] = _unwrapped(name, _renamed(item, back, name), type_.wrapped)
        else:
            outputs[back.get(key, key)] = _renamed(value, back, key)
    outputs = {key: conceal(_marked(key, value), inputs.get(key)) for key, value in outputs.items() if key != "id"}
    return outputs | {"azureApiVersion": version, INPUTS: inputs}


def expected(inputs: Plain) -> Plain:
    """Return the outputs that a preview can know: identities are a list in requests and an object in answers."""
    return {key: value for key, value in inputs.items() if key != "identity"}


def _marked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _marked(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(key, item) for item in value]
    return Secret(value) if isinstance(value, str) and value and _SECRET.search(key) else value


def imported(type_: AzureType, id_: str, outputs: Plain) -> Plain:
    """Return inputs for a resource of others: all of its settable state, and the parts of its id."""
    inputs = {key: value for key, value in outputs.items() if key not in _NOT_INPUTS and key != INPUTS}
    identity = inputs.get("identity")
    if isinstance(identity, dict) and isinstance(identity.get("userAssignedIdentities"), dict):
        inputs["identity"] = identity | {"userAssignedIdentities": sorted(identity["userAssignedIdentities"])}
    settable: Plain = schema.SCHEMA.settable(type_.token, inputs)
    return settable | {name: value for name, value in path_inputs(type_, id_).items() if name not in type_.fixed}


def as_declared(type_: AzureType, inputs: Plain, outputs: Plain) -> bool:
    """Whether the resource already equals the inputs, as far as the service shows them."""
    own = {key: value for key, value in reveal(inputs).items() if key not in type_.parameters}
    return refreshing.as_shown(own, reveal(outputs))


def path_inputs(type_: AzureType, id_: str) -> Plain:
    """Return the path's inputs, read from an id. Raises PluginError when it is not of this type."""
    pattern = re.escape(type_.template).replace(r"\{", "{").replace(r"\}", "}")
    for name in type_.parameters:
        part = ".+" if name in {"scope", "resourceUri"} else "[^/]+"
        pattern = pattern.replace(f"{{{name}}}", f"(?P<{name}>{part})", 1)
    match = re.fullmatch(pattern, id_, re.IGNORECASE)
    if match is None:
        raise PluginError(f"'{id_}' is not an id of the form {type_.template}")
    parts = dict(match.groupdict())
    parts.pop("subscriptionId", None)
    for name in ("scope", "resourceUri"):
        if name in parts:
            parts[name] = "/" + parts[name].lstrip("/")
    return dict(parts)
