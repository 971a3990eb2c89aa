"""`pulumi up` of the local stack from nothing, against the engine registering as many resources that do nothing."""

from __future__ import annotations

import json
import sys

from packages.localcloud.benchmarks.empty_program import NO_OPS, STACK, program
from packages.localcloud.benchmarks.own_cloud import own_cloud
from packages.localcloud.benchmarks.pairs import Comparison, compare
from packages.localcloud.benchmarks.shell import ROOT, run

_UP = ("up", "--yes", "--skip-preview")
_DESTROY = ("destroy", "--yes", "--skip-preview")


def measure(pairs: int) -> Comparison:
    """Both stacks are destroyed before each pair."""
    with own_cloud() as (_, env):
        stack = ("--stack", "local")
        run("pulumi", "stack", "select", "local", "--create", env=env)
        run("pulumi", *_UP, *stack, env=env)
        state = json.loads(run("pulumi", "stack", "export", *stack, env=env))
        source = NO_OPS.format(count=len(state["deployment"]["resources"]))
        with program(source, env) as empty:

            def destroy() -> None:
                run("pulumi", *_DESTROY, *stack, env=env)
                run(sys.executable, "-m", "infra.purge", *stack, cwd=ROOT, env=env)
                run("pulumi", *_DESTROY, "--stack", STACK, cwd=empty, env=env)

            return compare(
                "pulumi up from nothing",
                lambda: run("pulumi", *_UP, *stack, env=env),
                "as many resources that do nothing",
                lambda: run("pulumi", *_UP, "--stack", STACK, cwd=empty, env=env),
                aim=1.5,
                pairs=pairs,
                before=destroy,
            )
