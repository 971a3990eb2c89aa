"""Resume a run: start its pipeline again with its inputs, so that Azure ML reuses the steps that it finished.

Steps that are not deterministic run again even when they succeeded: the result of `evaluate` may be out of date.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console

from mlops import publish, reuse_keys, runs
from mlops import up as ups
from mlops.clients import Clients
from mlops.errors import InvalidError
from mlops.jobs import Job
from steps.specification import ParameterValue


def resume(clients: Clients, name: str, console: Console, now: datetime | None = None) -> None:
    """Continue a run that failed or was cancelled, and follow it.

    Raises MissingError for an unknown run, or a version that is no longer published, InvalidError for a run that
    completed or is under way.
    """
    job = runs.job(clients, name)
    if job.status == "Completed":
        raise InvalidError(
            f"Run {name} completed: there is nothing to resume. `python -m mlops run {clients.options}` starts another "
            "one."
        )
    if not job.ended:
        raise InvalidError(
            f"Run {name} is under way ({job.status}): wait for its end, or stop it with `python -m mlops cancel "
            f"--run {name} {clients.options}`."
        )
    deployment = publish.of_version(clients, job.code)
    types = publish.inputs_of(clients, deployment)
    key = job.inputs.get(reuse_keys.INPUT, "")
    if not _can_be_reused(job, clients.outputs.engineered_days, now or datetime.now(UTC)):
        key = reuse_keys.unique()
        console.print("The outputs of its steps may have been deleted: all steps run again.", highlight=False)
    inputs = {name: typed(text, types[name]) for name, text in job.inputs.items() if name in types}
    ups.begin(clients, deployment, inputs, key, console)


def typed(text: str, kind: str) -> ParameterValue:
    """Return the value that the text of an input stands for: Azure ML shows all literals as text."""
    if kind == "boolean":
        return text.lower() == "true"
    return int(text) if kind == "integer" else float(text) if kind == "number" else text


def _can_be_reused(job: Job, engineered_days: int | None, now: datetime) -> bool:
    """Whether the rule that deletes engineered data spares a run's until its continuation has read them.

    Data that the run itself reused were made up to one `reuse_keys.period` before it.
    """
    if engineered_days is None or job.created is None or not job.inputs.get(reuse_keys.INPUT):
        return False
    return now - job.created < reuse_keys.period(engineered_days)
