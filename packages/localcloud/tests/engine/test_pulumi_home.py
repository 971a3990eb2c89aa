"""PULUMI_HOME: launchers that work from any folder, and a language host where the engine takes it."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest
from localcloud.core.settings import Settings
from localcloud.engine import pulumi_home
from localcloud.engine.places import pulumi_environment


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def pulumi(tmp_path: Path) -> Path:
    file = tmp_path / "elsewhere" / "pulumi"
    file.parent.mkdir()
    file.write_text("#!/bin/sh\necho v3.259.0\n")
    file.chmod(0o755)
    return file


def test_our_language_host_is_added_to_a_cli_without_one(settings: Settings, pulumi: Path, tmp_path: Path) -> None:
    home = pulumi_home.prepare(settings, pulumi)

    assert home.home == settings.home / "pulumi"
    assert home.path_entries == [home.home / "bin"]
    assert home.pulumi == home.home / "bin" / "pulumi"
    assert not home.pulumi.is_symlink(), "the engine would look beside the link's target"
    host = home.home / "bin" / "pulumi-language-python"
    version = subprocess.run([host, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert version.stdout == "3.259.0\n"


def test_a_home_prepared_twice_has_each_launcher_once(settings: Settings, pulumi: Path) -> None:
    """Renaming a hard link over another of the same file does nothing: the link of the second time would stay."""
    pulumi_home.prepare(settings, pulumi)
    home = pulumi_home.prepare(settings, pulumi)

    launchers = {file.name for file in (home.home / "bin").iterdir() if not file.name.startswith(".")}
    assert launchers == {"pulumi", "pulumi-language-python"}


def test_an_official_language_host_is_used_where_it_exists(settings: Settings, pulumi: Path) -> None:
    official = pulumi.with_name("pulumi-language-python")
    official.touch(0o755)

    home = pulumi_home.prepare(settings, pulumi)

    assert (home.pulumi, home.path_entries) == (pulumi, [])
    assert not (home.home / "bin").exists()


def test_plugins_carry_the_version_of_the_installed_sdk(settings: Settings, pulumi: Path) -> None:
    plugins = settings.home / "pulumi" / "plugins"
    (plugins / "resource-azure-native-v1.0.0").mkdir(parents=True)
    (plugins / "resource-azure-native-v1.0.0.lastused").touch()
    (plugins / "resource-random-v4.0.0").mkdir()

    pulumi_home.prepare(settings, pulumi)

    expected = {
        f"resource-azure-native-v{importlib.metadata.version('pulumi-azure-native')}",
        f"resource-databricks-v{importlib.metadata.version('pulumi-databricks')}",
    }
    assert {plugin.name for plugin in plugins.iterdir() if plugin.is_dir()} == expected | {"resource-random-v4.0.0"}
    for name in expected:
        (launcher,) = (plugins / name).iterdir()
        assert launcher.name == f"pulumi-{name.rsplit('-v', 1)[0]}"
        assert os.access(launcher, os.X_OK)


def test_the_engine_neither_updates_nor_downloads(settings: Settings) -> None:
    assert pulumi_environment(settings) == {
        "PULUMI_HOME": str(settings.home / "pulumi"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    }
