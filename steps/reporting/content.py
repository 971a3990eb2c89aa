"""The content of a report: report.json of the register step, or evaluation.json where that step did not finish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Content = Mapping[str, Any]
"""`metrics`, `champion`, `comparisons`, `slices`, `decision` of the evaluation and its `details`; `model_name`,
`model_version`, `lineage`, `parameters`, `data_contract` and `profile` of the register step. Each may be missing: runs
of earlier versions lack some, failed ones most."""


@dataclass(frozen=True)
class Verdict:
    """`kind` is accepted, refused or failed."""

    kind: str
    title: str
    reason: str


@dataclass(frozen=True)
class MetricRow:
    """A metric with its comparison. `low`, `high` and the gain's are intervals, None where unknown."""

    name: str
    better: str
    value: float
    low: float | None
    high: float | None
    champion: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    margin: float | None
    probability: float | None
    bounds: str
    decides: bool


def verdict(content: Content, status: str = "Completed") -> Verdict:
    """Return the run's outcome, with its reason as a sentence."""
    decision = content.get("decision") or {}
    reason = _sentence(str(decision.get("reason", "")))
    model = str(
        content.get("model_name") or (content.get("details") or {}).get("pipeline", {}).get("model", "The model")
    )
    if status == "Canceled":
        return Verdict("failed", "Cancelled", f"The run was cancelled before it ended. {reason}".strip())
    if status != "Completed":
        return Verdict("failed", "Failed", f"The run ended before the model was registered. {reason}".strip())
    if content.get("model_version"):
        return Verdict("accepted", f"{model} version {content['model_version']} is registered", reason)
    if not decision:
        return Verdict("failed", "No evaluation", "The run left no evaluation.")
    if decision.get("register"):
        return Verdict("accepted", f"{model} is accepted", reason)
    return Verdict("refused", f"{model} is not registered", reason)


def metric_rows(content: Content) -> list[MetricRow]:
    """Return the metrics in the gate's order."""
    details = content.get("details") or {}
    rules = {rule["name"]: rule for rule in details.get("gate") or ()}
    compared = {comparison["metric"]: comparison for comparison in content.get("comparisons") or ()}
    former = (content.get("champion") or {}).get("metrics") or {}
    return [
        _row(name, value, former.get(name), rules.get(name, {}), compared.get(name), details)
        for name, value in (content.get("metrics") or {}).items()
    ]


def _row(
    name: str, value: float, champion: float | None, rule: Content, comparison: Content | None, details: Content
) -> MetricRow:
    interval = (details.get("intervals") or {}).get(name, {})
    better = str(rule.get("better", ""))
    gain = None
    if comparison is not None:
        gain = comparison["gain"]
    elif champion is not None and better:
        gain = value - champion if better == "higher" else champion - value
    decided: Content = comparison or {}
    return MetricRow(
        name=name, better=better, value=value, low=interval.get("low"), high=interval.get("high"), champion=champion,
        gain=gain, gain_low=decided.get("low", interval.get("gain_low")),
        gain_high=decided.get("high", interval.get("gain_high")), margin=decided.get("margin"),
        probability=decided.get("probability"), bounds=_bounds(rule), decides=comparison is not None,
    )  # fmt: skip


def _bounds(rule: Content) -> str:
    parts = [
        f"{word} {rule[name]:g}"
        for name, word in (("minimum", "at least"), ("maximum", "at most"))
        if rule.get(name) is not None
    ]
    return ", ".join(parts)


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text if text.endswith((".", "!", "?")) else f"{text}."
