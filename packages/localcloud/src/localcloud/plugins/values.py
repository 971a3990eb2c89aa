"""Property values as plain Python: None, bool, int, float, str, list, dict, UNKNOWN, and Secret around any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime import rpc

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


def to_plain(value: PropertyValue) -> Any:
    """Whole numbers come back as int: JSON bodies must not say 30.0.

    The engine writes what is unknown as a string of its own, which the SDK's reader of values takes for a text.
    """
    inner = value.value
    plain: Any
    if isinstance(inner, Computed) or inner == rpc.UNKNOWN:
        plain = UNKNOWN
    elif isinstance(inner, Mapping):
        plain = {key: to_plain(item) for key, item in inner.items()}
    elif isinstance(inner, (list, tuple)):
        plain = [to_plain(item) for item in inner]
    elif isinstance(inner, float) and inner.is_integer():
        plain = int(inner)
    elif inner is None or isinstance(inner, (bool, float, str)):
        plain = inner
    else:
        raise TypeError(f"assets and resource references are not taken: {type(inner).__name__}")
    return Secret(plain) if value.is_secret else plain


def from_plain(value: Any) -> PropertyValue:
    """Undo to_plain."""
    if isinstance(value, Secret):
        return from_plain(value.value).with_secret(True)
    if value is UNKNOWN:
        return PropertyValue(rpc.UNKNOWN)
    if isinstance(value, Mapping):
        return PropertyValue({str(key): from_plain(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return PropertyValue([from_plain(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def plain_map(values: Mapping[str, PropertyValue]) -> Plain:
    return {key: to_plain(item) for key, item in values.items()}


def value_map(values: Mapping[str, Any]) -> dict[str, PropertyValue]:
    return {key: from_plain(item) for key, item in values.items()}


def reveal(value: Any) -> Any:
    """Without secret marks: for requests and comparisons."""
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
    """Whether anything in it is not known yet."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN
