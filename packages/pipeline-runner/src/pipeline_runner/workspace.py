"""The folders of one run: a clean checkout of the commit for each job, artifacts, logs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipeline_runner.errors import RehearsalError


@dataclass(frozen=True)
class Workspace:
    """`home`/BUILD/: `artifacts` outlive jobs; `job` folders hold `s` (sources), as on an agent."""

    home: Path
    build: int
    repository: Path
    commit: str

    @property
    def root(self) -> Path:
        return self.home / str(self.build)

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    def job(self, stage: str, job: str) -> Path:
        """Return an empty folder: jobs share nothing but artifacts."""
        folder = self.root / "jobs" / f"{stage}.{job}"
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("s", "a", "tmp"):
            (folder / name).mkdir(parents=True)
        return folder

    def log(self, stage: str, job: str, position: int) -> Path:
        return self.root / "logs" / f"{stage}.{job}.{position:02}.log"

    def checkout(self, folder: Path) -> None:
        """The commit, nothing that is not committed; the locked packages of the repository's own .venv serve it too."""
        git("clone", "--quiet", "--no-checkout", "--shared", str(self.repository), str(folder), cwd=self.repository)
        git("checkout", "--quiet", "--detach", self.commit, cwd=folder)
        installed = self.repository / ".venv"
        if installed.exists() and not (folder / ".venv").exists():
            (folder / ".venv").symlink_to(installed)
        projects = [str(file.relative_to(folder)) for file in folder.glob("packages/*/pyproject.toml")]
        for name in ("requirements.txt", "requirements-dev.txt", "tools/venv.sh", *projects):
            # Make compares times: what is installed is not newer than a fresh checkout of the same content.
            ours, theirs = folder / name, self.repository / name
            if ours.is_file() and theirs.is_file() and ours.read_bytes() == theirs.read_bytes():
                os.utime(ours, (theirs.stat().st_atime, theirs.stat().st_mtime))


def next_build(home: Path) -> int:
    """Builds count from 1."""
    builds = [int(one.name) for one in home.iterdir() if one.name.isdigit()] if home.exists() else []
    return max(builds, default=0) + 1


def git(*words: str, cwd: Path) -> str:
    """Raises RehearsalError with git's words."""
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RehearsalError(f"git {' '.join(words)} failed: {done.stderr.strip()}")
    return done.stdout.strip()
