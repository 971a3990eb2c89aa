"""Steps under way: a table with clocks on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from mlops.history import Step
from mlops.progress import progress, took
from mlops.terminal import console

BEGUN = datetime(2026, 11, 25, tzinfo=UTC)
RUNNING = Step("train", "r1", "Running", BEGUN)
DONE = Step("train", "r1", "Completed", BEGUN, BEGUN + timedelta(seconds=7))


def _render(*states: list[Step], **settings: object) -> str:
    text = io.StringIO()
    with progress(Console(file=text, width=80, **settings), "run-1") as display:  # type: ignore[arg-type]
        for steps in states:
            display.show(steps)
    return text.getvalue()


def test_a_file_gets_a_line_for_each_change_without_escape_codes() -> None:
    reused = Step("features", "r0", "Completed", BEGUN, BEGUN, reused="r9")

    assert _render([reused, RUNNING], [reused, RUNNING], [reused, DONE]).splitlines() == [
        "step features Completed, reused", "step train Running", "step train Completed after 7.0 s",
    ]  # fmt: skip


def test_a_terminal_gets_a_table_within_80_columns_that_is_cleared_at_the_end() -> None:
    text = _render([RUNNING], [DONE], force_terminal=True, _environ={"TERM": "xterm"})

    assert "Run run-1" in text and "Running" in text and "7.0 s" in text
    assert "step train Running\n" not in text
    assert text.rstrip().endswith("\x1b[2K"), "the last thing is that its lines are erased"


def test_a_dumb_terminal_gets_lines() -> None:
    text = _render([RUNNING], force_terminal=True, _environ={"TERM": "dumb"})

    assert text == "step train Running\n"


def test_no_color_leaves_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = io.StringIO()
    Console(file=text, force_terminal=True).print("[red]x[/]")

    assert text.getvalue() == "x\n"


def test_a_running_step_shows_its_elapsed_time() -> None:
    assert took(RUNNING, BEGUN + timedelta(seconds=65.4)) == "65 s"
    assert took(RUNNING, BEGUN - timedelta(seconds=5)) == "0 s", "clocks may differ"
    assert took(RUNNING) == ""
    assert took(Step("train", "r1", "NotStarted"), BEGUN) == ""


@pytest.mark.parametrize(("columns", "width"), [("100", 100), ("", 120), ("wide", 120), ("0", 120)])
def test_columns_are_respected_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert console().width == width
