"""The tool cache: one folder per tool and version, outside the checkout, whole or not there at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from localcloud.core.errors import LocalcloudError

_LAST_LINES = 25


def platform_tag() -> str:
    """Names the machine's kind, since binaries of one do not run on another: "linux-x86_64"."""
    return f"{platform.system()}-{platform.machine()}".lower()


def digest(*files: Path) -> str:
    """Eight hex digits over the files that pin a tool: a changed pin is another folder of the cache."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:8]


def install(cache: Path, key: str, make: Callable[[Path], None]) -> Path:
    """Return `cache/key`, made by `make(folder)` if it does not exist yet.

    `make` fills a folder beside the final one, which is renamed when it is whole: a killed install leaves no half
    tool. Of two processes that install the same tool, the second waits for the first.
    """
    home = cache / key
    if home.is_dir():
        return home
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalcloudError(
            f"The tool cache {cache} cannot be created ({error.strerror}). "
            "Set LOCALCLOUD_CACHE to a folder that you can write to."
        ) from error
    with (cache / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed by the kernel at any end of this process
        if home.is_dir():
            return home
        work = cache / f"{key}.part"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            make(work)
            work.rename(home)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return home


def run(
    tool: str,
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run one step of installing `tool` and return all it printed; `on_line` sees each line as it comes.

    Raises LocalcloudError naming the tool, the command and the last lines of its output when it fails.
    """
    command_line = shlex.join(str(part) for part in command)
    lines: list[str] = []
    try:
        with subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if on_line:
                    on_line(line.rstrip())
    except OSError as error:
        raise LocalcloudError(f"{tool} could not be installed: `{command_line}` did not start ({error}).") from error
    if process.returncode:
        tail = "".join(deque(lines, maxlen=_LAST_LINES)).rstrip() or "(it printed nothing)"
        raise LocalcloudError(
            f"{tool} could not be installed: `{command_line}` ended with exit code {process.returncode}. "
            f"Its last lines:\n{tail}"
        )
    return "".join(lines)
