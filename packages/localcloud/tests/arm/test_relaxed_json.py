"""JSON of template deployments: comments, bare names, single quotes and texts over several lines."""

from __future__ import annotations

import time
from typing import Any

import pytest
from localcloud.arm.api_versions import is_supported
from localcloud.arm.relaxed_json import loads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": {}, template:{"b": [true, null]}}', {"a": {}, "template": {"b": [True, None]}}),
        ('{ // one\n "a": /* two */ 1 }', {"a": 1}),
        ('{"url": "https://x/*not a comment*/"}', {"url": "https://x/*not a comment*/"}),
        ("{'a': 'it\\'s \"x\"'}", {"a": 'it\'s "x"'}),
        ('{/**/"a": "two\nlines"}', {"a": "two\nlines"}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": "b: c", d : "e"}', {"a": "b: c", "d": "e"}),
    ],
)
def test_json_that_arm_accepts_in_deployments_is_read(text: str, value: Any) -> None:
    assert loads(text.encode()) == value


@pytest.mark.parametrize("text", ["{a 1}", "{'a': 'b", "{\"a\": 'b\\'", "{a: b}", "{a: 1,}", "/* {}", ""])
def test_other_invalid_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Illegal"):
        loads(text.encode())


@pytest.mark.parametrize("piece", ['\\"', "/*", "a", "'\\", "a ", '"'])
def test_hostile_texts_are_read_in_linear_time(piece: str) -> None:
    content = ("{" + piece * 500_000).encode()
    started = time.perf_counter()
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
        loads(content)
    assert time.perf_counter() - started < 5, "half a million pieces take tenths of a second"


def test_versions_that_are_newer_than_all_known_are_answered() -> None:
    known = ("2020-01-01", "2024-05-01-preview")
    assert is_supported("2024-05-01-PREVIEW", known)
    assert is_supported("2026-09-01-preview", known) and is_supported("2024-05-02", known)
    assert not is_supported("2024-05-01", known), "of the day of a preview, and unknown"
    assert not is_supported("2023-01-01", known) and not is_supported("9", known) and not is_supported("", known)
    assert is_supported("anything", ())
