"""LOCALCLOUD_PLUGINS: the vendors' plugins, from PATH and from PULUMI_HOME."""

from __future__ import annotations

import importlib.metadata
import subprocess
from pathlib import Path

import pytest
from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings
from localcloud.engine import pulumi_home, toolchain, vendor_plugins
from localcloud.engine.places import pulumi_home_of
from localcloud.engine.toolchain import Toolchain

VERSION = importlib.metadata.version("pulumi-databricks")
PROGRAM = "pulumi-resource-databricks"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Ask for the vendors' plugins on a machine that has none."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    monkeypatch.setenv("LOCALCLOUD_PLUGINS", "vendor")
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


def executable(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho {text} $*\n")
    file.chmod(0o755)
    return file


def launcher(settings: Settings, tmp_path: Path) -> tuple[pulumi_home.PulumiHome, Path]:
    home = pulumi_home.prepare(settings, executable(tmp_path / "cli" / "pulumi", "v3.259.0"))
    return home, home.home / "plugins" / f"resource-databricks-v{VERSION}" / PROGRAM


def test_a_plugin_on_path_is_started(settings: Settings, tmp_path: Path) -> None:
    plugin = executable(tmp_path / "bin" / PROGRAM, "vendor")

    home, program = launcher(settings, tmp_path)

    assert home.vendor_plugins == {"databricks": plugin}
    started = subprocess.run([program, "127.0.0.1:9"], capture_output=True, text=True, check=True)
    assert started.stdout == "vendor 127.0.0.1:9\n"


@pytest.mark.parametrize("variable", [True, False], ids=["PULUMI_HOME", "the user's folder"])
def test_a_plugin_of_the_sdk_s_version_is_used_from_the_user_s_plugins(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    folder = tmp_path / ("pulumi" if variable else "user/.pulumi")
    if variable:
        monkeypatch.setenv("PULUMI_HOME", str(folder))
    executable(folder / "plugins" / "resource-databricks-v1.0.0" / PROGRAM, "another version")
    plugin = executable(folder / "plugins" / f"resource-databricks-v{VERSION}" / PROGRAM, "vendor")

    assert launcher(settings, tmp_path)[0].vendor_plugins == {"databricks": plugin}


def test_our_own_launchers_are_no_vendor_s(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_PLUGINS", "own")
    home, _ = launcher(settings, tmp_path)
    assert home.vendor_plugins == {}
    monkeypatch.setenv("LOCALCLOUD_PLUGINS", "vendor")
    monkeypatch.setenv("PULUMI_HOME", str(home.home))

    with pytest.raises(LocalcloudError, match=r"pulumi-resource-databricks .* are neither on PATH nor in .*/\.pulumi"):
        launcher(settings, tmp_path)


def test_without_the_variable_a_plugin_on_path_is_not_used(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path / "bin" / PROGRAM, "vendor")
    monkeypatch.delenv("LOCALCLOUD_PLUGINS")

    home, program = launcher(settings, tmp_path)

    assert home.vendor_plugins == {}
    text = program.read_text()
    assert "launcher import main" in text and str(tmp_path / "bin" / PROGRAM) not in text


def test_another_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_PLUGINS", "both")
    with pytest.raises(LocalcloudError, match=r"LOCALCLOUD_PLUGINS is 'both': give own or vendor\."):
        vendor_plugins.choice()


@pytest.mark.parametrize("before", ["", "pulumi"], ids=["no PULUMI_HOME", "PULUMI_HOME"])
def test_the_tools_stay_the_same_in_the_shell_that_got_our_variables(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """`localcloud env` sets PULUMI_HOME to our own, and a `make up` in one process reads the tools again after it."""
    if before:
        monkeypatch.setenv("PULUMI_HOME", str(tmp_path / before))
    own = pulumi_home_of(settings)
    own.mkdir(parents=True)
    tools = Toolchain(
        pulumi=tmp_path, java_home=tmp_path, node=tmp_path, azurite_blob=[], abfs_jars=[], delta_jars=[],
        python=tmp_path, notebook_python=tmp_path, pulumi_home=own, path_entries=[own / "bin"], origins={},
    )  # fmt: skip
    toolchain.write_stamp(settings, tools, [])

    monkeypatch.setenv("PULUMI_HOME", str(own))
    assert toolchain.find(settings) == tools

    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "another"))
    assert toolchain.find(settings) is None
