"""Filters of event subscriptions: checked when they are written, and applied to events.

Source: learn.microsoft.com/azure/event-grid/event-filtering (limits; advanced filters of text ignore letter case) and
the classes of pulumi_azure_native.eventgrid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json

_MOST_FILTERS, _MOST_VALUES = 25, 25
_LONGEST_VALUE = 512
_EVENT_TYPES = tuple(
    f"Microsoft.Storage.{name}"
    for name in (
        "BlobCreated", "BlobDeleted", "BlobRenamed", "BlobTierChanged", "BlobInventoryPolicyCompleted",
        "DirectoryCreated", "DirectoryDeleted", "DirectoryRenamed", "LifecyclePolicyCompleted",
        "AsyncOperationInitiated", "StorageTaskAssignmentCompleted", "StorageTaskAssignmentQueued",
    )
)  # fmt: skip
_Test = Callable[[str, Sequence[str]], bool]
_OPERATORS: dict[str, _Test] = {
    "StringIn": lambda text, values: text in values,
    "StringNotIn": lambda text, values: text not in values,
    "StringBeginsWith": lambda text, values: text.startswith(tuple(values)),
    "StringNotBeginsWith": lambda text, values: not text.startswith(tuple(values)),
    "StringEndsWith": lambda text, values: text.endswith(tuple(values)),
    "StringNotEndsWith": lambda text, values: not text.endswith(tuple(values)),
    "StringContains": lambda text, values: any(value in text for value in values),
    "StringNotContains": lambda text, values: not any(value in text for value in values),
}
_NOT_HERE = frozenset(
    {
        "BoolEquals", "IsNotNull", "IsNullOrUndefined", "NumberGreaterThan", "NumberGreaterThanOrEquals", "NumberIn",
        "NumberInRange", "NumberLessThan", "NumberLessThanOrEquals", "NumberNotIn", "NumberNotInRange",
    }
)  # fmt: skip


def invalid(message: str) -> ServiceError:
    """Return a refusal of Event Grid."""
    return ServiceError(400, "InvalidRequest", message)


def complete(requested: Json | None) -> Json:
    """Return a filter with its defaults. Raises ServiceError 400, or 501 for operators of other kinds of values."""
    content = dict(requested or {})
    if content.get("enableAdvancedFilteringOnArrays"):
        raise not_emulated("event subscriptions with enableAdvancedFilteringOnArrays")
    types = content.get("includedEventTypes")
    if types is not None:
        unknown = [name for name in types if name not in _EVENT_TYPES]
        if unknown:
            raise invalid(
                f"The event type '{unknown[0]}' is not one of the topic type Microsoft.Storage.StorageAccounts."
            )
    filters = list(content.get("advancedFilters") or [])
    if len(filters) > _MOST_FILTERS:
        raise invalid(f"The number of advanced filters, {len(filters)}, is more than the limit of {_MOST_FILTERS}.")
    for advanced in filters:
        _check(advanced)
    values = sum(len(advanced["values"]) for advanced in filters)
    if values > _MOST_VALUES:
        raise invalid(
            f"The number of values in all advanced filters, {values}, is more than the limit of {_MOST_VALUES}."
        )
    return {
        "subjectBeginsWith": content.get("subjectBeginsWith") or "",
        "subjectEndsWith": content.get("subjectEndsWith") or "",
        "includedEventTypes": types or list(_EVENT_TYPES),
        "isSubjectCaseSensitive": bool(content.get("isSubjectCaseSensitive")),
        "advancedFilters": filters,
    }


def _check(advanced: Json) -> None:
    operator, key, values = advanced.get("operatorType"), advanced.get("key"), advanced.get("values")
    if operator in _NOT_HERE:
        raise not_emulated(f"advanced filters with the operator {operator}")
    if operator not in _OPERATORS:
        raise invalid(f"The operatorType {operator!r:.60} of an advanced filter is not valid.")
    if not isinstance(key, str) or not key:
        raise invalid(f"An advanced filter with the operator {operator} has no key.")
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise invalid(f"The values of the advanced filter of '{key}' must be texts, at least one.")
    if any(len(value) > _LONGEST_VALUE for value in values):
        raise invalid(f"A value of the advanced filter of '{key}' has more than {_LONGEST_VALUE} characters.")


def passes(rule: Json, event: Json) -> bool:
    """Return whether an event passes a completed filter."""
    if event["eventType"] not in rule["includedEventTypes"]:
        return False
    subject, begin, end = event["subject"], rule["subjectBeginsWith"], rule["subjectEndsWith"]
    if not rule["isSubjectCaseSensitive"]:
        subject, begin, end = subject.lower(), begin.lower(), end.lower()
    if not subject.startswith(begin) or not subject.endswith(end):
        return False
    return all(_holds(advanced, event) for advanced in rule["advancedFilters"])


def _holds(advanced: Json, event: Json) -> bool:
    value: Any = event
    for part in advanced["key"].split("."):
        value = value.get(part) if isinstance(value, dict) else None
    values = [text.lower() for text in advanced["values"]]
    return _OPERATORS[advanced["operatorType"]](value.lower() if isinstance(value, str) else "", values)
