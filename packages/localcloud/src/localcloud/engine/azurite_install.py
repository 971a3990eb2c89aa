"""Azurite, the storage emulator, installed by `npm ci` from the committed lock: `azurite/package-lock.json`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from localcloud.engine.install import digest, install, platform_tag, run
from localcloud.engine.probes import find_npm
from localcloud.engine.progress import Progress
from localcloud.engine.versions import ENGINE
from localcloud.engine.wheels import ensure_wheel

_FILES = (ENGINE / "azurite" / "package.json", ENGINE / "azurite" / "package-lock.json")
_MAIN = "node_modules/azurite/dist/src/blob/main.js"


def azurite_version() -> str:
    version: str = json.loads(_FILES[0].read_text())["dependencies"]["azurite"]
    return version


def installed_azurite(cache: Path) -> Path | None:
    """Return the script that Node runs as the blob service, if the cache has it."""
    script = cache / _key() / _MAIN
    return script if script.is_file() else None


def ensure_azurite(cache: Path, node: Path, progress: Progress) -> Path:
    """Return the blob service's script, installed first if need be. Raises LocalcloudError with npm's last lines."""
    if script := installed_azurite(cache):
        return script
    npm = _npm(cache, node, progress)
    title = f"Azurite {azurite_version()}"

    def make(folder: Path) -> None:
        for file in _FILES:
            shutil.copy2(file, folder)
        # Install scripts are off: none of Azurite's dependencies needs one to serve blobs.
        run(title, [*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)

    with progress.task(f"Installing {title}"):
        return install(cache, _key(), make) / _MAIN


def _key() -> str:
    return f"azurite-{azurite_version()}-{digest(*_FILES)}-{platform_tag()}"


def _npm(cache: Path, node: Path, progress: Progress) -> list[str | Path]:
    """Return the machine's npm, else the one in the Node wheel."""
    if npm := find_npm():
        return [npm]
    wheel = ensure_wheel(cache, "node", progress)
    return [node, wheel.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
