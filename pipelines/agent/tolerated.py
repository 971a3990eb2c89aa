"""Differences that a refresh shows on Azure where nothing has changed: the reviewed list.

An entry is one property of one resource type, with the exact value that Azure fills in where the program declares
nothing. Anything else is drift: another value, another property, a value that the program does declare. To add an
entry, look at the resource on Azure, find the thread, and add the look-alikes to tests/unit/pipelines/test_drift.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"""\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)""")


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Any = _Absent()
"""The value of a property that is not there."""


@dataclass(frozen=True, kw_only=True)
class Tolerated:
    """`path` as Pulumi writes property paths, with `[*]` for any position; `there` is Azure's own value."""

    type: str
    path: str
    there: Any
    thread: str

    def covers(self, type_: str, path: str, there: Any, declared: Any) -> bool:
        """Whether the entry covers a difference: the program declares nothing there, and the value is Azure's own."""
        return (
            type_ == self.type
            and declared is ABSENT
            and _same(there, self.there)
            and _fits(parts(path), parts(self.path))
        )


_ISSUES = "https://github.com/pulumi/pulumi-azure-native/issues"
_BLOB_SERVICE = "azure-native:storage:BlobServiceProperties"
_CONTAINER = "azure-native:storage:BlobContainer"
_DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
_NO_RETENTION = {"days": 0, "enabled": False}

TOLERATED = (
    # Azure answers with an empty list of rules and the default of permanent deletion.
    Tolerated(type=_BLOB_SERVICE, path="cors", there={"corsRules": []}, thread=f"{_ISSUES}/1700"),
    Tolerated(
        type=_BLOB_SERVICE, path="deleteRetentionPolicy.allowPermanentDelete", there=False, thread=f"{_ISSUES}/1700"
    ),
    # Retention by a diagnostic setting is gone from Azure, but each log and metric still has a disabled one.
    Tolerated(type=_DIAGNOSTICS, path="logs[*].retentionPolicy", there=_NO_RETENTION, thread=f"{_ISSUES}/2798"),
    Tolerated(type=_DIAGNOSTICS, path="metrics[*].retentionPolicy", there=_NO_RETENTION, thread=f"{_ISSUES}/2798"),
    # Containers are encrypted by the account's own scope by default.
    Tolerated(type=_CONTAINER, path="defaultEncryptionScope", there="$account-encryption-key", thread=f"{_ISSUES}/627"),
    Tolerated(type=_CONTAINER, path="denyEncryptionScopeOverride", there=False, thread=f"{_ISSUES}/627"),
)


def parts(path: str) -> list[str | int]:
    """Return the names and positions of a property path: `logs[0].retentionPolicy`, `tags["a.b"]`."""
    elements: list[str | int] = []
    for quoted, position, name in _PART.findall(path):
        if position:
            elements.append(position if position == "*" else int(position))
        else:
            elements.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else name)
    return elements


def _fits(path: list[str | int], pattern: list[str | int]) -> bool:
    return len(path) == len(pattern) and all(
        part == expected or (expected == "*" and isinstance(part, int))
        for part, expected in zip(path, pattern, strict=True)
    )


def _same(value: Any, expected: Any) -> bool:
    """Equal, and of the same type: False is not 0."""
    if type(value) is not type(expected):
        # The engine writes whole numbers as 0 or 0.0.
        numbers = all(isinstance(number, int | float) and not isinstance(number, bool) for number in (value, expected))
        return numbers and bool(value == expected)
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(_same(value[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(_same, value, expected))
    return bool(value == expected)
