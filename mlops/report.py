"""Results of a finished run: report.json of its last step, and the table that people see."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from mlops.clients import Clients
from mlops.history import Step
from mlops.progress import took
from mlops.terminal import plain
from steps.data_results import ContractResult

REPORTS = "reports"
"""Folder of the training container: a step's output is in the subfolder named after its run (mlops/pipeline.py)."""


@dataclass(frozen=True)
class Report:
    """`model_version` is None when the model was not good enough to be registered."""

    model_name: str
    model_version: str | None
    metrics: dict[str, float]
    reason: str
    lineage: dict[str, str]
    champion: str | None = None
    """Version that the model was compared with."""
    champion_metrics: dict[str, float] = field(default_factory=dict)
    data: ContractResult | None = None
    """The check of the data; None in reports of pipelines that were published without one."""


def read(clients: Clients, steps: Sequence[Step]) -> Report | None:
    """Return the report of the register step, None when there is none."""
    register = next((step for step in steps if step.name == "register"), None)
    if register is None:
        return None
    text = clients.blobs.read(f"{REPORTS}/{register.run}/report.json")
    if text is None:
        return None
    content: dict[str, Any] = json.loads(text)
    champion = content.get("champion") or {}
    return Report(
        model_name=content["model_name"],
        model_version=content["model_version"],
        metrics=content["metrics"],
        reason=content["decision"]["reason"],
        lineage=content["lineage"],
        champion=champion.get("version"),
        champion_metrics=champion.get("metrics") or {},
        data=ContractResult.model_validate(content["data_contract"]) if content.get("data_contract") else None,
    )


def show(steps: Sequence[Step], report: Report | None, studio: str, console: Console) -> None:
    """Print steps with state and duration, then metrics, model and addresses."""
    table = Table("step", "state", "duration", title="Pipeline run", title_justify="left")
    for step in steps:
        table.add_row(step.name, step.status, took(step))
    console.print(table)
    if report is not None:
        _show_data(report.data, console)
        reason = plain(report.reason)
        width = max(map(len, report.metrics), default=0)
        for name, value in report.metrics.items():
            former = report.champion_metrics.get(name)
            beside = "" if former is None else f"   (version {report.champion}: {former:.4f})"
            console.print(f"  {name:{width}} {value:.4f}{beside}", highlight=False, markup=False, emoji=False)
        if report.model_version is None:
            console.print(
                f"Model {report.model_name}: not registered, {reason}.", highlight=False, markup=False, emoji=False
            )
        else:
            console.print(
                f"Model {report.model_name} version {report.model_version} is registered: {reason}.",
                highlight=False,
                markup=False,
                emoji=False,
            )
    console.print(f"Run page: {studio}", highlight=False, soft_wrap=True)
    if tracking := os.environ.get("MLFLOW_TRACKING_URI", ""):
        console.print(f"MLflow:   {tracking}", highlight=False, soft_wrap=True)


def _show_data(data: ContractResult | None, console: Console) -> None:
    """Print how many rows were dropped, and the warnings: texts with names of columns, which come from data."""
    if data is None:
        return
    lines = [f"Data: {data.rows_read} rows, {data.rows_dropped} of them dropped."]
    if data.missing:
        listed = ", ".join(f"{name} {count}" for name, count in data.missing.items())
        lines.append(f"  Rows without a value: {listed}.")
    lines += [f"  Warning: {rule.message}." for rule in data.warnings]
    if data.quarantine:
        lines.append(f"  Rows that break a rule: {data.quarantine}")
    for line in lines:
        console.print(plain(line), highlight=False, markup=False, emoji=False, soft_wrap=True)
