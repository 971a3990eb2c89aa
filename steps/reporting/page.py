"""The report as one HTML page that needs nothing from elsewhere, by Jinja2 with autoescape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from steps.reporting import charts
from steps.reporting.content import Content, metric_rows, verdict
from steps.reporting.data import Data


@dataclass(frozen=True)
class Step:
    """A step of the run; `seconds` is None before it has ended."""

    name: str
    status: str
    seconds: float | None = None
    reused: bool = False
    error: str = ""


@dataclass(frozen=True)
class RunFacts:
    """Facts of a run's end that its content lacks: states, durations, and the cause of a failure."""

    name: str = ""
    status: str = "Completed"
    page: str = ""
    steps: Sequence[Step] = ()
    error: str = ""
    """The run's own error, where no step has one."""


def html(content: Content, run: RunFacts) -> str:
    """Return the page."""
    details: Mapping[str, Any] = content.get("details") or {}
    return template("page.html.j2").render(
        content=content, details=details, run=run, verdict=verdict(content, run.status),
        metrics=metric_rows(content), charts=charts, failed=_failed(run), data=Data.of(content),
    )  # fmt: skip


def _failed(run: RunFacts) -> list[Step]:
    return [step for step in run.steps if step.status in ("Failed", "NotResponding")]


@cache
def template(name: str) -> Template:
    """Return a template of a page: every value is escaped, and a name that is not there is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = charts.number
    environment.filters["duration"] = duration
    return environment.get_template(name)


def duration(seconds: float | None) -> str:
    """Return a duration as people read it."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
