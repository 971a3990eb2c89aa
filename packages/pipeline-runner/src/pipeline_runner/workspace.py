"""The folders of one build: a clean checkout of the commit for each job, artifacts, logs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipeline_runner.errors import RunnerError


@dataclass(frozen=True)
class Workspace:
    """The folder `home`/BUILD. Artifacts outlive jobs; the folder of a job holds its sources in `s`, as on an agent."""

    home: Path
    build: int
    repository: Path
    commit: str
    shared_folders: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The build's own folder."""
        return self.home / str(self.build)

    @property
    def artifacts(self) -> Path:
        """The folder of published artifacts, one folder each."""
        return self.root / "artifacts"

    def summary(self, stage: str, job: str, file: Path) -> Path:
        """Keep a page of the build's summary, under the name of its stage and job. Raises OSError without the file."""
        kept = self.root / "summaries" / f"{stage}.{job}.{file.name}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept)
        return kept

    def job(self, stage: str, job: str) -> Path:
        """Return an empty folder for a job: jobs share nothing but artifacts."""
        folder = self.root / "jobs" / f"{stage}.{job}"
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("s", "a", "tmp"):
            (folder / name).mkdir(parents=True)
        return folder

    def log(self, stage: str, job: str, position: int) -> Path:
        """Return the file for the output of a job's step."""
        return self.root / "logs" / f"{stage}.{job}.{position:02}.log"

    def checkout(self, folder: Path) -> None:
        """Check the commit out into a folder, without anything that is not committed; link the shared folders."""
        git("clone", "--quiet", "--no-checkout", "--shared", str(self.repository), str(folder), cwd=self.repository)
        git("checkout", "--quiet", "--detach", self.commit, cwd=folder)
        for name in self.shared_folders:
            shared, link = self.repository / name, folder / name
            if shared.exists() and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(shared.resolve())
        if self.shared_folders:
            self._keep_times(folder)

    def _keep_times(self, folder: Path) -> None:
        """Set the time of unchanged files to their time in the repository.

        Make compares times: a fresh checkout would be newer than a shared folder that was made from the same files.
        """
        for name in git("ls-files", "-z", cwd=folder).split("\0"):
            checked_out, original = folder / name, self.repository / name
            if checked_out.is_symlink() or not (checked_out.is_file() and original.is_file()):
                continue
            if checked_out.read_bytes() == original.read_bytes():
                times = original.stat()
                os.utime(checked_out, ns=(times.st_atime_ns, times.st_mtime_ns))


def next_build(home: Path) -> int:
    """Return the number of the next build, counted from 1."""
    builds = [int(folder.name) for folder in home.iterdir() if folder.name.isdigit()] if home.exists() else []
    return max(builds, default=0) + 1


def git(*words: str, cwd: Path) -> str:
    """Return the output of a Git command. Raises RunnerError with Git's own message."""
    completed = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise RunnerError(f"git {' '.join(words)} failed: {completed.stderr.strip()}")
    return completed.stdout.strip()
