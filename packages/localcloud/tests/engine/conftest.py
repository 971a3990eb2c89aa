"""The engine under test: the real Pulumi CLI with our language host, and state in a folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from localcloud.core.settings import load_settings
from localcloud.engine import places
from localcloud.engine.provision import ensure
from localcloud.engine.toolchain import Toolchain

Pulumi = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def toolchain(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """Return all tools, from the usual cache, with a home of their own."""
    return ensure(replace(load_settings(), home=tmp_path_factory.mktemp("home")))


@pytest.fixture
def pulumi_environment(toolchain: Toolchain, tmp_path: Path) -> dict[str, str]:
    """Return the variables of a shell in which `pulumi` keeps its state in the test's folder."""
    state = tmp_path / "state"
    state.mkdir()
    settings = replace(load_settings(), home=toolchain.pulumi_home.parent)
    return {
        **os.environ,
        **places.pulumi_environment(settings),
        "PATH": os.pathsep.join([*map(str, toolchain.path_entries), os.environ["PATH"]]),
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
        "NO_COLOR": "1",
    }


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Write a Pulumi project: its program's text, and options for its `runtime`."""

    def write(source: str, options: str = "{}") -> Path:
        folder = tmp_path / "program"
        folder.mkdir(exist_ok=True)
        (folder / "Pulumi.yaml").write_text(f"name: tiny\nruntime:\n  name: python\n  options: {options}\n")
        (folder / "__main__.py").write_text(source)
        return folder

    return write


@pytest.fixture
def pulumi(toolchain: Toolchain, pulumi_environment: dict[str, str]) -> Pulumi:
    """Run `pulumi ARGUMENTS` in a folder and return its result."""

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [toolchain.pulumi, *arguments, "--non-interactive"],
            cwd=folder,
            env=pulumi_environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
