"""Pages of a list, and the checks of names and fields that all handlers share."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors

PAGE = 1000
"""The service's own page length, which it does not publish for most lists."""
_NAME = re.compile(r"[^./ \x00-\x1f\x7f]{1,255}")


def page(
    call: Call, items: Sequence[Json], key: str, name_of: Callable[[Json], str], *, size: str = "max_results",
    least: int = 1,
) -> Json:  # fmt: skip
    """Return one page of `items`, as {key: [...], next_page_token}: all without a size, the service's choice for 0.

    The token names the last item of its page, so that additions and deletions meanwhile move nothing else.
    """
    requested = call.number(size, -1) if size in call.parameters else None
    if requested is not None and (requested < 0 or 0 < requested < least):
        raise errors.invalid(f"{size} must be 0 or at least {least}, got {call.parameters[size]}.")
    ordered = sorted(items, key=name_of)
    if token := call.optional_text("page_token"):
        after = _opened(token)
        ordered = [item for item in ordered if name_of(item) > after]
    length = len(ordered) if requested is None else min(requested or PAGE, PAGE)
    result: Json = {key: ordered[:length]} if ordered else {}
    if len(ordered) > length:
        result["next_page_token"] = base64.urlsafe_b64encode(name_of(ordered[length - 1]).encode()).decode()
    return result


def _opened(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:  # not base64, not ASCII, or not UTF-8 once opened
        raise errors.invalid(f"Invalid page token: {token}") from None


def new_name(call: Call, rpc: str, field: str) -> str:
    """Return the name in the body, in lower case as Unity Catalog keeps names."""
    name = str(call.parameters.get("name") or "")
    if _NAME.fullmatch(name) is None:
        raise errors.bad_name(rpc, field, name)
    return name.lower()


def required(call: Call, rpc: str, field: str) -> str:
    value = call.parameters.get(field)
    if not isinstance(value, str) or not value:
        raise errors.required(rpc, field)
    return value


def fields(call: Call, operation: str, known: Mapping[str, type], ignored: Sequence[str] = ()) -> Json:
    """Return the checked fields of `known` in the body. Raises 501 for fields that would be ignored silently."""
    unknown = sorted(set(call.parameters) - known.keys() - set(ignored))
    if unknown:
        raise ServiceError(
            501, "NOT_IMPLEMENTED", f"localcloud does not emulate {operation} with {', '.join(unknown)}."
        )
    checked: dict[str, Any] = {}
    for name, kind in known.items():
        value = call.parameters.get(name)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise errors.invalid(f"Field '{name}' of {operation} must be of type {kind.__name__}, got {value!r}.")
        checked[name] = value
    return checked
