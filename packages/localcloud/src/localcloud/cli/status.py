"""`status`: whether it is running, its processes, and their memory."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil

from localcloud.core.settings import Settings
from localcloud.gateway import instance

_MIB = 1024 * 1024
_MLFLOW = "MLflow"


def status(settings: Settings) -> bool:
    """Print it; False when it does not run."""
    current = instance.running(settings)
    if current is None:
        sys.stdout.write(f"localcloud does not run (home {settings.home}). `localcloud start` starts it.\n")
        return False
    from rich.console import Console
    from rich.table import Column, Table

    gateway = psutil.Process(current.pid)
    table = Table("process", "pid", "ports", Column("memory MiB", justify="right"))
    gateway_ports = (settings.gateway_port, settings.proxy_port, settings.identity_port)
    table.add_row("gateway", str(gateway.pid), ", ".join(map(str, gateway_ports)), _memory([gateway]))
    children = [(child, *_role(child, settings)) for child in gateway.children()]
    for child, name, port in children:
        table.add_row(name, str(child.pid), port, _memory([child, *child.children(recursive=True)]))
    if all(name != _MLFLOW for _, name, _ in children):
        table.add_row(f"{_MLFLOW}, when it is needed", "", str(settings.mlflow_port), "")
    minutes = (time.time() - current.started) / 60
    sys.stdout.write(f"localcloud runs at {settings.gateway_url} (home {settings.home}), for {minutes:.0f} min.\n")
    Console().print(table)
    if current.fingerprint != instance.fingerprint():
        sys.stdout.write("Other code or packages are installed than it runs: `localcloud start` starts it again.\n")
    sys.stdout.write('pages: localcloud open   logs: localcloud logs   variables: eval "$(localcloud env)"\n')
    return True


def _role(process: psutil.Process, settings: Settings) -> tuple[str, str]:
    """Return a child's name and the port that it listens on."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return "ended", ""
    text = " ".join(words)
    for mark, name, port in (
        ("azurite.js", "Azurite", str(settings.azurite_port)),
        ("localcloud.azureml.mlflow.server", _MLFLOW, str(settings.mlflow_port)),
        ("databricks/runtime/start.py", "Spark driver", ""),
        ("azureml_inference_server_http", "online deployment", ""),
    ):
        if mark in text:
            return name, port
    return Path(words[0]).name if words else process.name(), ""


def _memory(processes: list[psutil.Process]) -> str:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # it ended meanwhile
    return f"{total / _MIB:.0f}"
