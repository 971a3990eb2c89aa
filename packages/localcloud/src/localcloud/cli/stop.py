"""`stop` and `clean`."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable

import psutil

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings
from localcloud.engine import python_environments
from localcloud.engine.places import pulumi_home_of
from localcloud.gateway import instance
from localcloud.plugins import launcher

_GRACE_SECONDS = 60
"""A running job has half of it to end its work elsewhere."""
_PROGRESS_SECONDS = 3
_CHILD_SECONDS = 10


def stop(settings: Settings) -> None:
    """Stop the gateway of this home and all that it started; do nothing when it does not run."""
    if not stop_all(settings):
        sys.stdout.write("localcloud does not run.\n")
        return
    sys.stdout.write(f"localcloud is stopped. Everything is kept in {settings.home}.\n")


def stop_all(settings: Settings) -> bool:
    """Stop the gateway, and delete leftovers of a killed one: processes and temporary files.

    False when there was nothing to stop.
    """
    gateway = instance.gateway(settings)
    if gateway is not None:
        stop_process(gateway)
    leftovers = instance.leftovers(settings)
    for child in leftovers:
        stop_process(child)
    with contextlib.suppress(OSError):  # there is no folder, so no host either
        launcher.end_host(str(pulumi_home_of(settings)))
    for file in (instance.gateway_mark(settings), instance.state_file(settings)):
        file.unlink(missing_ok=True)
    for folder in (settings.scratch, settings.home / "drivers"):
        shutil.rmtree(folder, ignore_errors=True)
    return gateway is not None or bool(leftovers)


def stop_process(process: psutil.Process) -> None:
    """Let it end by itself (it stops its children); kill the rest after a minute."""
    try:
        below = process.children(recursive=True)
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs([process], timeout=_PROGRESS_SECONDS)
    if alive:
        sys.stdout.write("Waiting for running jobs to end.\n")
        sys.stdout.flush()
        _, alive = psutil.wait_procs([process], timeout=_GRACE_SECONDS - _PROGRESS_SECONDS)
    _end(alive, psutil.Process.kill)
    left = _end(below, psutil.Process.terminate)  # Azurite still writes its memory to disk
    _end(left, psutil.Process.kill)


def _end(processes: list[psutil.Process], end: Callable[[psutil.Process], None]) -> list[psutil.Process]:
    """End the processes; return processes that still run after a while."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            end(process)
    _, alive = psutil.wait_procs(processes, timeout=_CHILD_SECONDS)
    left: list[psutil.Process] = alive
    return left


def clean(settings: Settings) -> None:
    """Check that the folder is a home: a wrong variable must not delete another folder. Raises LocalcloudError."""
    if not settings.home.exists():
        sys.stdout.write(f"There is nothing in {settings.home}.\n")
        return
    content = {entry.name for entry in settings.home.iterdir()}
    # The first is made by `start`; before that, it has only the engine's launchers.
    if "start.lock" not in content and not content <= {"pulumi"}:
        raise LocalcloudError(
            f"{settings.home} does not look like a localcloud home (LOCALCLOUD_HOME): nothing was deleted."
        )
    stop_all(settings)
    shutil.rmtree(settings.home)
    pruned = python_environments.prune(settings.cache)
    if pruned:
        sys.stdout.write(f"Deleted {len(pruned)} environments of jobs that were long unused.\n")
    sys.stdout.write(f"Deleted {settings.home}.\n")
