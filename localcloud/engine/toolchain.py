"""All tools that localcloud runs on, as one value: found where they are, installed where they are not.

`find` costs a few milliseconds once a stamp file in the localcloud's home says where everything was, and what would
have to change for that to be false: the machine's PATH and JAVA_HOME, the pins, this Python, or any tool's file.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.core.settings import Settings
from localcloud.engine import abfs, azurite_install, java_runtime, probes, pulumi_build
from localcloud.engine.progress import ConsoleProgress, Progress
from localcloud.engine.pulumi_home import prepare, pulumi_home
from localcloud.engine.versions import ENGINE, HADOOP_AZURE, PULUMI
from localcloud.engine.wheels import ensure_wheel

_STAMP = "toolchain.json"


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Where each tool is. `origins` says for people where it came from: "PATH 20.20.2", "cache 3.259.0"."""

    pulumi: Path
    java_home: Path
    node: Path
    azurite_blob: list[str]
    abfs_jars: list[Path]
    pulumi_home: Path
    path_entries: list[Path]
    origins: dict[str, str]


def find(settings: Settings) -> Toolchain | None:
    """The toolchain if all of it is there, without installing anything; None if something is missing or changed."""
    try:
        stamp = json.loads((pulumi_home(settings) / _STAMP).read_text())
        if stamp["signature"] != _signature() or any(_mtime(file) != time for file, time in stamp["files"].items()):
            return None
        return _from_json(stamp["toolchain"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no stamp, or one of another version of this module


def ensure(settings: Settings, progress: Progress | None = None) -> Toolchain:
    """The toolchain, with what is missing installed into the cache and the launchers of this home written.

    Raises LocalcloudError naming the tool, the command and its last lines when an install fails. A killed one can
    be run again: finished tools are kept, unfinished ones are made anew.
    """
    if found := find(settings):
        return found
    if progress is not None:
        return _install(settings, progress)
    with ConsoleProgress() as console:
        return _install(settings, console)


def _install(settings: Settings, progress: Progress) -> Toolchain:
    cache = settings.cache
    # The build of the CLI takes minutes of processor time, the rest is mostly waiting for downloads.
    with ThreadPoolExecutor(max_workers=3, thread_name_prefix="install") as pool:
        pulumi_job = pool.submit(_pulumi, cache, progress)
        node_job = pool.submit(_node_and_azurite, cache, progress)
        java_job = pool.submit(_java_and_jars, cache, progress)
        _raise_first([pulumi_job, node_job, java_job])
    pulumi, pulumi_origin = pulumi_job.result()
    node, azurite, node_origin = node_job.result()
    java_home, jars, java_origin = java_job.result()
    home = prepare(settings, pulumi)
    toolchain = Toolchain(
        pulumi=home.pulumi,
        java_home=java_home,
        node=node,
        azurite_blob=[str(node), str(azurite)],
        abfs_jars=jars,
        pulumi_home=home.home,
        path_entries=home.path_entries,
        origins={
            "Pulumi CLI": pulumi_origin,
            "Python language host": "PATH" if not home.path_entries else "localcloud",
            "Java": java_origin,
            "Node.js": node_origin,
            "Azurite": f"cache {azurite_install.azurite_version()}",
            "ABFS driver": f"cache {HADOOP_AZURE}",
        },
    )
    launchers = [file for folder in ("bin", "plugins") for file in (home.home / folder).rglob("pulumi*")]
    files = [pulumi, home.pulumi, java_home / "bin" / "java", node, azurite, *jars, *launchers, Path(sys.executable)]
    stamp = {
        "signature": _signature(),
        "files": {str(file): _mtime(file) for file in files},
        "toolchain": _to_json(toolchain),
    }
    fresh = home.home / f"{_STAMP}.{os.getpid()}"
    fresh.write_text(json.dumps(stamp, indent=1))
    fresh.replace(home.home / _STAMP)
    return toolchain


def _pulumi(cache: Path, progress: Progress) -> tuple[Path, str]:
    if found := probes.find_pulumi():
        return found.path, f"PATH {found.version}"
    return pulumi_build.ensure_pulumi(cache, progress), f"cache {PULUMI}"


def _node_and_azurite(cache: Path, progress: Progress) -> tuple[Path, Path, str]:
    if found := probes.find_node():
        node, origin = found.path, f"PATH {found.version}"
    else:
        node, origin = ensure_wheel(cache, "node", progress), "cache (wheel)"
    return node, azurite_install.ensure_azurite(cache, node, progress), origin


def _java_and_jars(cache: Path, progress: Progress) -> tuple[Path, list[Path], str]:
    if found := probes.find_java():
        java_home, origin = found.path, f"PATH {found.version}"
    else:
        java_home, origin = java_runtime.ensure_java(cache, progress), "cache (wheel)"
    return java_home, abfs.ensure_jars(cache, java_home, progress), origin


def _raise_first(jobs: Iterable[Future[Any]]) -> None:
    """Wait for all: a tool that was nearly done is worth keeping when another fails."""
    errors = [error for job in jobs if (error := job.exception()) is not None]
    if errors:
        raise errors[0]


def _signature() -> str:
    """Changes with everything that could make another tool the right one."""
    pins = [
        ENGINE / "versions.py",
        ENGINE / "abfs.py",
        ENGINE / "pulumi_home.py",
        ENGINE / "pulumi_cli" / "go.sum",
        ENGINE / "azurite" / "package-lock.json",
        ENGINE / "requirements" / "java.txt",
        ENGINE / "requirements" / "node.txt",
        *_provider_metadata(),
    ]
    parts = [probes.machine_path(), os.environ.get("JAVA_HOME", ""), sys.executable, str(ENGINE)]
    parts += [f"{file}:{_mtime(file)}" for file in pins]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _provider_metadata() -> list[Path]:
    """The metadata folders of the provider SDKs: another version is another folder, and another plugin version."""
    site = Path(sys.prefix) / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    return sorted(site.glob("pulumi*.dist-info"))


def _mtime(file: Path | str) -> int:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return 0


def _to_json(toolchain: Toolchain) -> dict[str, Any]:
    return {
        "pulumi": str(toolchain.pulumi),
        "java_home": str(toolchain.java_home),
        "node": str(toolchain.node),
        "azurite_blob": toolchain.azurite_blob,
        "abfs_jars": [str(jar) for jar in toolchain.abfs_jars],
        "pulumi_home": str(toolchain.pulumi_home),
        "path_entries": [str(entry) for entry in toolchain.path_entries],
        "origins": toolchain.origins,
    }


def _from_json(data: dict[str, Any]) -> Toolchain:
    return Toolchain(
        pulumi=Path(data["pulumi"]),
        java_home=Path(data["java_home"]),
        node=Path(data["node"]),
        azurite_blob=list(data["azurite_blob"]),
        abfs_jars=[Path(jar) for jar in data["abfs_jars"]],
        pulumi_home=Path(data["pulumi_home"]),
        path_entries=[Path(entry) for entry in data["path_entries"]],
        origins=dict(data["origins"]),
    )
