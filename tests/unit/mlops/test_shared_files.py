"""Outside of its folder, its notebook and its data, nothing names a model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlops import specifications

ROOT = specifications.ROOT
_PLACES = ("infra", "contract", "declarations", "pipelines", "policy", "bootstrap", "steps", "packages/localcloud/src")


def _texts() -> list[Path]:
    files = [file for place in _PLACES for file in (ROOT / place).rglob("*") if file.is_file()]
    files += [*(ROOT / "mlops").glob("*.py"), *(ROOT / "mlops/components").rglob("*"), ROOT / "azure-pipelines.yml"]
    return [file for file in files if file.is_file() and "__pycache__" not in file.parts]


@pytest.mark.parametrize("name", specifications.names())
def test_no_shared_file_names_a_model(name: str) -> None:
    pipeline = specifications.load(name)
    words = {name, name.replace("_", "-"), pipeline.model}
    pattern = re.compile("|".join(map(re.escape, sorted(words))), re.IGNORECASE)

    naming = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in _texts()
        if (match := pattern.search(file.read_text(encoding="utf-8", errors="replace")))
    ]

    assert naming == []
