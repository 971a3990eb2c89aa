"""`stop` and `clean`."""

from __future__ import annotations

import shutil
import sys

import psutil

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings
from localcloud.gateway import instance

_GRACE_SECONDS = 30


def stop(settings: Settings) -> None:
    """Stop the gateway of this home and all that it started. Not an error when it does not run."""
    if not stop_all(settings):
        sys.stdout.write("localcloud does not run.\n")
        return
    sys.stdout.write(f"localcloud is stopped. Everything is kept in {settings.home}.\n")


def stop_all(settings: Settings) -> bool:
    """The gateway, if there is one, and what a killed one left; False when there was nothing to stop."""
    gateway = instance.gateway(settings)
    if gateway is not None:
        stop_process(gateway)
    leftovers = instance.leftovers(settings)
    for child in leftovers:
        stop_process(child)
    for file in (instance.gateway_mark(settings), instance.state_file(settings)):
        file.unlink(missing_ok=True)
    return gateway is not None or bool(leftovers)


def stop_process(process: psutil.Process) -> None:
    """Let it end by itself (it stops its children); what is left after half a minute is killed."""
    try:
        below = process.children(recursive=True)
        process.terminate()
    except psutil.NoSuchProcess:
        return
    try:
        process.wait(_GRACE_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
    _, alive = psutil.wait_procs(below, timeout=5)
    for one in alive:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=5)


def clean(settings: Settings) -> None:
    """Raises LocalcloudError when the home does not look like one: a wrong variable must not cost a folder."""
    if not settings.home.exists():
        sys.stdout.write(f"There is nothing in {settings.home}.\n")
        return
    content = {entry.name for entry in settings.home.iterdir()}
    # The first is made by `start`; before that, only the engine wrote its launchers.
    if "start.lock" not in content and not content <= {"pulumi"}:
        raise LocalcloudError(
            f"{settings.home} does not look like a localcloud home (LOCALCLOUD_HOME): nothing was deleted."
        )
    stop_all(settings)
    shutil.rmtree(settings.home)
    sys.stdout.write(f"Deleted {settings.home}.\n")
