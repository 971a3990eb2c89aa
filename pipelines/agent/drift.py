"""Differences of `pulumi preview --refresh`, less those reviewed to be no drift (pipelines/agent/tolerated.py).

Reads the engine's events as `pulumi preview --json` streams them with PULUMI_ENABLE_STREAMING_JSON_PREVIEW (its help
names the variable). After its refresh the engine compares the real resources with the program; every step counts
except reads. A step is put aside only if each of its differences is on the list.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.agent.tolerated import ABSENT, TOLERATED, Tolerated, parts

_LOOKING = {"same", "refresh", "read", "read-replacement", "discard"}
"""Operations that change nothing: pulumi's `engine.HasChanges` leaves the same ones out."""


class DriftError(Exception):
    """The comparison did not finish; the text has the engine's message."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A property that differs, or with an empty `path` the whole resource. Values are inputs."""

    urn: str
    type: str
    operation: str
    path: str = ""
    there: Any = ABSENT
    declared: Any = ABSENT

    def __str__(self) -> str:
        name = self.urn.rsplit("::", 1)[-1]
        if not self.path:
            return f"{self.type} {name}: {self.operation}"
        return f"{self.type} {name}: {self.path}: {_render(self.there)} is there, {_render(self.declared)} is declared"


@dataclass
class Comparison:
    """Differences that are drift, and tolerated ones, each with its entry."""

    drift: list[Difference] = field(default_factory=list)
    tolerated: list[tuple[Difference, Tolerated]] = field(default_factory=list)

    def report(self, stack: str) -> str:
        """Return the lines for people; drift comes last, where a work item quotes from."""
        lines = [f"Put aside: {difference}\n  {entry.thread}" for difference, entry in self.tolerated]
        lines += [f"Drift: {difference}" for difference in self.drift]
        count = len(self.drift)
        lines.append(f"{count} difference{'' if count == 1 else 's'} of stack {stack} that should not be there.")
        return "\n".join(lines)


def preview(stack: str, folder: Path) -> list[str]:
    """Return the events of a preview with refresh of a project's stack. Raises DriftError when there are none."""
    completed = subprocess.run(
        ["pulumi", "--non-interactive", "preview", "--stack", stack, "--refresh", "--json"],
        cwd=folder, env={**os.environ, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"},
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if completed.returncode and "summaryEvent" not in completed.stdout:
        raise DriftError(f"The preview did not succeed.\n{completed.stderr.strip() or completed.stdout.strip()}")
    return completed.stdout.splitlines()


def compare(events: Iterable[str], known: Sequence[Tolerated] = TOLERATED) -> Comparison:
    """Sort the differences of one preview.

    Raises DriftError for a line that is no event, and for a preview that failed or stopped before its summary.
    """
    comparison, messages, result = Comparison(), [], ""
    for line in filter(str.strip, events):
        try:
            event = json.loads(line)
            if "diagnosticEvent" in event and event["diagnosticEvent"]["severity"] in ("error", "warning"):
                messages.append(str(event["diagnosticEvent"]["message"]).strip())
            elif "resourcePreEvent" in event:
                _add(comparison, event["resourcePreEvent"]["metadata"], known)
            elif "summaryEvent" in event:
                result = str(event["summaryEvent"]["result"])
        except (ValueError, KeyError, TypeError) as error:
            raise DriftError(f"A line of the preview is no event of its engine: {line.strip()[:500]}") from error
    if result != "succeeded":
        raise DriftError("\n".join(["The preview did not succeed.", *messages]))
    return comparison


def _add(comparison: Comparison, step: Mapping[str, Any], known: Sequence[Tolerated]) -> None:
    if step["op"] in _LOOKING:
        return
    differences = list(_differences(step))
    entries = [_entry_for(difference, known) for difference in differences]
    if None in entries:
        comparison.drift += differences
    else:
        comparison.tolerated += [
            (difference, entry) for difference, entry in zip(differences, entries, strict=True) if entry
        ]


def _entry_for(difference: Difference, known: Sequence[Tolerated]) -> Tolerated | None:
    """Return the first entry of the list that covers a difference."""
    for entry in known:
        if entry.covers(difference.type, difference.path, difference.there, difference.declared):
            return entry
    return None


def _differences(step: Mapping[str, Any]) -> Iterator[Difference]:
    """Return each property that the provider's comparison names; a step without any is one difference as a whole."""
    urn, type_, operation = str(step["urn"]), str(step["type"]), str(step["op"])
    paths = step.get("detailedDiff") or {}
    if operation != "update" or not paths:
        yield Difference(urn=urn, type=type_, operation=operation)
        return
    for path in paths:
        there, declared = _value(step["old"]["inputs"], path), _value(step["new"]["inputs"], path)
        yield Difference(urn=urn, type=type_, operation=operation, path=path, there=there, declared=declared)


def _value(inputs: Any, path: str) -> Any:
    value = inputs
    for part in parts(path):
        known = range(len(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else ()
        if part not in known:
            return ABSENT
        value = value[part]
    return value


def _render(value: Any) -> str:
    return "nothing" if value is ABSENT else json.dumps(value)
