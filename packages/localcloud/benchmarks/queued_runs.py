"""Command jobs that are queued at once, against one job as many times."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from packages.localcloud.benchmarks.pairs import Comparison, seconds
from packages.localcloud.benchmarks.shell import run, shell_environment

_ENDED = ("Completed", "Failed", "Canceled")
_PATIENCE_SECONDS = 900


def measure(count: int) -> Callable[[int], Comparison]:
    """Return the measurement of `count` jobs."""

    def compare(pairs: int) -> Comparison:
        run("make", "up")
        os.environ.update(shell_environment())
        outputs = json.loads(run("pulumi", "stack", "output", "--stack", "local", "--json"))
        client = _client(outputs)
        _run(client, outputs["compute_name"], 1)
        job, floor = [], []
        for _ in range(pairs):
            job.append(seconds(lambda: _run(client, outputs["compute_name"], count)))
            floor.append(count * seconds(lambda: _run(client, outputs["compute_name"], 1)))
        return Comparison(f"{count} jobs queued at once", "one after another", None, job, floor)

    return compare


def _client(outputs: dict[str, Any]) -> Any:
    from azure.ai.ml import MLClient
    from azure.identity import EnvironmentCredential

    return MLClient(
        EnvironmentCredential(), outputs["subscription_id"], outputs["resource_group"], outputs["workspace_name"]
    )


def _run(client: Any, compute: str, count: int) -> None:
    """Submit the jobs side by side and wait for the last. Raises RuntimeError for a failed one."""
    from azure.ai.ml import command

    environment = next(iter(client.environments.list("dataopsml-training")))
    job = command(
        command="python -c pass", environment=f"azureml:{environment.name}:{environment.version}", compute=compute,
        experiment_name="benchmark",
    )  # fmt: skip
    with ThreadPoolExecutor(count) as threads:
        names = [submitted.name for submitted in threads.map(lambda _: client.jobs.create_or_update(job), range(count))]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while names:
        state = client.jobs.get(names[-1]).status
        if state not in _ENDED:
            if time.monotonic() > deadline:
                raise RuntimeError(f"job {names[-1]} is {state} after {_PATIENCE_SECONDS} s")
            time.sleep(0.5)
            continue
        if state != "Completed":
            raise RuntimeError(f"job {names[-1]} is {state}")
        names.pop()
