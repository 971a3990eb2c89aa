"""Run history and reports as Azure ML writes them, as people read them."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from mlops import report
from mlops.history import Step, _step, time
from mlops.report import Report


def test_times_have_the_seventh_digit_that_dotnet_writes() -> None:
    assert time("2026-11-25T03:47:18.1234567Z") == datetime(2026, 11, 25, 3, 47, 18, 123456, tzinfo=UTC)
    assert time("2026-11-25T03:47:18+00:00") == datetime(2026, 11, 25, 3, 47, 18, tzinfo=UTC)
    assert time(None) is None


def test_a_run_becomes_a_step_with_name_duration_and_error() -> None:
    step = _step(
        {
            "runId": "r1",
            "displayName": "train",
            "status": "Failed",
            "startTimeUtc": "2026-11-25T03:47:18Z",
            "endTimeUtc": "2026-11-25T03:47:20.5Z",
            "error": {"error": {"code": "UserError", "message": "exit code 1"}},
        }
    )

    assert (step.name, step.run, step.status, step.seconds, step.error) == ("train", "r1", "Failed", 2.5, "exit code 1")


def test_a_step_that_has_not_begun_has_no_duration() -> None:
    assert _step({"runId": "r1", "displayName": "train", "status": "NotStarted"}).seconds is None


def _render(reported: Report | None) -> str:
    begun = datetime(2026, 11, 25, tzinfo=UTC)
    steps = [Step("train", "r1", "Completed", begun, begun.replace(second=7)), Step("register", "r2", "Canceled")]
    text = io.StringIO()
    report.show(steps, reported, "https://page", Console(file=text, width=100))
    return text.getvalue()


def test_the_table_has_each_step_with_state_and_duration() -> None:
    lines = _render(None).splitlines()

    assert any("train" in line and "Completed" in line and "7.0 s" in line for line in lines)
    assert any("register" in line and "Canceled" in line for line in lines)
    assert "Run page: https://page" in lines


def test_a_registered_version_is_named_with_its_metrics() -> None:
    text = _render(Report("diabetes", "3", {"rmse": 59.45}, "it is the first version", {}))

    assert "Model diabetes version 3 is registered: it is the first version." in text
    assert "rmse 59.4500" in text


def test_the_champion_s_metrics_are_shown_beside() -> None:
    text = _render(Report("diabetes", "4", {"rmse": 50.0, "r2": 0.5}, "better", {}, "3", {"rmse": 59.45, "r2": 0.4}))

    assert "rmse 50.0000   (version 3: 59.4500)" in text
    assert "r2   0.5000   (version 3: 0.4000)" in text


def test_a_model_that_is_not_registered_has_its_reason() -> None:
    text = _render(Report("diabetes", None, {}, "r2 0.1 is below the threshold 0.25", {}))

    assert "Model diabetes: not registered, r2 0.1 is below the threshold 0.25." in text
