"""Rules by which a training run or a work item follows scored files that differ from the training data.

The module has the rules alone: the step `watch` stores requests, each under a number of its own by one conditional
write, so that concurrent runs make one. A request is carried out by its maker or, when that one was killed, by a later
run, which takes it over after some time by another conditional write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

Mode = Literal["on_drift", "work_item"]
HOLD = timedelta(minutes=15)
"""Time for which a request belongs to its maker.

Starting a run takes seconds, and its requests time out long before.
"""
_MOST_REASONS = 5
NONE = "none"
"""Value of inputs that a pipeline without retraining does not need."""


class TrainingInput(BaseModel):
    """The data that a retraining trains on."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    uri: str
    version: str
    name: str


class Request(BaseModel):
    """A request for a retraining or a work item. `windows`: the scored files that led to it, the oldest first."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    number: int
    model: str
    mode: Mode
    windows: tuple[str, ...]
    reasons: tuple[str, ...]
    requested_at: datetime
    held_until: datetime
    holder: str
    """Holder that may carry it out until then: a unique name."""
    data: TrainingInput | None = None
    run: str | None = None
    """The training run, once it was started."""

    @property
    def name(self) -> str:
        """Return the id that distinguishes the request from all others, such as in the inputs of its training run."""
        return f"retraining-{self.model}-{self.number:06}"

    @property
    def is_pending(self) -> bool:
        """Whether a training run is still to be started."""
        return self.mode == "on_drift" and self.run is None


@dataclass(frozen=True)
class Observation:
    """A scored file, as far as this is concerned: `reasons` are the limits that it breached, empty for none."""

    window: str
    judged: bool
    reasons: tuple[str, ...] = ()


def breaching(observations: Sequence[Observation], number: int, after: str = "") -> tuple[Observation, ...]:
    """Return the newest `number` files that were judged, if all of them breached a limit; else nothing.

    `after` is the newest file of the request before: a file leads to one request. Files that were measured and not
    judged, such as files with few rows, neither count nor break a row.
    """
    judged = [observed for observed in observations if observed.judged and observed.window > after]
    newest = tuple(judged[-number:])
    return newest if len(newest) == number and all(observed.reasons for observed in newest) else ()


def not_before(newest: Request, at_most_every: timedelta) -> datetime:
    """Return the earliest time of the next request."""
    return newest.requested_at + at_most_every


def make(
    model: str,
    mode: Mode,
    observations: Sequence[Observation],
    newest: Request | None,
    holder: str,
    now: datetime,
    data: TrainingInput | None = None,
) -> Request:
    """Return the next request."""
    reasons = dict.fromkeys(reason for observed in reversed(observations) for reason in observed.reasons)
    return Request(
        number=1 if newest is None else newest.number + 1, model=model, mode=mode,
        windows=tuple(observed.window for observed in observations), reasons=tuple(reasons)[:_MOST_REASONS],
        requested_at=now, held_until=now + HOLD, holder=holder, data=data,
    )  # fmt: skip


def training_inputs(request: Request) -> Mapping[str, str]:
    """Return the inputs of the training run. Its key of reuse names the request, by which a later run recognises it."""
    if request.data is None:
        raise ValueError(f"{request.name} has no data to train on")
    return {"data_uri": request.data.uri, "data_version": request.data.version, "reuse_key": request.name}
