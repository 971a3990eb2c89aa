"""Run of every probe in turn: a failure is an answer too, and stops no other probe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from verification.probe import Answer, Kind, Outcome, Probe, skipped
from verification.target import Target

_LONGEST_ERROR = 300


class UnknownProbeError(Exception):
    """A requested probe does not exist; the text names the existing ones."""


def chosen(probes: Sequence[Probe], names: Collection[str]) -> list[Probe]:
    """Return the named probes, or all of them without names. Raises UnknownProbeError."""
    known = [probe.name for probe in probes]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise UnknownProbeError(f"There is no probe {', '.join(unknown)}. There are: {', '.join(known)}.")
    return [probe for probe in probes if not names or probe.name in names]


def ask(
    target: Target, probes: Sequence[Probe], *, allow_changes: bool, tell: Callable[[str], None]
) -> dict[str, Answer]:
    """Ask the probes one after the other; their answers by name."""
    guard = "" if allow_changes else _guard(target, probes)
    answers: dict[str, Answer] = {}
    for probe in probes:
        tell(probe.name)
        answers[probe.name] = _ask(target, probe, guard)
    return answers


def _guard(target: Target, probes: Sequence[Probe]) -> str:
    if not any(probe.kind is Kind.CHANGE for probe in probes):
        return ""
    return target.guarded()


def _ask(target: Target, probe: Probe, guard: str) -> Answer:
    if probe.ask is None:
        return Answer(probe.steps, Outcome.MANUAL)
    if probe.kind is Kind.CHANGE and guard:
        return skipped(f"not asked, for it changes something for a moment and {guard}: --allow-changes asks it")
    try:
        return probe.ask(target)
    except Exception as error:  # every client has errors of its own, and each of them is an answer
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Answer(text[:_LONGEST_ERROR], Outcome.ERROR)
