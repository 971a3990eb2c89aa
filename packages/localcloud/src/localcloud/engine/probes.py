"""Probes for usable tools of the machine: programs on PATH (and JAVA_HOME), with their version.

Each probe starts the program, 10 to 200 ms; `toolchain.find` remembers the answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localcloud.engine.places import machine_path
from localcloud.engine.versions import (
    JAVA_MAXIMUM,
    JAVA_MINIMUM,
    NODE_MINIMUM,
    PULUMI_MINIMUM,
    go_minimum,
    parse_version,
)

_PROBE_SECONDS = 20


@dataclass(frozen=True)
class Program:
    """A usable program of the machine: its real path and its version as it printed it."""

    path: Path
    version: str


def find_pulumi() -> Program | None:
    """Return a Pulumi CLI of at least PULUMI_MINIMUM. Its language host may be missing: see `has_language_host`."""
    for path in _programs("pulumi"):
        version = _answer([path, "version"])
        if version and parse_version(version) >= PULUMI_MINIMUM:
            return Program(path, version.strip().removeprefix("v"))
    return None


def has_language_host(pulumi: Path) -> bool:
    """Whether the official Python language host is beside this CLI, where the engine searches for it."""
    return os.access(pulumi.parent / "pulumi-language-python", os.X_OK)


def find_java() -> Program | None:
    """Return a Java of a release that Spark 4.0 supports; `path` is its home. JAVA_HOME comes before PATH."""
    candidates = [*_java_home_programs(), *_programs("java")]
    for path in candidates:
        # -UsePerfData: each JVM would otherwise leave a folder in the machine's temporary folder.
        answer = _answer([path, "-XX:-UsePerfData", "-XshowSettings:properties", "-version"]) or ""
        properties = dict(
            (key.strip(), value.strip()) for key, sign, value in (x.partition("=") for x in answer.splitlines()) if sign
        )
        version = parse_version(properties.get("java.version", ""))
        home = properties.get("java.home", "")
        if home and JAVA_MINIMUM <= version[:1] <= JAVA_MAXIMUM and (Path(home) / "bin" / "java").is_file():
            return Program(Path(home), properties["java.version"])
    return None


def find_node() -> Program | None:
    """Return Node of at least NODE_MINIMUM; `path` is the program itself, even behind a shim on PATH."""
    for path in _programs("node"):
        answer = _answer([path, "-p", "JSON.stringify([process.versions.node, process.execPath])"])
        if answer:
            version, program = json.loads(answer)
            if parse_version(version) >= NODE_MINIMUM:
                return Program(Path(program), version)
    return None


def find_npm() -> Path | None:
    """Return npm on PATH (some distributions package it apart from Node)."""
    return next(_programs("npm"), None)


def find_go() -> Program | None:
    """Return Go of at least the release in pulumi_cli/go.mod."""
    for path in _programs("go"):
        version = _answer([path, "env", "GOVERSION"])
        if version and parse_version(version) >= go_minimum():
            return Program(path, version.strip().removeprefix("go"))
    return None


def _java_home_programs() -> list[Path]:
    home = os.environ.get("JAVA_HOME")
    program = Path(home) / "bin" / "java" if home else None
    return [program] if program and program.is_file() else []


def _programs(name: str) -> Iterator[Path]:
    """Yield every program of that name on the machine's PATH, in its order, by real path and each once."""
    visited: set[Path] = set()
    for folder in machine_path().split(os.pathsep):
        located = shutil.which(name, path=folder)
        # A version manager's shim decides by its name, so the link itself is run.
        if located and (path := Path(located).absolute()) not in visited:
            visited.add(path)
            yield path


def _answer(command: list[str | Path]) -> str | None:
    """Return the program's output, None when it does not run or fails: then it is not usable."""
    try:
        # GOTOOLCHAIN is local: Go would otherwise answer with (and download) the release of a go.mod around it.
        completed = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PROBE_SECONDS,
            env={**os.environ, "GOTOOLCHAIN": "local", "PULUMI_SKIP_UPDATE_CHECK": "true"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return completed.stdout if completed.returncode == 0 else None
