"""The state lock of a killed engine is recognised, also while the machine still lists the engine's process."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from localcloud.engine.stale_locks import is_stale
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed


@pytest.fixture
def engine(tmp_path: Path) -> str:
    """Start a program with the engine's name, which waits until it is killed."""
    return str(shutil.copy(shutil.which("sleep") or "", str(tmp_path / "pulumi")))


def lock_of(process: subprocess.Popen[bytes]) -> dict[str, object]:
    return {"pid": process.pid, "hostname": socket.gethostname()}


@retry(
    retry=retry_if_result(lambda status: status != psutil.STATUS_ZOMBIE),
    wait=wait_fixed(0.01),
    stop=stop_after_delay(30),
)
def wait_until_zombie(process: subprocess.Popen[bytes]) -> str:
    return psutil.Process(process.pid).status()


def test_a_killed_unreaped_engine_holds_no_lock(engine: str) -> None:
    with subprocess.Popen([engine, "600"]) as process:
        assert not is_stale(lock_of(process)), "it still works"

        process.kill()
        wait_until_zombie(process)

        assert is_stale(lock_of(process))
    assert is_stale(lock_of(process)), "now its number is free as well"


def test_the_lock_of_another_machine_is_kept() -> None:
    assert not is_stale({"pid": 1, "hostname": f"not-{socket.gethostname()}"})
