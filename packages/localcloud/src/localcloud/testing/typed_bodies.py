"""Bodies for Databricks whose fields have the types that its SDK declares, and values that make no sense."""

from __future__ import annotations

import random
from typing import Any

from localcloud.databricks.requests.checks import known_types
from localcloud.databricks.requests.names import anonymous

_TEXTS = (
    "fuzz",
    "1",
    "",
    "a" * 300,
    "/",
    "/Users/fuzz",
    "\x00",
    "..",
    "abfss://data@stfuzz.dfs.core.windows.net/a",
    "{{a}}",
    "*",
)
_NUMBERS = (0, 1, -1, 2**31, 2**63, 2**63 - 1, 10**30)
_DEEPEST = 4


def typed_body(chance: random.Random, method: str, path: str) -> dict[str, Any]:
    """Return a body of a call, such as "POST" and "jobs/create": required fields, and some of the others."""
    fields = known_types()["requests"].get(f"{method} {anonymous(path)}", {})
    return _object(chance, fields, 0)


def _object(chance: random.Random, fields: dict[str, str], depth: int) -> dict[str, Any]:
    share = 0.5 if depth == 0 else 0.3
    chosen = [name for name in fields if name.endswith("!") or chance.random() < share]
    return {name.rstrip("!"): _value(chance, fields[name], depth + 1) for name in chosen}


def _value(chance: random.Random, declared: str, depth: int) -> Any:
    types = known_types()
    kind = declared.split("|")[0]
    if kind.startswith("["):
        return [_value(chance, kind[1:-1], depth + 1) for _ in range(chance.choice((0, 1, 2)))]
    if kind.startswith("{"):
        return {chance.choice(_TEXTS): _value(chance, kind[1:-1], depth + 1)}
    if kind in types["enums"]:
        return chance.choice(types["enums"][kind])
    if kind in types["objects"]:
        return {} if depth > _DEEPEST else _object(chance, types["objects"][kind], depth)
    if kind == "boolean":
        return chance.random() < 0.5
    return chance.choice(_NUMBERS if kind in {"integer", "number"} else _TEXTS)
