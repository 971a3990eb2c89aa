"""The running localcloud of a home, as seen from outside: its files, its processes, and the code it runs."""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import psutil

from localcloud.core.process_marks import children_folder, marked
from localcloud.core.settings import Settings

_PACKAGE = Path(__file__).resolve().parents[1]
_NOT_SERVED = {"plugins", "language_host", "testing", "__pycache__"}
"""Folders whose code other processes run."""


@dataclass(frozen=True)
class Instance:
    """`pid` is alive and is a localcloud; `fingerprint` names the code that it runs."""

    pid: int
    port: int
    fingerprint: str
    started: float


def state_file(settings: Settings) -> Path:
    """Exists while localcloud is ready."""
    return settings.home / "running.json"


def gateway_mark(settings: Settings) -> Path:
    """Names the gateway's process from the moment it is being started."""
    return settings.home / "gateway.pid"


def running(settings: Settings) -> Instance | None:
    """Return the ready localcloud of this home, None when there is none: the file of a killed one is ignored."""
    process = gateway(settings)
    try:
        state = json.loads(state_file(settings).read_text())
        if process is None or process.pid != int(state["pid"]):
            return None
        return Instance(int(state["pid"]), int(state["port"]), str(state["fingerprint"]), float(state["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def gateway(settings: Settings) -> psutil.Process | None:
    """Return the gateway's process of this home, ready or not."""
    return marked(gateway_mark(settings))


def leftovers(settings: Settings) -> list[psutil.Process]:
    """Children of a gateway, which outlive a killed one."""
    processes = (marked(mark) for mark in children_folder(settings).glob("*.pid"))
    return [process for process in processes if process is not None]


def fingerprint() -> str:
    """Return a hash of localcloud's code, the installed packages and Python: other code means another gateway."""
    digest = hashlib.sha256(sys.version.encode())
    files = [file for file in _PACKAGE.rglob("*") if file.suffix in {".py", ".js", ".json"}]
    for file in sorted([*files, Path(sysconfig.get_path("purelib"))]):  # its time is the last installation's
        if not _NOT_SERVED & set(file.parts):
            stat = file.stat()
            digest.update(f"{file}:{stat.st_mtime_ns}:{stat.st_size}\n".encode())
    return digest.hexdigest()[:16]
