"""Programs that do nothing, on the state backend of the platform's own stack: the engine's own time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from packages.localcloud.benchmarks.shell import ROOT, run

_PROJECT = """name: localcloud-empty
runtime:
  name: python
  options:
    virtualenv: {venv}
"""
EMPTY = '"""Nothing."""\n'
NO_OPS = '''"""Resources that are registered and do nothing."""

import pulumi


class Nothing(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("empty:index:Nothing", name)
        self.register_outputs({{}})


for number in range({count}):
    Nothing(f"nothing-{{number}}")
'''
STACK = "empty"


@contextmanager
def program(source: str, env: Mapping[str, str]) -> Iterator[Path]:
    """Write a project with the stack `empty`; remove both afterwards."""
    with TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "Pulumi.yaml").write_text(_PROJECT.format(venv=ROOT / ".venv"), encoding="utf-8")
        (project / "__main__.py").write_text(source, encoding="utf-8")
        run("pulumi", "stack", "select", STACK, "--create", cwd=project, env=env)
        try:
            yield project
        finally:
            run("pulumi", "stack", "rm", STACK, "--yes", "--force", cwd=project, env=env)
