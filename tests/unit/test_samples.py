"""Tests of behaviour pass after a commit that changes a shipped training pipeline, or removes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlops import specifications
from tests import samples

_TESTS = Path(__file__).resolve().parents[1]
_NAMES = "|".join(map(re.escape, sorted({*specifications.names(), *specifications.names(samples.PIPELINES)})))
_SHIPPED = re.compile(
    rf"""specifications\.load\((?:None|["'](?:{_NAMES})["'])\)"""
    rf"""|specifications\.PIPELINES\s*/\s*f?["'](?:{_NAMES})"""
    rf"""|mlops/pipelines/(?:{_NAMES})\b"""
    r"""|(?:online|retraining|additional|all)_pipelines\(\) ==|watched_models\(\) =="""
)


def _own_tests() -> set[str]:
    """Return the names of the tests that a pipeline has for itself, and that are removed with it."""
    pipelines = map(specifications.load, specifications.names())
    return {f"test_{pipeline.specification.notebook}.py" for pipeline in pipelines}


@pytest.mark.parametrize("tier", ["unit", "spark", "integration"])
def test_tests_of_behaviour_read_pipelines_of_their_own(tier: str) -> None:
    own = _own_tests()
    reading = [
        f"{file.relative_to(_TESTS)}: {match[0]}"
        for file in sorted((_TESTS / tier).rglob("*.py"))
        if file.name not in own
        for match in _SHIPPED.finditer(file.read_text(encoding="utf-8"))
    ]

    assert reading == [], "everybody may change these: pass tests.samples.PIPELINES"
