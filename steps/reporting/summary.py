"""The report as Markdown, for the summary of a build: decision, metrics, failure, steps."""

from __future__ import annotations

from collections.abc import Iterable

from steps.model_card import escape, table
from steps.reporting.charts import number
from steps.reporting.content import Content, metric_rows, verdict
from steps.reporting.data import Data
from steps.reporting.page import RunFacts, duration

_LONGEST_ERROR = 1500


def markdown(content: Content, run: RunFacts) -> str:
    """Return the summary."""
    outcome = verdict(content, run.status)
    parts = [f"## {escape(outcome.title)}", escape(outcome.reason)]
    failed = [step for step in run.steps if step.error and step.status == "Failed"]
    parts += [f"**{escape(step.name)}** failed: {escape(step.error[:_LONGEST_ERROR])}" for step in failed]
    if run.error and not failed:
        parts.append(escape(run.error[:_LONGEST_ERROR]))
    contract = Data.of(content).contract
    if contract is not None and (broken := contract.errors + contract.warnings):
        parts += ["### Data contract", table(("rule", "column", "severity", "problem"), (
            (rule.rule, rule.column or "–", rule.severity, rule.message) for rule in broken
        ))]  # fmt: skip
    if rows := metric_rows(content):
        champion = content.get("champion") or {}
        former = f"version {champion['version']}" if champion else "before"
        parts += [
            "### Metrics",
            table(("metric", "this model", former, "gain", "required"), (
                (
                    row.name, f"{number(row.value)}{_interval(row.low, row.high)}", number(row.champion),
                    f"{number(row.gain)}{_interval(row.gain_low, row.gain_high)}", row.bounds or "–",
                )
                for row in rows
            )),
        ]  # fmt: skip
    if outside := [part for part in content.get("slices") or () if not part["accepted"]]:
        parts += ["### Slices outside their bounds", table(("column", "group", "rows", "metric", "value"), (
            (part["column"], part["group"], str(part["rows"]), part["metric"], number(part["value"]))
            for part in outside
        ))]  # fmt: skip
    if run.steps:
        parts += ["### Steps", table(("step", "state", "duration"), _steps(run))]
    return "\n\n".join(parts) + "\n"


def _steps(run: RunFacts) -> Iterable[tuple[str, str, str]]:
    for step in run.steps:
        yield step.name, f"{step.status}, reused" if step.reused else step.status, duration(step.seconds)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({number(low)} to {number(high)})"
