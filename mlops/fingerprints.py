"""Hashes of content, which decide whether anything is new (docs/adr/0007)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

_CHUNK = 1024 * 1024


def of_file(file: Path) -> str:
    """SHA-256 in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def of_files(root: Path, files: Iterable[Path]) -> str:
    """Return the hash of names (relative to `root`) and contents, in any order."""
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
        digest.update(f"{name}\0{of_file(file)}\n".encode())
    return digest.hexdigest()


def of_folder(folder: Path) -> str:
    return of_files(folder, source_files(folder))


def of_values(values: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def source_files(folder: Path) -> list[Path]:
    """Every file except Python's caches."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
