"""The inputs that the resource classes of this provider have."""

from __future__ import annotations

from pathlib import Path

from localcloud.plugins.schema import Schema

SCHEMA = Schema(Path(__file__).with_name("schema.json"))
