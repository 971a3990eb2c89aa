"""Data in the summary after a run: dropped rows and warnings, as text."""

from __future__ import annotations

import io

from rich.console import Console

from mlops import report
from mlops.report import Report
from steps.data_results import ContractResult, RuleResult


def _render(data: ContractResult | None) -> str:
    console = Console(file=io.StringIO(), width=60)
    report_ = Report("houses", "1", {"rmse": 1.0}, "it is the first version", {}, data=data)
    report.show([], report_, "https://page", console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_dropped_rows_and_warnings_are_shown_and_command_no_build() -> None:
    name = "[red]##vso[task.complete]\x1b[2J"
    warning = RuleResult(rule="maximum", column=name, severity="warning", passed=False, message=f"{name} has 2 values")
    kept = RuleResult(rule="rows", passed=True, message="there are 10 rows")
    data = ContractResult(
        accepted=True, rows_read=10, rows_kept=7, missing={name: 3}, rules=(warning, kept), quarantine="abfss://q"
    )

    text = _render(data)

    assert "Data: 10 rows, 3 of them dropped." in text
    assert "Warning: [red]## [task.complete]" in text or "Warning: [red]## vso[task.complete]" in text
    assert "##vso[" not in text and "\x1b[2J" not in text
    assert "Rows that break a rule: abfss://q" in text and "there are 10 rows" not in text


def test_a_run_of_a_pipeline_without_a_contract_has_none_to_show() -> None:
    assert "Data:" not in _render(None)
