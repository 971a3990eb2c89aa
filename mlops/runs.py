"""The newest runs of a pipeline, and the differences between two of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from mlops import jobs, report
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.history import History
from mlops.jobs import Job
from mlops.report import Report
from mlops.suggestions import hint
from mlops.terminal import cell
from steps.taken_files import NO_FILE

_SUGGESTED = 5
_INCOMING = "the input folder's"
_AT_ONCE = 8
"""Maximum number of requests for steps at the same time."""
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
"""A text that can be a run's name, and part of an address."""


@dataclass(frozen=True)
class Run:
    """A run with its report, which a run that did not complete lacks. `seconds` by step."""

    job: Job
    seconds: dict[str, float]
    report: Report | None
    reused: tuple[str, ...] = ()
    """Steps whose outputs are an earlier run's."""

    @property
    def values(self) -> dict[str, str]:
        """Everything that two runs may differ in, as text."""
        metrics = {} if self.report is None else self.report.metrics
        lineage = {} if self.report is None else self.report.lineage
        return {
            "status": self.job.status,
            "code": self.job.code,
            "commit": lineage.get("commit", ""),
            "data": self.job.data,
            **{f"parameter {name}": value for name, value in self.job.parameters.items()},
            **{f"metric {name}": f"{value:.6g}" for name, value in metrics.items()},
            "model version": "" if self.report is None else self.report.model_version or "not registered",
            "decision": "" if self.report is None else self.report.reason,
            "reused steps": ", ".join(self.reused),
            **{f"seconds {step}": f"{seconds:.1f}" for step, seconds in self.seconds.items()},
        }


def newest(clients: Clients, number: int) -> list[Job]:
    """Return the newest training runs, newest first."""
    return list(islice(jobs.recent(clients), number))


def newest_scorings(clients: Clients, number: int) -> list[Job]:
    """Return the newest scoring runs, newest first."""
    return list(islice(jobs.recent_scorings(clients), number))


def job(clients: Clients, name: str) -> Job:
    """Return a training run of the pipeline by name.

    Raises MissingError with the closest names, else the newest ones, and InvalidError for a scoring run.
    """
    existing = _existing(clients, name)
    if existing is not None and jobs.scores(existing, clients):
        raise InvalidError(
            f"Run {name} scores files, and this verb is for runs that train. `python -m mlops logs --run {name} "
            f"{clients.options}` shows its steps, `python -m mlops score --incoming {clients.options}` starts another."
        )
    if existing is None or not jobs.belongs_to(existing, clients):
        raise _unknown(clients, name, newest(clients, _SUGGESTED))
    return existing


def training_or_scoring(clients: Clients, name: str) -> Job:
    """Return a run of the pipeline of any kind by name. Raises MissingError as `job` does."""
    existing = _existing(clients, name)
    if existing is None or not (jobs.belongs_to(existing, clients) or jobs.scores(existing, clients)):
        raise _unknown(clients, name, list(islice(jobs.of_all_kinds(clients), _SUGGESTED)))
    return existing


def of_any_pipeline(clients: Clients, name: str) -> Job:
    """Return a run of the workspace by name. Raises MissingError with the closest names of the pipeline."""
    existing = _existing(clients, name)
    if existing is None:
        raise _unknown(clients, name, list(islice(jobs.of_all_kinds(clients), _SUGGESTED)))
    return existing


def _existing(clients: Clients, name: str) -> Job | None:
    return jobs.get_job(clients, name) if RUN_NAME.fullmatch(name) else None


def _unknown(clients: Clients, name: str, known: list[Job]) -> MissingError:
    names = hint(name, (job.name for job in known))
    return MissingError(
        f"There is no run {name!r} of {clients.pipeline.name} on stack {clients.outputs.environment}. {names}"
    )


def read(clients: Clients, name: str) -> Run:
    """Return a run of the pipeline with its report. Raises MissingError as `job` does."""
    existing = job(clients, name)
    steps = History(clients).steps(name)
    seconds = {step.name: step.seconds for step in steps if step.seconds is not None and not step.reused}
    reused = tuple(step.name for step in steps if step.reused)
    return Run(existing, seconds, report.read(clients, steps), reused)


def reused_steps(clients: Clients, runs: Sequence[Job]) -> list[tuple[str, ...]]:
    """Return, for each run, the steps whose outputs are an earlier run's."""
    if not runs:
        return []
    history = History(clients)
    first = history.steps(runs[0].name)  # alone, since it finds the host for the others
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        steps = [first, *pool.map(lambda job: history.steps(job.name), runs[1:])]
    return [tuple(step.name for step in of_run if step.reused) for of_run in steps]


def show(runs: Sequence[Job], reused: Sequence[tuple[str, ...]], console: Console) -> None:
    """Print a table of runs."""
    parameters = list(dict.fromkeys(name for job in runs for name in job.parameters))
    # A cut name cannot be passed to another verb.
    table = Table(Column("run", overflow="fold"), "status", "code", "data", "reused", *parameters)
    for job, steps in zip(runs, reused, strict=True):
        values = (job.parameters.get(name, "") for name in parameters)
        table.add_row(*map(cell, (job.name, job.status, job.code, job.data[:12], ", ".join(steps), *values)))
    console.print(table)


def show_scorings(runs: Sequence[Job], console: Console) -> None:
    """Print a table of scoring runs."""
    table = Table(Column("run", overflow="fold"), "status", "version", "file")
    for job in runs:
        file = job.inputs.get("file_name", "")
        table.add_row(
            *map(
                cell,
                (
                    job.name,
                    job.status,
                    job.inputs.get("model_version", ""),
                    _INCOMING if file in ("", NO_FILE) else file,
                ),
            )
        )
    console.print(table)


def compare(first: Run, second: Run) -> list[tuple[str, str, str]]:
    """Return name and both values of all differences, in the order of the values."""
    names = dict.fromkeys([*first.values, *second.values])
    rows = ((name, first.values.get(name, ""), second.values.get(name, "")) for name in names)
    return [row for row in rows if row[1] != row[2]]


def show_comparison(first: Run, second: Run, console: Console) -> None:
    """Print the differences between two runs."""
    rows = compare(first, second)
    if not rows:
        console.print("The runs are alike in status, code, data, parameters, metrics and decision.", highlight=False)
        return
    table = Table("", *(Column(run.job.name, overflow="fold") for run in (first, second)))
    for row in rows:
        table.add_row(*map(cell, row))
    console.print(table)


def as_json(job: Job, reused: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a run as JSON values."""
    return {
        "name": job.name, "status": job.status, "code_version": job.code, "data_version": job.data,
        "parameters": dict(job.parameters), "page": job.page, "reused_steps": list(reused),
    }  # fmt: skip
