"""A release: the commit, the lock file and the published version that passed in one environment, for the next one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FILE = "release.json"


class ReleaseError(Exception):
    """Two releases differ, or a release cannot be read; the text names the difference."""


@dataclass(frozen=True)
class Release:
    """`lock` is the SHA-256 of requirements.txt; `version` of the published pipeline is the build id."""

    commit: str
    lock: str
    version: str


def current() -> Release:
    """Return the release of this checkout and build. Raises ReleaseError outside of a git checkout or a build."""
    completed = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise ReleaseError(f"{ROOT} is no git checkout: {completed.stderr.strip()}")
    version = os.environ.get("BUILD_BUILDID")
    if not version:
        raise ReleaseError("BUILD_BUILDID is not set: a release belongs to a build.")
    lock = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
    return Release(completed.stdout.strip(), lock, version)


def write(folder: Path) -> Release:
    """Into a folder, with the id of the pipeline that was published.

    Raises ReleaseError when that is not of this build: another version has been tested then.
    """
    release = current()
    published = os.environ.get("AMLPIPELINE_ID", "")
    version = published.rpartition("/versions/")[2]
    if not published or version != release.version:
        raise ReleaseError(
            f"AMLPIPELINE_ID is {published or 'not set'}: the published pipeline should be of version "
            f"{release.version}, this build's."
        )
    folder.mkdir(parents=True, exist_ok=True)
    content = {**asdict(release), "pipeline_id": published}
    (folder / _FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return release


def check(folder: Path) -> Release:
    """Compare with this checkout and build. Raises ReleaseError naming the difference."""
    try:
        content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        passed = Release(content["commit"], content["lock"], content["version"])
    except FileNotFoundError as error:
        raise ReleaseError(f"There is no {folder / _FILE}: nothing passed in the environment before.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{folder / _FILE} is not a release: {error!r}") from error
    here = current()
    different = [
        f"{name}: {theirs} passed, {ours} is here"
        for (name, theirs), ours in zip(asdict(passed).items(), asdict(here).values(), strict=True)
        if theirs != ours
    ]
    if different:
        raise ReleaseError("This differs from the tested release:\n  " + "\n  ".join(different))
    return here
