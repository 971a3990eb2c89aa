"""The environments of this repository in the order of promotion, as its pipelines have them, and its stacks."""

from __future__ import annotations

from pathlib import Path

import yaml

_VARIABLES = Path(__file__).resolve().parents[2] / "pipelines" / "variables.yml"
ENVIRONMENTS: tuple[str, ...] = tuple(
    yaml.safe_load(_VARIABLES.read_text(encoding="utf-8"))["variables"]["environments"].split(",")
)
STACKS = ("local", *ENVIRONMENTS)
