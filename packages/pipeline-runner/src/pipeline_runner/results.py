"""Results, and the status functions of conditions over them.

Source: learn.microsoft.com "Azure Pipelines expressions", job status functions. Without arguments they consider all
direct and indirect dependencies, so that a skipped stage skips later stages although the stage between ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

from pipeline_runner import functions
from pipeline_runner.expressions import evaluate, parse


class Result(StrEnum):
    """Results as Azure Pipelines writes them in expressions."""

    SUCCEEDED = "Succeeded"
    ISSUES = "SucceededWithIssues"
    FAILED = "Failed"
    CANCELED = "Canceled"
    SKIPPED = "Skipped"


_GOOD = (Result.SUCCEEDED, Result.ISSUES)


def ancestors(name: str, edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the direct and indirect dependencies of a name."""
    dependencies: list[str] = []
    waiting = list(edges[name])
    while waiting:
        dependency = waiting.pop()
        if dependency not in dependencies:
            dependencies.append(dependency)
            waiting += edges[dependency]
    return dependencies


def status_functions(
    results: Mapping[str, Result], needed: Iterable[str], *, canceled: bool
) -> dict[str, Callable[..., Any]]:
    """Return the functions for a stage or a job, from the results of others by name and its dependencies `needed`."""
    every = list(needed)

    def chosen(names: tuple[Any, ...]) -> list[Result]:
        return [results[name] for name in (map(str, names) if names else every) if name in results]

    return {
        "always": lambda: True,
        "canceled": lambda: canceled,
        "succeeded": lambda *names: not canceled and all(result in _GOOD for result in chosen(names)),
        "failed": lambda *names: not canceled and any(result is Result.FAILED for result in chosen(names)),
        "succeededorfailed": lambda *names: (
            not canceled and (not names or all(result in (*_GOOD, Result.FAILED) for result in chosen(names)))
        ),
    }


def step_functions(current: Result, *, canceled: bool) -> dict[str, Callable[..., Any]]:
    """Return the functions for a step, from the job's result so far."""
    return {
        "always": lambda: True,
        "canceled": lambda: canceled,
        "succeeded": lambda: not canceled and current in _GOOD,
        "failed": lambda: not canceled and current is Result.FAILED,
        "succeededorfailed": lambda: not canceled,
    }


def holds(condition: str, contexts: Mapping[str, Any], extra: Mapping[str, Callable[..., Any]]) -> bool:
    """Return the value of a condition. Raises ExpressionError."""
    return functions.truth(evaluate(parse(condition), contexts, extra))
