"""Reads `Pulumi.<stack>.yaml` without the engine: for what runs beside it, and for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from infra.configuration import SettingsError, read_settings
from infra.settings import Settings

PROJECT = "dataopsml"
ROOT = Path(__file__).resolve().parents[1]


def stack_settings(stack: str, root: Path = ROOT) -> Settings:
    """The stack's settings, as the engine would pass them on. Raises SettingsError."""
    file = root / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise SettingsError(f"Stack {stack} has no settings: {file.name} does not exist.")
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return read_settings({key: _text(value) for key, value in (content.get("config") or {}).items()}, PROJECT, stack)


def _text(value: Any) -> str:
    """As the engine hands values to a program: scalars as text, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
