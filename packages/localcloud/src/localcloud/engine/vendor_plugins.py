"""The vendors' own provider plugins, where the machine has them and LOCALCLOUD_PLUGINS is vendor."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings
from localcloud.engine.places import machine_path, pulumi_home_of

VARIABLE = "LOCALCLOUD_PLUGINS"


def choice() -> str:
    """Return the environment's choice of plugins: "own" or "vendor". Raises LocalcloudError for another value."""
    value = os.environ.get(VARIABLE) or "own"
    if value not in {"own", "vendor"}:
        raise LocalcloudError(f"{VARIABLE} is {value!r}: give own or vendor.")
    return value


def find(settings: Settings, versions: Mapping[str, str]) -> dict[str, Path]:
    """Return the vendor's plugin of each provider that the machine has, by provider; none by default.

    `versions` are the plugin versions of the installed SDKs. A plugin on PATH comes first, as for the engine; in
    PULUMI_HOME it has to have that version. Raises LocalcloudError when the machine has no plugin at all.
    """
    if choice() == "own":
        return {}
    homes = _plugin_homes(settings)
    plugins = {}
    for provider, version in versions.items():
        program = f"pulumi-resource-{provider}"
        on_path = shutil.which(program, path=machine_path())
        candidates = [home / f"resource-{provider}-v{version}" / program for home in homes]
        plugin = Path(on_path) if on_path else next((file for file in candidates if os.access(file, os.X_OK)), None)
        if plugin is not None:
            plugins[provider] = plugin.absolute()
    if not plugins:
        names = " and ".join(f"pulumi-resource-{provider} {version}" for provider, version in versions.items())
        raise LocalcloudError(
            f"{VARIABLE} is vendor, and the machine has no vendor's plugin: {names} are neither on PATH nor in"
            f" {' or '.join(map(str, homes))}. Install one with `pulumi plugin install resource NAME VERSION`."
        )
    return plugins


def user_home(settings: Settings, recorded: str = "") -> str:
    """Return the user's PULUMI_HOME, "" if there is none.

    `recorded` is it where `localcloud env` has replaced it by ours, which holds our launchers.
    """
    value = os.environ.get("PULUMI_HOME", "")
    return recorded if value and Path(value).resolve() == pulumi_home_of(settings).resolve() else value


def _plugin_homes(settings: Settings) -> list[Path]:
    """Return the folders of the user's plugins."""
    value = user_home(settings)
    homes = [Path(value)] if value else []
    return [home / "plugins" for home in dict.fromkeys([*homes, Path.home() / ".pulumi"])]
