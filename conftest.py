"""The cache of localcloud's tools for tests that run without make, which sets the same folder."""

from __future__ import annotations

import os
from pathlib import Path

_CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("LOCALCLOUD_CACHE", str(_CACHES / "dataopsml"))
