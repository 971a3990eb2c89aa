"""Results, and the status functions of conditions over them.

Source: learn.microsoft.com "Azure Pipelines expressions", job status functions. Without arguments they look at all
direct and indirect dependencies, so that a skipped stage skips what comes after it although the stage between ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

from pipeline_runner import functions
from pipeline_runner.expressions import evaluate, parse


class Result(StrEnum):
    """As Azure Pipelines writes them in expressions."""

    SUCCEEDED = "Succeeded"
    ISSUES = "SucceededWithIssues"
    FAILED = "Failed"
    CANCELED = "Canceled"
    SKIPPED = "Skipped"


_GOOD = (Result.SUCCEEDED, Result.ISSUES)


def ancestors(name: str, edges: Mapping[str, Iterable[str]]) -> list[str]:
    """All that `name` depends on, directly or not."""
    found: list[str] = []
    open_ = list(edges[name])
    while open_:
        one = open_.pop()
        if one not in found:
            found.append(one)
            open_ += edges[one]
    return found


def status_functions(
    results: Mapping[str, Result], needed: Iterable[str], *, canceled: bool
) -> dict[str, Callable[..., Any]]:
    """For a stage or a job: `results` of the others by name, `needed` those that it depends on."""
    every = list(needed)

    def chosen(names: tuple[Any, ...]) -> list[Result]:
        return [results[name] for name in (map(str, names) if names else every) if name in results]

    return {
        "always": lambda: True,
        "canceled": lambda: canceled,
        "succeeded": lambda *names: not canceled and all(one in _GOOD for one in chosen(names)),
        "failed": lambda *names: not canceled and any(one is Result.FAILED for one in chosen(names)),
        "succeededorfailed": lambda *names: (
            not canceled and (not names or all(one in (*_GOOD, Result.FAILED) for one in chosen(names)))
        ),
    }


def step_functions(current: Result, *, canceled: bool) -> dict[str, Callable[..., Any]]:
    """For a step: the job's result so far."""
    return {
        "always": lambda: True,
        "canceled": lambda: canceled,
        "succeeded": lambda: not canceled and current in _GOOD,
        "failed": lambda: not canceled and current is Result.FAILED,
        "succeededorfailed": lambda: not canceled,
    }


def holds(condition: str, contexts: Mapping[str, Any], extra: Mapping[str, Callable[..., Any]]) -> bool:
    """Whether what has this condition runs. Raises ExpressionError."""
    return functions.truth(evaluate(parse(condition), contexts, extra))
