"""The CI image's tag: a hash of its sources."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INPUTS = ("pipelines/ci-image/Dockerfile", "requirements.txt", "requirements-dev.txt", "tools/venv.sh")
"""The Dockerfile and all files that it copies."""


def tag(root: Path = ROOT) -> str:
    """16 hexadecimal digits; the same for the same content."""
    hashed = hashlib.sha256()
    for name in INPUTS:
        content = (root / name).read_bytes()
        hashed.update(f"{name}\0{len(content)}\0".encode() + content)
    return hashed.hexdigest()[:16]


if __name__ == "__main__":  # before any package is installed
    sys.stdout.write(f"{tag()}\n")
