"""`make up` and a preview with nothing to do, against the preview of an empty program on the same backend."""

from __future__ import annotations

from collections.abc import Callable

from packages.localcloud.benchmarks.empty_program import EMPTY, STACK, program
from packages.localcloud.benchmarks.pairs import Comparison, compare
from packages.localcloud.benchmarks.shell import run, shell_environment


def measure(pairs: int) -> Comparison:
    """Bring the platform up twice before it is measured: the second time nothing is written any more."""
    return _against_empty("warm make up", lambda: run("make", "up"), 1.5, pairs)


def measure_preview(pairs: int) -> Comparison:
    """Preview the platform's own stack, without changes."""
    return _against_empty(
        "preview without changes",
        lambda: run("pulumi", "preview", "--stack", "local", "--expect-no-changes", env=shell_environment()),
        2.5,
        pairs,
    )


def _against_empty(name: str, job: Callable[[], object], aim: float, pairs: int) -> Comparison:
    run("make", "up")
    run("make", "up")
    env = shell_environment()
    with program(EMPTY, env) as empty:
        return compare(
            name,
            job,
            "preview of an empty program",
            lambda: run("pulumi", "preview", "--stack", STACK, cwd=empty, env=env),
            aim=aim,
            pairs=pairs,
        )
