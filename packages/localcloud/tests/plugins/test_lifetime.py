"""A plugin lives no longer than its engine."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

_ENGINE = """
import subprocess, sys, time
plugin = subprocess.Popen([sys.executable, "-u", "-m", sys.argv[1], "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
print(plugin.pid, plugin.stdout.readline().strip(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("module", ["localcloud.plugins.azure_native", "localcloud.plugins.databricks"])
def test_a_plugin_ends_when_its_engine_was_killed(module: str) -> None:
    engine = subprocess.Popen(
        [sys.executable, "-c", _ENGINE, module], env=dict(os.environ), stdout=subprocess.PIPE, text=True
    )
    assert engine.stdout is not None
    with engine.stdout as output:
        pid, port = output.readline().split()
    plugin = psutil.Process(int(pid))
    assert port.isdigit()

    engine.kill()
    engine.wait()

    try:
        plugin.wait(timeout=60)
    except psutil.TimeoutExpired:
        plugin.kill()
        raise AssertionError(f"{module} outlives its engine") from None
