"""The training pipelines that the repository holds, as far as the stack has to know: their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "mlops" / "pipelines"
FILE = "pipeline.yml"


def additional_pipelines(folder: Path = FOLDER) -> list[str]:
    """Return the names of the pipelines that need an endpoint of their own, sorted.

    The default pipeline, or the only one, has the stack's first endpoint.
    """
    specifications: dict[str, Any] = {
        file.parent.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(folder.glob(f"*/{FILE}"))
    }
    if len(specifications) < 2:
        return []
    return [
        name for name, content in specifications.items() if not (isinstance(content, dict) and content.get("default"))
    ]
