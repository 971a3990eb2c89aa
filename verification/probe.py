"""A probe: a belief about Azure, its basis, and the question to a stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verification.target import Target


class Kind(Enum):
    """Reads change nothing; changes restore their object; manual probes are steps for a person."""

    READ = "read"
    CHANGE = "change"
    MANUAL = "manual"


class Outcome(Enum):
    """Verdict of an answer on the belief."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    MEASURED = "measured"
    SKIPPED = "skipped"
    MANUAL = "manual"
    ERROR = "error"


@dataclass(frozen=True)
class Answer:
    """`text` is the observation, in a few words."""

    text: str
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Probe:
    """`basis` names the document, thread or source of the belief. Manual probes have `steps` and no `ask`."""

    name: str
    believed: str
    basis: str
    kind: Kind = Kind.READ
    ask: Callable[[Target], Answer] | None = None
    steps: str = ""


def judged(text: str, *, holds: bool) -> Answer:
    """Return an answer that agrees with the belief, or contradicts it."""
    return Answer(text, Outcome.HOLDS if holds else Outcome.CONTRADICTED)


def measured(text: str) -> Answer:
    """Return an answer that is a number: no belief depends on it."""
    return Answer(text, Outcome.MEASURED)


def skipped(text: str) -> Answer:
    """Return the reason why the probe does not apply to this stack."""
    return Answer(text, Outcome.SKIPPED)
