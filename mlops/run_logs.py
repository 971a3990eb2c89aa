"""Output of a run's steps: all that there is, or more until the end. Training and scoring runs have steps alike."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlops import jobs, runs, step_names
from mlops.clients import Clients
from mlops.errors import MissingError
from mlops.history import ENDED, History, Step
from mlops.jobs import Job
from mlops.run import NO_REASON
from mlops.suggestions import hint

_FOLLOW_SECONDS = 2.0
Write = Callable[[str], None]


def show(
    clients: Clients, name: str | None, step: str | None, write: Write, *, follow: bool = False, scoring: bool = False
) -> None:
    """Write the output of a run's step, or of all steps. `name` None: the newest run, that of `scoring` or training.

    `follow` goes on until the step, or the run, has ended. Raises MissingError with the closest names for an unknown
    run or step.
    """
    job = _newest(clients, scoring) if name is None else runs.training_or_scoring(clients, name)
    history = History(clients)
    printed: dict[str, int] = {}
    while True:
        steps = history.steps(job.name)
        chosen = [known for known in steps if step in (None, known.name)]
        if not chosen:
            _check(clients, history, job, step, [known.name for known in steps], follow=follow)
        for known in chosen:
            _write_more(history, known, printed, write, with_name=step is None)
        # The state was read before the output, so that the last lines are in it.
        ended = job.ended if step is None else bool(chosen) and all(known.status in ENDED for known in chosen)
        if not follow or ended:
            return
        time.sleep(_FOLLOW_SECONDS)
        job = jobs.get(clients, job.name)


def _newest(clients: Clients, scoring: bool) -> Job:
    job = next(jobs.recent_scorings(clients) if scoring else jobs.recent(clients), None)
    if job is None:
        kind, verb = ("scoring run", "score --incoming") if scoring else ("run", "run")
        raise MissingError(
            f"There is no {kind} of {clients.pipeline.name} yet: start one with `python -m mlops {verb} "
            f"{clients.options}`."
        )
    return job


def _check(
    clients: Clients, history: History, job: Job, step: str | None, existing: list[str], *, follow: bool
) -> None:
    """Raise MissingError unless the run is under way and is followed, and may have the step later."""
    names = list(existing)
    if not job.ended:
        names += step_names.SCORING if jobs.scores(job, clients) else step_names.TRAINING
    if step is not None and step not in names and (names or job.ended):
        of_scoring = step in step_names.SCORING and not jobs.scores(job, clients)
        more = f"Runs that score have it: `python -m mlops logs {step} --score {clients.options}` shows the newest's."
        known = dict.fromkeys(names)
        raise MissingError(f"Run {job.name} has no step {step!r}. {more if of_scoring else hint(step, known)}")
    if job.ended:
        error = history.run(job.name).error or NO_REASON
        raise MissingError(f"Run {job.name} has no steps, it ended before the first ({job.status}): {error}")
    if not follow:
        begun = f"step {step}" if step else "first step"
        raise MissingError(f"The {begun} of run {job.name} has not begun ({job.status}): --follow waits for it.")


def _write_more(history: History, step: Step, printed: dict[str, int], write: Write, *, with_name: bool) -> None:
    """Write the part of a step's output that is new; the error of a step that failed before its program wrote any."""
    text, before = history.log(step), printed.get(step.run)
    if not text and step.status == "Failed":
        text = f"{step.error.rstrip()}\n"
    if len(text) <= (before or 0):
        return
    if with_name and before is None:
        write(f"--- {step.name}{f' (reused from {step.reused})' if step.reused else ''}\n")
    write(text[before or 0 :])
    printed[step.run] = len(text)
