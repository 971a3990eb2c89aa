"""A user's machine: the verbs of the Makefile against a localcloud of the tests' own; the user's is not touched."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_STATE = {
    "LOCALCLOUD_STATE_GROUP": "rg-dataopsml-state",
    "LOCALCLOUD_STATE_ACCOUNT": "stdataopsmlstate",
    "LOCALCLOUD_STATE_CONTAINER": "state-local",
}
"""The Makefile's, for commands that run without make."""
ROOT = Path(__file__).resolve().parents[2]
_FIRST, _LAST, _PORTS = 20100, 29000, 5
_EXPORT = re.compile(r"^export (\w+)='(.*)'$")

# Variables that a developer's shell may have and a test must not inherit.
_FOREIGN = ("ARM_", "AZURE_", "AZUREML_", "DATABRICKS_", "MLFLOW_", "PULUMI_")


def free_ports() -> int:
    """Return the first of five consecutive ports on which nothing listens."""
    candidates = list(range(_FIRST, _LAST, _PORTS))
    random.shuffle(candidates)  # another test run may look at the same moment
    for base in candidates:
        sockets = [socket.socket() for _ in range(_PORTS)]
        try:
            for offset, candidate in enumerate(sockets):
                candidate.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        finally:
            for candidate in sockets:
                candidate.close()
        return base
    raise RuntimeError(f"no {_PORTS} consecutive free ports between {_FIRST} and {_LAST}")


@dataclass(frozen=True)
class Result:
    """Result of a command: exit code and its two streams as one text, as a user sees them."""

    code: int
    text: str


@dataclass
class Machine:
    """A user's machine: the place of its localcloud, and commands in its checkout."""

    home: Path
    port: int
    overrides: dict[str, str] = field(default_factory=dict)
    checkout: Path = ROOT

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        own = {"LOCALCLOUD_HOME": self.home, "LOCALCLOUD_PORT": self.port, "TMPDIR": self.scratch} | _STATE
        return clean | {name: str(value) for name, value in own.items()} | self.overrides

    @property
    def scratch(self) -> Path:
        """Return this machine's temporary folder, for programs that read TMPDIR; a JVM does not."""
        folder = self.home.parent / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, *argv: str, env: Mapping[str, str] | None = None, timeout: float = 600) -> Result:
        completed = subprocess.run(
            argv,
            cwd=self.checkout,
            env=self.environment | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(completed.returncode, completed.stdout)

    def start(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command in its own process group without waiting; its output is read from `stdout`."""
        return subprocess.Popen(
            argv, cwd=self.checkout, env=self.environment | dict(env or {}), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def make(self, *words: str, timeout: float = 600) -> Result:
        """`make VERB VARIABLE=…` as a user types it."""
        return self.run("make", *words, timeout=timeout)

    def shell_environment(self) -> dict[str, str]:
        """Return the variables that `eval "$(make env)"` sets."""
        printed = self.make("env")
        assert printed.code == 0, printed.text
        return {match[1]: match[2] for line in printed.text.splitlines() if (match := _EXPORT.match(line))}

    def in_shell(self, *argv: str, env: Mapping[str, str] | None = None, timeout: float = 600) -> Result:
        """Run a command in a shell that evaluated `make env`."""
        return self.run(*argv, env=self.shell_environment() | dict(env or {}), timeout=timeout)

    def python(self, code: str, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
        """Run a user's own script in such a shell."""
        return self.in_shell(sys.executable, "-c", code, *arguments, env=env)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path_factory.mktemp("machine") / "localcloud"
    machine_ = Machine(home=home, port=free_ports())
    yield machine_
    logs = home / "logs"
    machine_.make("down")
    if logs.exists() and (kept := os.environ.get("DATAOPSML_KEEP_LOGS")):
        shutil.copytree(logs, Path(kept) / home.parent.name, dirs_exist_ok=True)
    machine_.make("clean")
