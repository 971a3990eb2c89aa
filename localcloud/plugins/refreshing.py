"""Inputs after a refresh: what changed at the service since the last state, applied to the inputs of that state.

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


def same(one: Any, other: Any) -> bool:
    """Ids in any letter case, locations as display or canonical name."""
    if isinstance(one, str) and isinstance(other, str):
        return _plain(one) == _plain(other)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return all(same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def _changed(key: str, given: Any, before: Any, after: Any) -> Any:
    if isinstance(given, Secret):
        inner = _changed(key, given.value, before, after)
        return given if inner == given.value else Secret(inner)
    before, after = reveal(before), reveal(after)
    if key == _IDENTITIES and isinstance(given, list):
        return _identities(given, after)
    if same(before, after):
        return given
    if isinstance(given, dict) and isinstance(after, dict):
        old = before if isinstance(before, dict) else {}
        result = {
            name: _changed(name, value, old.get(name), after.get(name))
            for name, value in given.items()
            if name in after or name not in old  # what the service never shows stays; what it shows no more is gone
        }
        if key in _MAPS:
            result |= {name: value for name, value in after.items() if name not in given}
        return result
    if isinstance(given, list) and isinstance(after, list) and isinstance(before, list):
        if len(given) == len(after) == len(before):
            return [_changed("", *trio) for trio in zip(given, before, after, strict=True)]
        return after
    return after


def _identities(given: list[Any], after: Any) -> list[Any]:
    """A list of ids in Pulumi, an object of ids in ARM."""
    shown = after if isinstance(after, dict) else {}
    return given if {_plain(one) for one in given} == {_plain(one) for one in shown} else sorted(shown)


def _plain(text: str) -> str:
    return text.lower().replace(" ", "").rstrip("/")
