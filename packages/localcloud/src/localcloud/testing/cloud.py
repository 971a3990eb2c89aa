"""A running localcloud for all tests of its services: a home, ports and principals of the tests' own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.cli.env import variables
from localcloud.core.settings import Settings, load_settings
from localcloud.engine import provision

RESOURCE_PROVIDERS = (
    "Microsoft.Compute",
    "Microsoft.ContainerRegistry",
    "Microsoft.Databricks",
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.Logic",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
)
"""The namespaces that a subscription must be registered for before tests can deploy into it."""

_FIRST, _LAST, _PORTS = 29100, 32000, 5
_HOME = "a home with a long path " + "-" * 60
"""A path with spaces, and longer than the address of a socket: a user's may be."""


@dataclass(frozen=True)
class Cloud:
    """`environment` is the output of `localcloud env`."""

    settings: Settings
    environment: dict[str, str]

    def command(self, *words: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        """`python -m localcloud WORDS` against this one."""
        own = {
            "LOCALCLOUD_HOME": str(self.settings.home),
            "LOCALCLOUD_PORT": str(self.settings.port),
            "LOCALCLOUD_CACHE": str(self.settings.cache),
            "LOCALCLOUD_STATE_GROUP": self.settings.state.group,
            "LOCALCLOUD_STATE_ACCOUNT": self.settings.state.account,
            "LOCALCLOUD_STATE_CONTAINER": self.settings.state.container,
        }
        return subprocess.run(
            [sys.executable, "-m", "localcloud", *words], env={**os.environ, **own, **extra}, input=stdin,
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip


def free_port() -> int:
    """Return the first of five free ports in a row. The choice is random: two test runs may search at once."""
    candidates = list(range(_FIRST, _LAST, _PORTS))
    random.shuffle(candidates)
    for first in candidates:
        sockets = [socket.socket() for _ in range(_PORTS)]
        try:
            for offset, candidate in enumerate(sockets):
                candidate.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        finally:
            for candidate in sockets:
                candidate.close()
        return first
    raise RuntimeError(f"no {_PORTS} free ports in a row between {_FIRST} and {_LAST}")


@contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """Start a localcloud with its home in a folder, by the command that users start it with; stop it afterwards."""
    settings = Settings(home=folder / _HOME, port=free_port(), cache=load_settings().cache)
    provision.ensure(settings)
    cloud = Cloud(settings, {})
    started = cloud.command("start", "--register", ",".join(RESOURCE_PROVIDERS))
    try:
        assert started.returncode == 0, started.stderr + started.stdout
        cloud.environment.update(variables(settings))
        yield cloud
    finally:
        cloud.command("stop")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a localcloud that is started once per test run."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud
