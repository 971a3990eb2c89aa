"""One more commit in a copy of the repository, as a data scientist would push it: the model is regularized more.

`python -m pipelines.rehearsal.next_commit COPY` prints the copy's folder, for `pipeline-runner play --repository`.
Training changes, so that a component is published, trained and promoted again.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from pipeline_runner.errors import RunnerError
from pipeline_runner.workspace import git

_COMPONENT = "mlops/components/train/component.yml"
_ALPHA = re.compile(r"(  alpha:\n    type: number\n    default: )([0-9.]+)\n")


def commit_on_top(repository: Path, copy: Path) -> Path:
    """Return a copy of the repository with ten times the regularization committed. Raises RunnerError."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)
    git("clone", "--quiet", str(repository), str(copy), cwd=repository)
    file = copy / _COMPONENT
    changed, count = _ALPHA.subn(
        lambda match: f"{match[1]}{float(match[2]) * 10}\n", file.read_text(encoding="utf-8"), count=1
    )
    if not count:
        raise RunnerError(f"{_COMPONENT} has no default of alpha to change.")
    file.write_text(changed, encoding="utf-8")
    author = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@example.com")
    git(*author, "commit", "--quiet", "--all", "--message", "Regularize more", cwd=copy)
    if (repository / ".venv").exists():
        (copy / ".venv").symlink_to((repository / ".venv").resolve())
    return copy


def main(words: list[str]) -> int:
    """Make the copy in the folder that the one argument names; return an exit code."""
    if len(words) != 1:
        sys.stderr.write("python -m pipelines.rehearsal.next_commit COPY\n")
        return 2
    try:
        sys.stdout.write(f"{commit_on_top(Path.cwd(), Path(words[0]).resolve())}\n")
    except RunnerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
