"""Virtual environments of jobs and notebook runs: built once by uv for each set of requirements.

An environment is <cache>/environments/KEY, where KEY is a hash of the interpreter's version, the platform and the
requirements. It counts only with the file `built` in it, which is written last: a killed build leaves no half
environment in use. That file lists the packages, so that an environment into which a job has installed another one is
built again. It is built where it stays, since programs in bin/ name their interpreter by its full path. uv links files
from its own cache where the file systems allow it: an environment whose packages uv has seen costs two seconds and
little disk. Bytecode is made at the first import: compiling everything at once would take ten times as long.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.engine import python_runtime
from localcloud.engine.install import platform_tag

BUILD_LOG = "build.log"
"""File in an environment's folder with uv's output of the build."""
_BUILT = "built"
_REQUIREMENTS = "requirements.txt"
_UV = [sys.executable, "-m", "uv"]
_TAIL_LINES = 20
_DAY = 24 * 3600.0
_UNUSED_SECONDS = 7 * _DAY
_MOST_ENVIRONMENTS = 8
_OWN_VARIABLES = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT")
"""Variables of the shell that started localcloud which would lead uv to another environment than the one it builds."""


class BuildError(LocalcloudError):
    """An environment that could not be built. `log` is the end of the build's log."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(f"{message}\n{log}")
        self.message = message
        self.log = log


def ensure(
    cache: Path, name: str, python: Path, requirements: str, log: Path, *,
    options: Sequence[str] = (), finish: Callable[[Path], None] = lambda home: None,
) -> Path:  # fmt: skip
    """Return the folder of a virtual environment that has exactly `requirements` (the lines of a requirements file).

    `name` is for people, in log and messages; `python` is an interpreter; `log` is a file that the build's output is
    added to, and that stays empty when the environment is there already. `options` are added to `uv pip install`;
    `finish` is called with the folder after it. Callers that want the same environment at once wait for each other,
    whichever processes they are in. Raises BuildError when uv fails.
    """
    version = python_runtime.version_of(python)
    if version is None:
        message = f"The environment '{name}' cannot be built: {python} is no usable Python interpreter."
        raise BuildError(message, "")
    if installed := find(cache, python, requirements, options=options):
        return installed
    home = cache / "environments" / _key(version, requirements, options)
    home.parent.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        if not _is_whole(home):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            try:
                with log.open("a", encoding="utf-8") as output:
                    _build(home, name, python, requirements, options, output.fileno())
                finish(home)
            except BaseException:
                shutil.rmtree(home)
                raise
            shutil.copyfile(log, home / BUILD_LOG)
            (home / _BUILT).write_text(_packages(home), encoding="utf-8")
    return home


def find(cache: Path, python: Path, requirements: str, *, options: Sequence[str] = ()) -> Path | None:
    """Return the environment if it is built, and note that it is used; None if it is not built."""
    version = python_runtime.version_of(python)
    home = cache / "environments" / _key(version or "", requirements, options)
    if not _is_whole(home):
        return None
    mark_used(home)
    return home


def mark_used(home: Path) -> None:
    """Keep an environment from being pruned for another week."""
    (home / _BUILT).touch()


def prune(cache: Path) -> list[Path]:
    """Delete environments that have not been used for a week, and the oldest beyond eight; return the deleted ones.

    Localclouds of other checkouts share the cache: environments that were used within a day stay in any case.
    """
    homes = [home for home in (cache / "environments").glob("*") if home.is_dir()]
    homes.sort(key=_last_used, reverse=True)
    now = time.time()
    deleted = []
    for index, home in enumerate(homes):
        limit = _UNUSED_SECONDS if index < _MOST_ENVIRONMENTS else _DAY
        if now - _last_used(home) > limit:
            with _locked(home):
                if home.is_dir() and now - _last_used(home) > limit:  # no process used or deleted it meanwhile
                    (home / _BUILT).unlink(missing_ok=True)
                    shutil.rmtree(home)
                    deleted.append(home)
                if not home.is_dir():
                    _lock_file(home).unlink()
    return deleted


def _key(version: str, requirements: str, options: Sequence[str]) -> str:
    return hashlib.sha256("\0".join((version, platform_tag(), requirements, *options)).encode()).hexdigest()


def _is_whole(home: Path) -> bool:
    """Whether it was built to the end, has the same packages still, and its interpreter is on the machine."""
    try:
        built = (home / _BUILT).read_text(encoding="utf-8")
    except OSError:
        return False
    return built == _packages(home) and (home / "bin" / "python").exists()


def _packages(home: Path) -> str:
    """Return a line for each installed package: its name and version, as in its metadata folder's name."""
    return "\n".join(sorted(entry.name for entry in home.glob("lib/python*/site-packages/*.dist-info")))


def _last_used(home: Path) -> float:
    """Return the time of the last use, in seconds since the epoch; 0 for an environment that is deleted meanwhile."""
    for file in (home / _BUILT, home):
        with contextlib.suppress(FileNotFoundError):
            return file.stat().st_mtime
    return 0.0


def _lock_file(home: Path) -> Path:
    return home.with_name(f"{home.name}.lock")


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    file = _lock_file(home)
    while True:
        with file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # freed by the kernel at any end of this process
            if _is_open_file(lock.fileno(), file):
                yield
                return


def _is_open_file(descriptor: int, file: Path) -> bool:
    """Return whether the path leads to the open file still: `prune` may have deleted it while this one waited."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _build(home: Path, name: str, python: Path, requirements: str, options: Sequence[str], output: int) -> None:
    (home / _REQUIREMENTS).write_text(requirements, encoding="utf-8")
    os.write(output, f"Building the environment '{name}' with {python}\n".encode())
    _uv(["venv", "--quiet", "--allow-existing", "--no-project", "--python", python, home], home, name, output)
    if any(line.strip() and not line.lstrip().startswith("#") for line in requirements.splitlines()):
        install: list[str | Path] = ["pip", "install", "--no-progress", "--python", home / "bin" / "python"]
        _uv([*install, *options, "-r", home / _REQUIREMENTS], home, name, output)
    os.write(output, f"The environment '{name}' is built.\n".encode())


def _uv(arguments: list[str | Path], home: Path, name: str, output: int) -> None:
    command_line = shlex.join(["uv", *map(str, arguments)])
    os.write(output, f"$ {command_line}\n".encode())
    environment = {key: value for key, value in os.environ.items() if key not in _OWN_VARIABLES}
    with subprocess.Popen(
        [*_UV, *map(str, arguments)], cwd=home, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            os.write(output, line)
            lines.append(line.decode("utf-8", "replace").rstrip())
    if process.returncode:
        raise BuildError(
            f"The environment '{name}' cannot be built: `{command_line}` ended with exit code {process.returncode}.",
            "\n".join(lines[-_TAIL_LINES:]),
        )
