"""The process of one step: its output goes to the terminal and the log, its logging commands to the job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline_runner import logging_commands
from pipeline_runner.logging_commands import Command

_GRACE_SECONDS = 10.0


def run(
    script: str, *, folder: Path, env: Mapping[str, str], log: Path, on_command: Callable[[Command], None], quiet: bool
) -> int:
    """Run a script with `bash -eo pipefail`, as an agent does (`set -e` is the task's); return its exit code.

    Ctrl-C reaches the process as SIGINT, as a cancelled build does. Raises KeyboardInterrupt after its exit.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    timer: threading.Timer | None = None
    try:
        with process.stdout, log.open("a", encoding="utf-8") as file:
            for line in process.stdout:
                file.write(line)
                command = logging_commands.read(line)
                if command is not None:
                    on_command(command)
                elif not quiet:
                    sys.stdout.write(f"      {line}")
                    sys.stdout.flush()
        return process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        timer = threading.Timer(_GRACE_SECONDS, lambda: os.killpg(process.pid, signal.SIGKILL))
        timer.start()
        process.wait()
        raise
    finally:
        if timer is not None:
            timer.cancel()
