"""The commit after: what a data scientist would push, so that something is published, trained and promoted again."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pipeline_runner.errors import RehearsalError
from pipeline_runner.workspace import git

_COMPONENT = "mlops/components/train/component.yml"
_ALPHA = re.compile(r"(  alpha:\n    type: number\n    default: )([0-9.]+)\n")


def commit_on_top(repository: Path, copy: Path) -> Path:
    """Return a copy of the repository with ten times the regularization committed. Raises RehearsalError."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)
    git("clone", "--quiet", str(repository), str(copy), cwd=repository)
    file = copy / _COMPONENT
    changed, count = _ALPHA.subn(
        lambda match: f"{match[1]}{float(match[2]) * 10}\n", file.read_text(encoding="utf-8"), count=1
    )
    if not count:
        raise RehearsalError(f"{_COMPONENT} has no default of alpha to change.")
    file.write_text(changed, encoding="utf-8")
    who = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@example.com")
    git(*who, "commit", "--quiet", "--all", "--message", "Regularize more", cwd=copy)
    if (repository / ".venv").exists():
        (copy / ".venv").symlink_to((repository / ".venv").resolve())
    return copy
