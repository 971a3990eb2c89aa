"""The card of a registered model: a Markdown page beside the model's files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from steps.data_results import ContractResult
from steps.specification import Specification

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def model_card(
    specified: Specification, evaluation: Mapping[str, Any], lineage: Mapping[str, str], data: ContractResult
) -> str:
    """Return the page.

    `evaluation`: the content of evaluation.json; `lineage`: the tags of the version; `data`: the check of its data.
    """
    champion = evaluation["champion"]
    parts = [
        f"# {escape(specified.model)}",
        escape(specified.description),
        f"Task: {specified.task} of {escape(specified.target)}. "
        f"Owners: {escape(', '.join(specified.owners) or 'none')}.",
        "## Why it was registered",
        f"{escape(evaluation['decision']['reason'])}.",
        "## Metrics on the held-out rows",
        table(
            ("metric", "this version", f"version {champion['version']}" if champion else "before"),
            (
                (name, f"{value:.4f}", f"{champion['metrics'][name]:.4f}" if champion and champion["metrics"] else "–")
                for name, value in evaluation["metrics"].items()
            ),
        ),
    ]
    if evaluation["comparisons"]:
        parts += [
            f"Gains, with their {specified.gate.confidence:.0%} intervals:",
            table(
                ("metric", "gain", "interval", "probability of more than the margin"),
                (
                    (
                        comparison["metric"],
                        f"{comparison['gain']:.4f}",
                        f"{comparison['low']:.4f} to {comparison['high']:.4f}",
                        f"{comparison['probability']:.2f} (margin {comparison['margin']:g})",
                    )
                    for comparison in evaluation["comparisons"]
                ),
            ),
        ]
    if evaluation["slices"]:
        parts += [
            "## Slices",
            table(
                ("column", "group", "rows", "metric", "value"),
                (
                    (
                        part["column"],
                        part["group"],
                        str(part["rows"]),
                        part["metric"],
                        "too few rows" if part["value"] is None else f"{part['value']:.4f}",
                    )
                    for part in evaluation["slices"]
                ),
            ),
        ]
    compared = f"version {data.compared_with}" if data.compared_with else "none before"
    parts += [
        "## Data",
        f"{data.rows_read} rows, {data.rows_dropped} of them dropped. {len(data.rules)} rules of the data contract; "
        f"distributions compared with {compared}.",
        *(f"- Warning: {escape(rule.message)}." for rule in data.warnings),
    ]
    known = ("code_version", "commit", "data_version", "training_run", "pipeline_run")
    parts += ["## Lineage", table(("property", "value"), ((name, lineage[name]) for name in known))]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return a text that Markdown and HTML show unchanged, on one line: names of columns come from data."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("\\<", "&lt;").replace("\\>", "&gt;")


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(header)
    lines = [columns, ["---"] * len(columns), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
