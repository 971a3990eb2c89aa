"""Suggestions of existing names for an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_LISTED = 8


def hint(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the closest names, or the first of them where none is close."""
    names = list(known)
    if close := difflib.get_close_matches(name, names, n=2, cutoff=0.5):
        return f"Did you mean {' or '.join(close)}?"
    more = " …" if len(names) > _MOST_LISTED else ""
    return f"There are: {', '.join(names[:_MOST_LISTED]) or 'none'}{more}."
