"""`start`: a gateway in the background, ready before the command ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
from filelock import FileLock

from localcloud.cli.stop import stop_process
from localcloud.core.errors import ConfigurationError, LocalcloudError
from localcloud.core.settings import Settings
from localcloud.gateway import instance

_ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 120
_TAIL_LINES = 15


def start(settings: Settings) -> None:
    """Raises ConfigurationError for a port in use, LocalcloudError when the gateway ends or is not ready in time."""
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)
    (settings.home / ".gitignore").write_text("*\n")
    with FileLock(settings.home / "start.lock"):
        found = instance.running(settings)
        if found is not None and found.fingerprint == instance.fingerprint() and found.port == settings.port:
            _say(f"localcloud runs at {settings.gateway_url} (process {found.pid}).")
            return
        if found is not None:
            _say("localcloud runs other code or ports: it starts again.")
        leftover = instance.starting(settings)
        if leftover is not None:
            stop_process(leftover)
        _check_ports(settings)
        _spawn(settings)


def _spawn(settings: Settings) -> None:
    settings.logs.mkdir(exist_ok=True)
    log = settings.logs / "gateway.log"
    began = time.monotonic()
    environment = {**os.environ, "LOCALCLOUD_HOME": str(settings.home), "LOCALCLOUD_PORT": str(settings.port)}
    environment["DATAOPSML_CACHE"] = str(settings.cache)
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve"],
            cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    instance.pid_file(settings).write_text(str(process.pid))
    told = 0.0
    while instance.running(settings) is None:
        if process.poll() is not None:
            raise LocalcloudError(f"localcloud ended with exit code {process.returncode}:\n{_tail(log, offset)}")
        took = time.monotonic() - began
        if took > _READY_SECONDS:
            stop_process(psutil.Process(process.pid))
            raise LocalcloudError(f"localcloud was not ready after {_READY_SECONDS} s:\n{_tail(log, offset)}")
        if took - told > 3:
            told = took
            _say(f"localcloud starts (gateway, Azurite, MLflow): {took:.0f} s so far")
        time.sleep(0.05)
    _say(f"localcloud is ready at {settings.gateway_url} after {time.monotonic() - began:.1f} s.")


def _check_ports(settings: Settings) -> None:
    names = {
        settings.gateway_port: "gateway", settings.proxy_port: "proxy", settings.azurite_port: "Azurite",
        settings.mlflow_port: "MLflow", settings.identity_port: "identity endpoint",
    }  # fmt: skip
    taken = sorted(port for port in names if _listens(port))
    if not taken:
        return
    holders = _holders(set(taken))
    lines = [f"  {port} (for the {names[port]}) by {holders.get(port, 'another user’s process')}" for port in taken]
    raise ConfigurationError(
        f"localcloud cannot start: {'a port is' if len(taken) == 1 else 'ports are'} in use:\n"
        + "\n".join(lines)
        + "\nStop what holds them, or choose five other ports in a row: LOCALCLOUD_PORT=9900 make up."
    )


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _holders(ports: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for process in psutil.process_iter(["pid", "name"]):
        try:
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports:
                    found[connection.laddr.port] = f"process {process.pid} ({process.info['name']})"
        except psutil.Error:
            continue  # it ended, or is another user's
    return found


def _tail(log: Path, offset: int) -> str:
    with log.open("rb") as stream:
        stream.seek(offset)
        lines = stream.read().decode(errors="replace").splitlines()
    return "\n".join([*lines[-_TAIL_LINES:], f"The whole log is {log}."])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
