"""The report of a run as files: a page, and a summary for builds. Only an ended run has one.

The register step makes the page of a run that completes (docs/adr/0033). This module renders it again from the same
content, with facts of the run's end: durations, reuse, and the reason of a failure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from mlops import jobs, runs
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.history import History, Step
from mlops.jobs import Job
from mlops.report import REPORTS
from mlops.run import NO_REASON, reason
from steps.data_results import CONTRACT_FILE, PROFILE_FILE
from steps.reporting import page, summary

DEFAULT_FOLDER = Path("build/reports")
_FILES = (("register", "report.json"), ("evaluate", "evaluation.json"))
"""Places of the content, the better one first: a run that failed in its register step has the evaluation alone."""
_DATA = (("data_contract", CONTRACT_FILE), ("profile", PROFILE_FILE))


@dataclass(frozen=True)
class Written:
    """The files of a report."""

    job: Job
    page: Path
    summary: Path | None


def write(clients: Clients, name: str | None, output: Path | None, *, with_summary: bool = False) -> Written:
    """Write the report of a run, by default of the newest one.

    Raises MissingError with the closest names for an unknown run, InvalidError for an active run, and for a file that
    cannot be written.
    """
    job = jobs.newest(clients) if name is None else runs.job(clients, name)
    if job is None:
        raise MissingError(
            f"There is no run of {clients.pipeline.name} yet: start one with `python -m mlops run {clients.options}`."
        )
    if not job.ended:
        raise InvalidError(
            f"The run {job.name} is under way ({job.status}): it has a report when it has ended. Follow it with "
            f"`python -m mlops logs --run {job.name} --follow {clients.options}`."
        )
    file = output or DEFAULT_FOLDER / f"{job.name}.html"
    history = History(clients)
    steps = history.steps(job.name)
    content, facts = read(clients, history, job, steps), run_facts(history, job, steps)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page.html(content, facts), encoding="utf-8")
        if with_summary:
            file.with_suffix(".md").write_text(summary.markdown(content, facts), encoding="utf-8")
    except OSError as error:
        raise InvalidError(
            f"The report cannot be written to {file}: {error.strerror}. Name a file with --output, such as "
            "--output report.html."
        ) from error
    return Written(job, file, file.with_suffix(".md") if with_summary else None)


def read(clients: Clients, history: History, job: Job, steps: list[Step]) -> dict[str, Any]:
    """Return the content of the run's report; empty where the run left none."""
    content: dict[str, Any] = {}
    for name, file in _FILES:
        step = next((step for step in steps if step.name == name), None)
        if step is not None and not content:
            content = _json(clients, f"{REPORTS}/{step.origin}/{file}")
    for key, file in _DATA:
        if key not in content and (text := history.artifact(job.name, file)) is not None:
            content[key] = json.loads(text)
    content.setdefault("model_name", clients.pipeline.model)
    lineage = {"code_version": job.code, "data_version": job.data, "pipeline_run": job.name}
    content.setdefault("lineage", lineage)
    content.setdefault("parameters", dict(job.parameters))
    return content


def run_facts(history: History, job: Job, steps: list[Step]) -> page.RunFacts:
    """Return the facts of the run's end."""
    failed = any(step.status == "Failed" for step in steps)
    error = "" if job.status == "Completed" or failed else history.run(job.name).error
    return page.RunFacts(
        job.name, job.status, job.page, [_step(history, step) for step in steps], error or _no_reason(job)
    )


def _step(history: History, step: Step) -> page.Step:
    error = ""
    if step.status == "Failed":
        error = reason(step.error, history.log(step))
    return page.Step(step.name, step.status, step.seconds, bool(step.reused), error)


def _no_reason(job: Job) -> str:
    return "" if job.status == "Completed" else NO_REASON


def _json(clients: Clients, blob: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(clients.training.download_blob(blob).readall())
    except ResourceNotFoundError:
        return {}
    return content
