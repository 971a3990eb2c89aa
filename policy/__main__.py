"""Entry point for the engine: `pulumi preview --policy-pack policy --policy-pack-config policy/config/dev.json`."""

from __future__ import annotations

import sys
from pathlib import Path

# The engine runs this file in its own folder, where Python does not find the package that contains it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policy.pack import serve

serve()
