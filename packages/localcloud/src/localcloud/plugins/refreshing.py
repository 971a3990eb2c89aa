"""Inputs after a refresh: the service's changes since the last state, applied to the inputs of that state.

Comparing the service's answers with each other, rather than with the inputs, keeps its own forms and defaults out.
"""

from __future__ import annotations

from typing import Any

from localcloud.plugins.values import Plain, Secret, reveal

_MAPS = frozenset({"tags", "metadata"})
"""Their keys are the user's own: a new one is a change too."""
_IDENTITIES = "userAssignedIdentities"


def refreshed(inputs: Plain, before: Plain, after: Plain) -> Plain:
    """`before` and `after`: the old and the new outputs."""
    return {key: _changed(key, value, before.get(key), after.get(key)) for key, value in inputs.items()} | {
        key: after[key] for key in _MAPS if key not in inputs and reveal(after.get(key) or {}) and not before.get(key)
    }


def as_shown(inputs: Plain, actual: Plain) -> bool:
    """Whether a resource equals the inputs, as far as the service shows them."""
    return bool(_projected(inputs, actual) == inputs)


def same(first: Any, other: Any) -> bool:
    """Ids in any letter case, locations as display or canonical name."""
    if isinstance(first, str) and isinstance(other, str):
        return _plain(first) == _plain(other)
    if isinstance(first, list) and isinstance(other, list) and len(first) == len(other):
        return all(same(*pair) for pair in zip(first, other, strict=True))
    if isinstance(first, dict) and isinstance(other, dict):
        return first.keys() == other.keys() and all(same(first[key], other[key]) for key in first)
    return bool(first == other)


def _changed(key: str, input_value: Any, before: Any, after: Any) -> Any:
    if isinstance(input_value, Secret):
        inner = _changed(key, input_value.value, before, after)
        return input_value if inner == input_value.value else Secret(inner)
    before, after = reveal(before), reveal(after)
    if key == _IDENTITIES and isinstance(input_value, list):
        return _identities(input_value, after)
    if same(before, after):
        return input_value
    if isinstance(input_value, dict) and isinstance(after, dict):
        old = before if isinstance(before, dict) else {}
        result = {
            name: _changed(name, value, old.get(name), after.get(name))
            for name, value in input_value.items()
            if name in after or name not in old  # hidden values stay; values that are no longer shown are removed
        }
        if key in _MAPS:
            result |= {name: value for name, value in after.items() if name not in input_value}
        return result
    if isinstance(input_value, list) and isinstance(after, list) and isinstance(before, list):
        if len(input_value) == len(after) == len(before):
            return [_changed("", *trio) for trio in zip(input_value, before, after, strict=True)]
        return after
    return after


def _identities(assigned: list[Any], after: Any) -> list[Any]:
    """Return ids as Pulumi has them, a list, from ARM's object."""
    identities = after if isinstance(after, dict) else {}
    return (
        assigned if {_plain(item) for item in assigned} == {_plain(item) for item in identities} else sorted(identities)
    )


def _plain(text: str) -> str:
    return text.lower().replace(" ", "").rstrip("/")


def _projected(old: Any, actual: Any) -> Any:
    """`old` where `actual` is the same in the service's own form, or leaves it out; else `actual`."""
    if isinstance(old, Secret) or actual is None:
        return old
    if isinstance(actual, Secret):
        return _projected(old, actual.value)
    if isinstance(old, dict) and isinstance(actual, dict):
        return {key: _projected(value, actual.get(key)) for key, value in old.items()}
    if isinstance(old, list):
        if isinstance(actual, dict):  # userAssignedIdentities
            actual = list(actual)
        if isinstance(actual, list) and len(actual) == len(old):
            return _matched(old, actual)
        return actual
    if isinstance(old, str) and isinstance(actual, str):
        return old if _plain(old) == _plain(actual) else actual
    if isinstance(old, str) and isinstance(actual, (int, float)) and str(actual) == old:
        return old
    return old if old == actual else actual


def _matched(old: list[Any], actual: list[Any]) -> list[Any]:
    """Compare element by element; scalars in any order."""
    if all(isinstance(item, str) for item in [*old, *actual]) and {_plain(o) for o in old} == {
        _plain(s) for s in actual
    }:
        return old
    return [_projected(first, other) for first, other in zip(old, actual, strict=True)]
