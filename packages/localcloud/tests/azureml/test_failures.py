"""The line that tables show of a failed step, without a localcloud."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from localcloud.azureml.jobs.commands import _failure
from localcloud.azureml.jobs.runner import _explained
from localcloud.azureml.jobs.runs import Run

WORDS = "Execution failed. User process 'bash' exited with status code 1. Please check log file 'user_logs/std_log.txt'"


def failed(tmp_path: Path, log: str) -> Run:
    """Return the run of a command that exits with 1 and leaves a log."""
    file = tmp_path / "std_log.txt"
    file.write_text(log)
    message, cause = _failure(1, SimpleNamespace(log=file))  # type: ignore[arg-type]
    run = Run(id="id", workspace_id="/w", kind="command", name="train", root="root")
    run.fail("UserError", message, cause=cause)
    return run


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("start\nTraceback (most recent call last):\n  File x\nValueError: no rows\n", "ValueError: no rows"),
        (
            "a\nThe notebook /x failed: division by zero (TERMINATED, FAILED)\n  ^^^^^\n\n'\n",
            "The notebook /x failed: ",
        ),
        ("the only line", "the only line"),
    ],
    ids=["traceback", "carets", "one line"],
)
def test_the_cause_is_the_last_line_with_a_word(tmp_path: Path, log: str, cause: str) -> None:
    run = failed(tmp_path, log)

    assert run.reason.startswith(cause)
    assert run.error is not None
    assert run.error["message"].startswith(WORDS)


def test_the_execution_log_has_azure_s_sentence_and_the_cause(tmp_path: Path) -> None:
    line = _explained(failed(tmp_path, "first\nValueError: no rows\n"))

    assert line.startswith(f": {WORDS}")
    assert line.endswith(" … ValueError: no rows")


def test_an_error_without_a_log_is_its_first_line(tmp_path: Path) -> None:
    run = Run(id="id", workspace_id="/w", kind="command", name="train", root="root")
    run.fail("UserError", "The input 'data' cannot be read: 403\nmore")

    assert run.reason == "The input 'data' cannot be read: 403"
    assert _explained(run) == ": The input 'data' cannot be read: 403"
    assert _explained(failed(tmp_path, "")).endswith("Error: ")
