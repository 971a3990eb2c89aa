"""A plugin lives no longer than its engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import psutil
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

_ENGINE = """
import subprocess, sys, time
plugin = subprocess.Popen([sys.executable, "-u", "-m", sys.argv[1], "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
print(plugin.pid, plugin.stdout.readline().strip(), flush=True)
time.sleep(600)
"""

_BUSY = """
import asyncio, time
from localcloud.plugins.serving import serve

class Busy:
    async def create(self, request):
        print("busy", flush=True)
        await asyncio.to_thread(time.sleep, 600)

serve(Busy(), "1.0.0")
"""
"""A provider whose request pauses in a thread before it tries again."""


@pytest.mark.parametrize("module", ["localcloud.plugins.azure_native", "localcloud.plugins.databricks"])
def test_a_plugin_stops_when_its_engine_was_killed(module: str) -> None:
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

    _wait_for_end(plugin, module)


def test_a_request_waiting_for_a_retry_does_not_keep_a_plugin_running(tmp_path: Path) -> None:
    program = tmp_path / "busy.py"
    program.write_text(_BUSY)
    plugin = subprocess.Popen([sys.executable, "-u", str(program), "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    assert plugin.stdout is not None
    with plugin.stdout as output:
        stub: Any = provider_pb2_grpc.ResourceProviderStub(
            grpc.insecure_channel(f"127.0.0.1:{output.readline().strip()}")
        )
        answer = stub.Create.future(provider_pb2.CreateRequest(urn="urn:pulumi:s::p::busy:index:Thing::name"))
        assert output.readline() == "busy\n"

        plugin.terminate()

        _wait_for_end(psutil.Process(plugin.pid), "a plugin that waits")
    assert answer.code() is not grpc.StatusCode.OK
    assert plugin.wait() == 0


def _wait_for_end(plugin: psutil.Process, name: str) -> None:
    try:
        plugin.wait(timeout=60)
    except psutil.TimeoutExpired:
        plugin.kill()
        raise AssertionError(f"{name} outlives its engine") from None
