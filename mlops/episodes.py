"""Episodes that need a person, one entry for each; an episode keeps its name as long as it lasts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlops import refused_files, schedules
from mlops.clients import Clients
from mlops.components.score.src.ledger import Refusal
from mlops.components.watch.src.retraining_requests import Requests

_MOST_FILES = 10
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Episode:
    """`tag`: letters, digits and `._-`, the tag of its work item."""

    tag: str
    title: str
    text: str


def read(clients: Clients) -> list[Episode]:
    """Return the pipeline's episodes on a stack: schedules without a target, drift for a person, refused files."""
    return [*gone_targets(clients), *drifted(clients), *refused(clients)]


def refused(clients: Clients) -> list[Episode]:
    """Return an episode for each scoring run that refused files which are still in the input folder, not scored."""
    pipeline, stack = clients.pipeline, clients.outputs.environment
    if pipeline.specification.score is None:
        return []
    by_run: dict[str, list[Refusal]] = {}
    for refusal in refused_files.waiting(clients):
        by_run.setdefault(refusal.run, []).append(refusal)
    container = clients.outputs.training_container
    return [
        Episode(
            tag=tag("refused", stack, pipeline.model, run),
            title=f"{len(refusals)} {'file was' if len(refusals) == 1 else 'files were'} refused when {pipeline.model} "
            f"scored on stack {stack}",
            text=f"Nothing of them is scored: {_reasons(refusals)}. Refused rows and reasons are in {container}/"
            f"{refusals[0].quarantine}. Replace the files in {pipeline.score.input}/, or take them away; run "
            f"{run} refused them.",
        )
        for run, refusals in by_run.items()
    ]


def _reasons(refusals: Sequence[Refusal]) -> str:
    reasons = [f"{refusal.file_name} ({refusal.reason})" for refusal in refusals[:_MOST_FILES]]
    more = len(refusals) - len(reasons)
    return "; ".join(reasons) + (f"; and {more} more" if more else "")


def drifted(clients: Clients) -> list[Episode]:
    """Return an episode for each row of scored files whose drift needs a person."""
    stack, pipeline = clients.outputs.environment, clients.pipeline
    return [
        Episode(
            tag=tag("drift", stack, request.model, f"{request.number:06}"),
            title=f"What {request.model} scores on stack {stack} differs from its training data",
            text=f"{len(request.windows)} files in a row breach limits of {pipeline.name}: "
            f"{'; '.join(request.reasons)}. Look at them with `python -m mlops watch --stack {stack} --pipeline "
            f"{pipeline.name}`, and train on newer data.",
        )
        for request in Requests(clients.training, pipeline.model).all()
        if request.mode == "work_item"
    ]


def gone_targets(clients: Clients) -> list[Episode]:
    """Return an episode for each schedule that is on and whose component's version was deleted.

    Azure ML starts no job then, and does not report it: a failed trigger has no run, no metric and no documented
    event.
    """
    stack = clients.outputs.environment
    off = f"python -m mlops schedule off --stack {stack} --pipeline {clients.pipeline.name}"
    return [
        Episode(
            tag=tag("schedule", stack, scheduled.name, scheduled.version),
            title=f"The schedule {scheduled.name} of stack {stack} runs nothing",
            text=f"It is on, and its target is gone: {scheduled.component_id} does not exist. Publish or promote "
            f"again, or switch it off: `{off}`.",
        )
        for scheduled in schedules.read_all(clients)
        if scheduled.on and not scheduled.target_exists
    ]


def tag(*parts: str) -> str:
    """Return a tag of these parts. Names come from outside: Azure DevOps separates tags by semicolons."""
    return "-".join(_NOT_IN_TAGS.sub("_", part) for part in ("dataopsml", *parts))
