"""The cache of localcloud's tools for tests that run without make, as make sets it; less garbage collection."""

from __future__ import annotations

import gc
import os
from pathlib import Path

_CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("LOCALCLOUD_CACHE", str(_CACHES / "dataopsml"))


def pytest_collection_finish() -> None:
    """Exclude objects of collected modules from garbage collections: these took a tenth of the unit tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
