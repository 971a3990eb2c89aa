"""`start`: a gateway in the background, ready before the command ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from localcloud.arm import registrations
from localcloud.core import process_marks
from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings, keep
from localcloud.gateway import instance, ports

_ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 120
_TAIL_LINES = 15
_SIGN_INS = ("ARM_", "AZURE_", "AZUREML_", "DATABRICKS_", "IDENTITY_", "MSI_", "PULUMI_", "SYSTEM_ACCESSTOKEN")
"""Variables with which a shell signs in. The gateway needs none, and notebooks can read their parents' variables."""
_LOG_BYTES = 20 * 1024 * 1024


def start(settings: Settings, namespaces: Sequence[str] = ()) -> None:
    """Start it, with `namespaces` registered; register missing ones with a running one.

    Raises ConfigurationError for a port in use, LocalcloudError when the gateway exits or is not ready in time.
    """
    if _runs_as_wanted(instance.running(settings), settings):
        registrations.ensure(settings.database, namespaces)
        return
    from localcloud.cli.stop import stop_all  # these take a while to import
    from localcloud.engine import provision

    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)
    (settings.home / ".gitignore").write_text("*\n")
    with _alone(settings):
        current = instance.running(settings)
        if _runs_as_wanted(current, settings):
            registrations.ensure(settings.database, namespaces)
            return
        if current is not None:
            _say("localcloud runs other code or ports: it starts again.")
        stop_all(settings)
        provision.ensure(settings)
        ports.check(settings)
        keep(settings)
        registrations.ensure(settings.database, namespaces)
        _spawn(settings)


def _runs_as_wanted(current: instance.Instance | None, settings: Settings) -> bool:
    """Whether it is of this code and on these ports; if so, print it."""
    if current is None or current.fingerprint != instance.fingerprint() or current.port != settings.port:
        return False
    _say(f"localcloud runs at {settings.gateway_url} (process {current.pid}).")
    return True


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the lock of this home; print a line when another start has it."""
    from filelock import FileLock, Timeout  # takes a while to import, and is not needed while localcloud runs

    lock = FileLock(settings.home / "start.lock")
    try:
        lock.acquire(timeout=0.5)
    except Timeout:
        _say("Another start of this localcloud is under way: waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _spawn(settings: Settings) -> None:
    settings.logs.mkdir(exist_ok=True)
    log = settings.logs / "gateway.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    began = time.monotonic()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SIGN_INS)}
    environment = {**kept, "LOCALCLOUD_HOME": str(settings.home), "LOCALCLOUD_PORT": str(settings.port)}
    environment["LOCALCLOUD_CACHE"] = str(settings.cache)
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve"],
            cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    process_marks.write_mark(instance.gateway_mark(settings), process.pid)
    reported_at = 0.0
    while instance.running(settings) is None:
        if process.poll() is not None:
            raise LocalcloudError(f"localcloud ended with exit code {process.returncode}:\n{_tail(log, offset)}")
        took = time.monotonic() - began
        if took > _READY_SECONDS:
            from localcloud.cli.stop import stop_process

            stop_process(psutil.Process(process.pid))
            raise LocalcloudError(f"localcloud was not ready after {_READY_SECONDS} s:\n{_tail(log, offset)}")
        if took - reported_at > 3:
            reported_at = took
            _say(f"localcloud starts (gateway, Azurite): {took:.0f} s so far")
        time.sleep(0.05)
    _say(f"localcloud is ready at {settings.gateway_url} after {time.monotonic() - began:.1f} s.")


def _tail(log: Path, offset: int) -> str:
    with log.open("rb") as stream:
        stream.seek(offset)
        lines = stream.read().decode(errors="replace").splitlines()
    return "\n".join([*lines[-_TAIL_LINES:], f"The whole log is {log}."])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
