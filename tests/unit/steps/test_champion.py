"""Choice of the champion among registered versions."""

from __future__ import annotations

from typing import Any

import pytest

from steps.champion import champion


def _promoted(at: str, **more: str) -> dict[str, str]:
    return {"promoted_from": "staging:house:1", "promoted_at": at} | more


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([], None),
        ([("by-hand", {})], None),
        ([("9", {}), ("10", {}), ("by-hand", {})], "10"),
        ([("1", _promoted("2026-11-01")), ("2", {})], "1"),
        ([("1", _promoted("2026-11-03")), ("2", _promoted("2026-11-02"))], "1"),
        ([("1", _promoted("2026-11-01")), ("2", _promoted("2026-11-02", rolled_back_at="2026-11-03"))], "1"),
        ([("1", {"promoted_to.prod": "3 at 2026-11-01"}), ("2", {})], "2"),
    ],
    ids=["none", "by hand", "newest", "promoted before newer", "promoted last", "rolled back", "promoted elsewhere"],
)
def test_the_champion_is_the_version_that_serves(versions: list[tuple[str, Any]], expected: str | None) -> None:
    assert champion(versions) == expected
