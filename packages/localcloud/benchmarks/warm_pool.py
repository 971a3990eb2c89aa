"""`python -m benchmarks.warm_pool`: return when the stack's instance pool has an idle instance."""

from __future__ import annotations

import json
import sys
import time

from databricks.sdk import WorkspaceClient

from packages.localcloud.benchmarks.shell import CommandFailed, run

_PATIENCE_SECONDS = 480
"""The archive of classes, an instance and its exercise wait up to two minutes each until the machine is quiet."""


def main() -> None:
    """Wait for an idle instance of the pool; exit with a message when there is none in time."""
    outputs = json.loads(run("pulumi", "stack", "output", "--stack", "local", "--json"))
    pools = WorkspaceClient(host=outputs["databricks_host"]).instance_pools
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        stats = pools.get(outputs["instance_pool_id"]).stats
        if stats is not None and (stats.idle_count or 0) > 0:
            return
        time.sleep(0.5)
    sys.exit(f"instance pool {outputs['instance_pool_id']} has no idle instance after {_PATIENCE_SECONDS} s")


if __name__ == "__main__":
    try:
        main()
    except CommandFailed as error:
        sys.exit(str(error))
