"""Episodes that need a person, one entry for each; an episode keeps its name as long as it lasts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops import schedules
from mlops.clients import Clients
from mlops.components.watch.src.retraining_requests import Requests

_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Episode:
    """`tag`: letters, digits and `._-`, the tag of its work item."""

    tag: str
    title: str
    text: str


def read(clients: Clients) -> list[Episode]:
    """Return the pipeline's episodes on a stack: schedules without a target, and drift that asks for a work item."""
    return [*gone_targets(clients), *drifted(clients)]


def drifted(clients: Clients) -> list[Episode]:
    """Return an episode for each row of scored files whose drift asks for a person."""
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

    Azure ML starts no job then, and says so nowhere: a failed trigger has no run, no metric and no documented event.
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
