"""PULUMI_HOME of one localcloud: its plugins and credentials, apart from the user's own ~/.pulumi.

    <home>/pulumi/                                             PULUMI_HOME
    <home>/pulumi/plugins/resource-NAME-vVERSION/              launchers of `localcloud.plugins.*`
    <home>/pulumi/bin/                                         goes on PATH: pulumi, pulumi-language-python

The launchers start the Python that prepared them, with this checkout on its path; plugins' launchers request a process
from the plugin host of this home (localcloud/plugins/host.py). The engine runs a plugin folder's executable unchanged,
and the language host beside the real `pulumi` file without a warning; hence the CLI is hard-linked into `bin` rather
than put on PATH from the cache.
"""

from __future__ import annotations

import importlib.metadata
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings
from localcloud.engine import vendor_plugins
from localcloud.engine.places import OWN_BIN_MARK, pulumi_home_of
from localcloud.engine.probes import has_language_host
from localcloud.engine.pulumi_build import link
from localcloud.engine.versions import CHECKOUT, PROVIDERS

# It imports the standard library alone, since it represents a plugin that is forked (localcloud/plugins/launcher.py).
_PLUGIN_LAUNCHER = """#!/bin/sh
exec {python} -I -S -c {start} {home} {module} "$@"
"""
# Unbuffered: the engine waits for the port that a language host prints first.
_LAUNCHER = """#!/bin/sh
exec {python} -u -c {start} "$@"
"""
_VENDOR_LAUNCHER = """#!/bin/sh
exec {plugin} "$@"
"""


@dataclass(frozen=True, kw_only=True)
class PulumiHome:
    """`home` is PULUMI_HOME; `pulumi` the CLI to run; `path_entries` the folders to put before PATH.

    `vendor_plugins` are the providers whose plugin is the vendor's own, and its file.
    """

    home: Path
    pulumi: Path
    path_entries: list[Path]
    vendor_plugins: dict[str, Path]


def prepare(settings: Settings, pulumi: Path) -> PulumiHome:
    """Write the launchers of this home for the CLI `pulumi` (the machine's or the cache's) and return all paths.

    A machine's CLI with its official language host beside it is used where it is; otherwise ours joins it in `bin`.
    Raises LocalcloudError when a provider's SDK is not installed, or vendors' plugins are requested and missing.
    """
    home = pulumi_home_of(settings)
    home.mkdir(parents=True, exist_ok=True)
    versions = _provider_versions()
    plugins = vendor_plugins.find(settings, versions)
    _write_provider_launchers(home, versions, plugins)
    bin_folder = home / "bin"
    real = pulumi.resolve()
    if has_language_host(real):
        shutil.rmtree(bin_folder, ignore_errors=True)
        return PulumiHome(home=home, pulumi=pulumi, path_entries=[], vendor_plugins=plugins)
    bin_folder.mkdir(exist_ok=True)
    (bin_folder / OWN_BIN_MARK).touch()
    link(real, bin_folder / "pulumi")
    _write_launcher(bin_folder / "pulumi-language-python", "localcloud.engine.language_host.server")
    return PulumiHome(home=home, pulumi=bin_folder / "pulumi", path_entries=[bin_folder], vendor_plugins=plugins)


def _provider_versions() -> dict[str, str]:
    """Return the version of each provider's SDK, which is the version of the plugin that the engine starts."""
    versions = {}
    for distribution, provider in PROVIDERS.items():
        try:
            versions[provider] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError as error:
            raise LocalcloudError(f"{distribution} is not installed in {sys.prefix}: reinstall localcloud.") from error
    return versions


def _write_provider_launchers(home: Path, versions: Mapping[str, str], vendors_own: Mapping[str, Path]) -> None:
    plugins = home / "plugins"
    start = f"import sys; sys.path.append({str(CHECKOUT)!r}); from localcloud.plugins.launcher import main; main()"
    for provider, version in versions.items():
        name_ = f"resource-{provider}-v{version}"
        if plugins.is_dir():
            for other in plugins.iterdir():
                # The engine stores files such as resource-NAME-vVERSION.lastused beside the folders.
                if other.is_dir() and other.name.startswith(f"resource-{provider}-v") and other.name != name_:
                    shutil.rmtree(other)
        folder = plugins / name_
        folder.mkdir(parents=True, exist_ok=True)
        launcher = folder / f"pulumi-resource-{provider}"
        if plugin := vendors_own.get(provider):
            _write_executable(launcher, _VENDOR_LAUNCHER.format(plugin=shlex.quote(str(plugin))))
        else:
            words = {
                "python": sys.executable, "start": start, "home": str(home), "module": provider.replace("-", "_"),
            }  # fmt: skip
            quoted = {name: shlex.quote(word) for name, word in words.items()}
            _write_executable(launcher, _PLUGIN_LAUNCHER.format_map(quoted))


def _write_launcher(file: Path, module: str) -> None:
    """`python -m module`, from any working folder, without a PYTHONPATH that programs started by it would inherit."""
    start = (
        f"import sys, runpy; sys.path[0] = {str(CHECKOUT)!r}; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    _write_executable(file, _LAUNCHER.format(python=shlex.quote(sys.executable), start=shlex.quote(start)))


def _write_executable(file: Path, text: str) -> None:
    fresh = file.with_name(f".{file.name}")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.replace(file)
