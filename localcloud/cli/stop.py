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
    process = instance.starting(settings)
    if process is None:
        sys.stdout.write("localcloud does not run.\n")
        return
    stop_process(process)
    instance.pid_file(settings).unlink(missing_ok=True)
    instance.state_file(settings).unlink(missing_ok=True)
    sys.stdout.write(f"localcloud is stopped. Everything is kept in {settings.home}.\n")


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
    known = {"localcloud.db", "pulumi", "start.lock", "logs"}
    content = {entry.name for entry in settings.home.iterdir()}
    if content and not content & known:
        raise LocalcloudError(f"{settings.home} does not look like a localcloud home: delete it yourself if it is one.")
    if instance.starting(settings) is not None:
        stop(settings)
    shutil.rmtree(settings.home)
    sys.stdout.write(f"Deleted {settings.home}.\n")
