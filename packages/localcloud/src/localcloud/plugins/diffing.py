"""Differences between a resource's old and new inputs, and differences that need a new resource."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localcloud.plugins.requests import Change, DiffResponse
from localcloud.plugins.values import UNKNOWN, Plain, has_unknown, reveal

_INDEX = re.compile(r"\[\d+\]")


def diff(old: Plain, new: Plain, replaces: Callable[[str], bool], *, delete_first: bool) -> DiffResponse:
    """Return the differences, and which of them need a new resource.

    `replaces` decides for a path such as "sku.name" or "rules[].value" whether a change of it replaces the resource.
    An omitted former input does so too, as with both vendors (pulumi-azure-native, provider/pkg/provider/diff.go:
    DELETE_REPLACE; ForceNew in Terraform's schemas). An imported resource has all inputs that its service shows, also
    the service's own defaults (provider/pkg/provider/provider.go, Read). `delete_first`: a replacement has the old
    one's name, so that the old one must be deleted first.
    """
    result: dict[str, Change] = {}
    _compare("", reveal(old), reveal(new), result)
    changes: dict[str, Change] = {}
    replacing: list[str] = []
    for path, kind in result.items():
        if replaces(_INDEX.sub("[]", path)):
            replacing.append(re.split(r"[.\[]", path, maxsplit=1)[0])
            kind = _REPLACE[kind]
        changes[path] = kind
    return DiffResponse(
        changes=changes,
        replaces=sorted(set(replacing)),
        changed=sorted({re.split(r"[.\[]", path, maxsplit=1)[0] for path in result}),
        delete_before_replace=bool(replacing) and delete_first,
    )


_REPLACE = {
    Change.ADD: Change.ADD_REPLACE,
    Change.DELETE: Change.DELETE_REPLACE,
    Change.UPDATE: Change.UPDATE_REPLACE,
}


def _compare(path: str, old: Any, new: Any, differences: dict[str, Change]) -> None:
    if new is UNKNOWN:
        differences[path] = Change.UPDATE
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{path}.{key}" if path else key
            if key not in new or (new[key] is None and old.get(key) is not None):
                if old[key] is not None:
                    differences[inner] = Change.DELETE
            elif key not in old or old[key] is None:
                if new[key] is not None:
                    differences[inner] = Change.ADD
            else:
                _compare(inner, old[key], new[key], differences)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            _compare(f"{path}[{index}]", *pair, differences)
    elif old != new or has_unknown(new):
        differences[path] = Change.UPDATE
