"""Reader of `Pulumi.<stack>.yaml` for programs that run beside the engine, and for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from infra.configuration import SettingsError, read_settings
from infra.settings import Settings

PROJECT = "dataopsml"
ROOT = Path(__file__).resolve().parents[1]


_SEALED = "https://sealed.invalid/"
"""Stands for a value that `pulumi config set --secret` sealed, which the engine alone opens: all secrets are URLs."""


def stack_settings(stack: str, root: Path = ROOT) -> Settings:
    """Return the settings in the stack's file, parsed as the engine passes them on. Raises SettingsError.

    Sealed values are placeholders.
    """
    file = root / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise SettingsError(f"Stack {stack} has no settings: {file.name} does not exist.")
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return read_settings({key: _text(value) for key, value in (content.get("config") or {}).items()}, PROJECT, stack)


def _text(value: Any) -> str:
    """Return a value as the engine passes it to a program: scalars as text, everything else as JSON."""
    value = _without_seals(value)
    return value if isinstance(value, str) else json.dumps(value)


def _without_seals(value: Any) -> Any:
    if isinstance(value, dict):
        return _SEALED if set(value) == {"secure"} else {key: _without_seals(inner) for key, inner in value.items()}
    return [_without_seals(inner) for inner in value] if isinstance(value, list) else value
