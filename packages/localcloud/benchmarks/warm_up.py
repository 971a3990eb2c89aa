"""A second `make up`, with nothing to do, against the preview of an empty program on the same backend."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from packages.localcloud.benchmarks.pairs import Comparison, compare
from packages.localcloud.benchmarks.shell import ROOT, run, shell_environment

AIM = 2.5
_PROJECT = """name: localcloud-empty
runtime:
  name: python
  options:
    virtualenv: {venv}
"""


def measure(pairs: int) -> Comparison:
    """Bring the platform up before it is measured; remove the empty stack afterwards."""
    run("make", "up")
    env = shell_environment()
    with TemporaryDirectory() as folder:
        empty = Path(folder)
        (empty / "Pulumi.yaml").write_text(_PROJECT.format(venv=ROOT / ".venv"), encoding="utf-8")
        (empty / "__main__.py").write_text('"""Nothing."""\n', encoding="utf-8")
        run("pulumi", "stack", "select", "empty", "--create", cwd=empty, env=env)
        try:
            return compare(
                "warm make up",
                lambda: run("make", "up"),
                "preview of an empty program",
                lambda: run("pulumi", "preview", "--stack", "empty", cwd=empty, env=env),
                aim=AIM,
                pairs=pairs,
            )
        finally:
            run("pulumi", "stack", "rm", "empty", "--yes", "--force", cwd=empty, env=env)
