"""Takes each tool from the machine, else from the cache, else installs it, when `ensure` needs it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from localcloud.core.settings import Settings
from localcloud.engine import (
    abfs,
    azurite_install,
    delta,
    java_runtime,
    notebook_runtime,
    probes,
    pulumi_build,
    python_runtime,
)
from localcloud.engine.progress import ConsoleProgress, Progress
from localcloud.engine.pulumi_home import prepare
from localcloud.engine.toolchain import Toolchain, find, write_stamp
from localcloud.engine.versions import DELTA, HADOOP_AZURE, NOTEBOOK_RUNTIME, PULUMI
from localcloud.engine.wheels import ensure_wheel


def ensure(settings: Settings, progress: Progress | None = None) -> Toolchain:
    """Return the toolchain, with missing tools installed into the cache and the launchers of this home written.

    Raises LocalcloudError naming the tool, the command and its last lines when an install fails. A killed install can
    be repeated: finished tools stay, unfinished ones are made anew.
    """
    if toolchain := find(settings):
        return toolchain
    return provision(settings, progress)


def provision(settings: Settings, progress: Progress | None) -> Toolchain:
    """See `ensure`; without `progress`, long tasks show on the console."""
    if progress is not None:
        return _provision(settings, progress)
    with ConsoleProgress() as console:
        return _provision(settings, console)


def _provision(settings: Settings, progress: Progress) -> Toolchain:
    cache = settings.cache
    # The build of the CLI takes minutes of processor time, the others mostly wait for downloads.
    with ThreadPoolExecutor(max_workers=3, thread_name_prefix="install") as pool:
        pulumi_job = pool.submit(_pulumi, cache, progress)
        node_job = pool.submit(_node_and_azurite, cache, progress)
        java_job = pool.submit(_java_jars_and_python, cache, progress)
        _raise_first([pulumi_job, node_job, java_job])
    pulumi, pulumi_origin = pulumi_job.result()
    node, azurite, node_origin = node_job.result()
    java_home, jars, delta_jars, python, notebook_python, java_origin = java_job.result()
    home = prepare(settings, pulumi)
    toolchain = Toolchain(
        pulumi=home.pulumi,
        java_home=java_home,
        node=node,
        azurite_blob=[str(node), str(azurite)],
        abfs_jars=jars,
        delta_jars=delta_jars,
        python=python,
        notebook_python=notebook_python,
        pulumi_home=home.home,
        path_entries=home.path_entries,
        origins={
            "Pulumi CLI": pulumi_origin,
            "Python language host": "PATH" if not home.path_entries else "localcloud",
            "Java": java_origin,
            "Node.js": node_origin,
            "Azurite": f"cache {azurite_install.azurite_version()}",
            "ABFS driver": f"cache {HADOOP_AZURE}",
            "Delta Lake": f"cache {DELTA}",
            "Python of jobs": _python_origin(cache, python),
            "Packages of notebooks": f"cache {NOTEBOOK_RUNTIME}",
            **{f"Plugin {provider}": f"vendor {plugin}" for provider, plugin in home.vendor_plugins.items()},
        },
    )
    launchers = [file for folder in ("bin", "plugins") for file in (home.home / folder).rglob("pulumi*")]
    files = [pulumi, home.pulumi, java_home / "bin" / "java", node, azurite, *jars, *delta_jars, python]
    files += [notebook_python, *launchers, *home.vendor_plugins.values()]
    files.append(Path(sys.executable))
    write_stamp(settings, toolchain, files)
    return toolchain


def _pulumi(cache: Path, progress: Progress) -> tuple[Path, str]:
    if pulumi := probes.find_pulumi():
        return pulumi.path, f"PATH {pulumi.version}"
    return pulumi_build.ensure_pulumi(cache, progress), f"cache {PULUMI}"


def _node_and_azurite(cache: Path, progress: Progress) -> tuple[Path, Path, str]:
    if probed_node := probes.find_node():
        node, origin = probed_node.path, f"PATH {probed_node.version}"
    else:
        node, origin = ensure_wheel(cache, "node", progress), "cache (wheel)"
    return node, azurite_install.ensure_azurite(cache, node, progress), origin


def _java_jars_and_python(cache: Path, progress: Progress) -> tuple[Path, list[Path], list[Path], Path, Path, str]:
    if java := probes.find_java():
        java_home, origin = java.path, f"PATH {java.version}"
    else:
        java_home, origin = java_runtime.ensure_java(cache, progress), "cache (wheel)"
    jars = abfs.ensure_jars(cache, java_home, progress)
    delta_jars = delta.ensure_jars(cache, java_home, progress)
    python = python_runtime.ensure(cache, java_home, progress)
    return java_home, jars, delta_jars, python, notebook_runtime.ensure_python(cache, python, progress), origin


def _python_origin(cache: Path, python: Path) -> str:
    return f"{'cache' if python.is_relative_to(cache) else 'machine'} {python_runtime.version_of(python)}"


def _raise_first(jobs: Iterable[Future[Any]]) -> None:
    """Wait for all: a tool that was nearly done is worth keeping when another fails."""
    errors = [error for job in jobs if (error := job.exception()) is not None]
    if errors:
        raise errors[0]
