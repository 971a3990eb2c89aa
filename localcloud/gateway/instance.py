"""The running localcloud of a home, as seen from outside: its state file, its process, and the code it runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import psutil

from localcloud.core.settings import Settings

_PACKAGE = Path(__file__).resolve().parents[1]


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


def pid_file(settings: Settings) -> Path:
    """Exists from the moment a gateway is being started."""
    return settings.home / "gateway.pid"


def running(settings: Settings) -> Instance | None:
    """The ready localcloud of this home; None when there is none (a killed one leaves its file, which is ignored)."""
    try:
        state = json.loads(state_file(settings).read_text())
        if process_of(int(state["pid"])) is None:
            return None
        return Instance(int(state["pid"]), int(state["port"]), str(state["fingerprint"]), float(state["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def process_of(pid: int) -> psutil.Process | None:
    """The process if it is a gateway: process ids are used again."""
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if "localcloud" in words and "serve" in words else None


def starting(settings: Settings) -> psutil.Process | None:
    """A gateway process of this home, ready or not."""
    try:
        return process_of(int(pid_file(settings).read_text()))
    except (OSError, ValueError):
        return None


def fingerprint() -> str:
    """Changes when a file of localcloud does: a running gateway of other code is started again."""
    digest = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*")):
        if file.suffix in {".py", ".js", ".json"} and "plugins" not in file.parts and "__pycache__" not in file.parts:
            stat = file.stat()
            digest.update(f"{file}:{stat.st_mtime_ns}:{stat.st_size}\n".encode())
    return digest.hexdigest()[:16]
