"""Property values as plain Python: None, bool, int, float, str, list, dict, UNKNOWN, and Secret around any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, Struct, Value  # type: ignore[import-untyped]

Plain = dict[str, Any]


class _Unknown:
    def __repr__(self) -> str:
        return "<unknown>"


INPUTS: Final = "__inputs"
"""The output under which azure-native keeps the last inputs, to compare with: the service answers in another form."""
UNKNOWN: Final = _Unknown()
"""An output of something that does not exist yet: seen in previews only."""


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in state."""

    value: Any


# The engine and the SDKs agree on these (pulumi/pulumi sdk/go/common/resource/sig and plugin/rpc.go).
_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_KIND = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNTAKEN = {
    "c44067f5952c0a294b673a41bacd8c17": "asset",
    "0def7320c3a5731c473e5ecbe6d01bc7": "archive",
    "5cf8f73096256a8f31e491e813e4eb8e": "resource reference",
}


def from_struct(struct: Any) -> Plain:
    """Return a message's values. Raises TypeError for assets and resource references."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def to_struct(values: Mapping[str, Any]) -> Any:
    """Undo from_struct."""
    return Struct(fields={str(key): _to_value(value) for key, value in values.items()})


def _from_value(value: Any) -> Any:
    """Whole numbers are returned as int: JSON bodies must not have 30.0."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text == _UNKNOWN_TEXT else text
    if kind == "struct_value":
        fields = value.struct_value.fields
        return _special(fields) if _KIND in fields else {key: _from_value(item) for key, item in fields.items()}
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None


def _special(fields: Any) -> Any:
    kind = fields[_KIND].string_value
    if kind == _SECRET:
        return Secret(_from_value(fields["value"]))
    if kind == _OUTPUT:
        plain = _from_value(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(plain) if "secret" in fields and fields["secret"].bool_value else plain
    raise TypeError(f"assets and resource references are not taken: {_UNTAKEN.get(kind, kind)}")


def _to_value(value: Any) -> Any:
    if value is None:
        return Value(null_value=0)
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, (int, float)):
        return Value(number_value=value)
    if isinstance(value, Secret):
        return Value(struct_value=Struct(fields={_KIND: Value(string_value=_SECRET), "value": _to_value(value.value)}))
    if value is UNKNOWN:
        return Value(string_value=_UNKNOWN_TEXT)
    if isinstance(value, Mapping):
        return Value(struct_value=to_struct(value))
    if isinstance(value, (list, tuple)):
        return Value(list_value=ListValue(values=[_to_value(item) for item in value]))
    raise TypeError(f"a value of a kind that the engine does not have: {type(value).__name__}")


def reveal(value: Any) -> Any:
    """Return the values without secret marks: for requests and comparisons."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def conceal(value: Any, inputs: Any) -> Any:
    """`value`, secret wherever `inputs` is."""
    if isinstance(inputs, Secret):
        return value if isinstance(value, Secret) else Secret(value)
    if isinstance(value, dict) and isinstance(inputs, dict):
        return {key: conceal(item, inputs.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(inputs, list) and len(value) == len(inputs):
        return [conceal(item, part) for item, part in zip(value, inputs, strict=True)]
    return value


def has_unknown(value: Any) -> bool:
    """Return whether any value in it is unknown yet."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN
