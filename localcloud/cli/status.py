"""`status`: is it running, what are its processes, how much memory do they hold."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import typer

from localcloud.core.settings import Settings
from localcloud.gateway import instance

_MIB = 1024 * 1024


def status(settings: Settings) -> None:
    """Exit code 1 when it does not run."""
    found = instance.running(settings)
    if found is None:
        sys.stdout.write(f"localcloud does not run (home {settings.home}). `make up` starts it.\n")
        raise typer.Exit(1)
    from rich.console import Console
    from rich.table import Table

    process = psutil.Process(found.pid)
    table = Table("process", "pid", "memory MiB", title=f"localcloud at {settings.gateway_url}", title_justify="left")
    table.add_row("gateway", str(found.pid), _memory([process]))
    for child in process.children():
        family = [child, *child.children(recursive=True)]
        table.add_row(_name(child), str(child.pid), _memory(family))
    table.caption = f"up for {(time.time() - found.started) / 60:.0f} min; MLflow at {settings.mlflow_url}"
    Console().print(table)


def _name(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.Error:
        return "ended"
    text = " ".join(words)
    for mark, name in (("azurite.js", "Azurite"), ("mlflow", "MLflow"), ("databricks.runtime", "Spark driver")):
        if mark in text:
            return name
    return Path(words[0]).name if words else process.name()


def _memory(processes: list[psutil.Process]) -> str:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # it ended meanwhile
    return f"{total / _MIB:.0f}"
