"""The names of routes in types.json."""

from __future__ import annotations

import re


def anonymous(path: str) -> str:
    """Return the path with "{}" for each of its parameters, without their names."""
    return re.sub(r"\{[^}]*\}", "{}", path)
