"""Addresses of local files for Spark."""

from __future__ import annotations

from pathlib import Path


def address(file: Path) -> str:
    """Return the address of an absolute path. Hadoop takes it as it stands: `%20` is not a space to it."""
    return f"file:{file}"
