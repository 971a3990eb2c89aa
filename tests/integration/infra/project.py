"""The Pulumi project of this repository in a test's own folder, with the test's own stack files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.stack_file import PROJECT, ROOT

PARTS = (
    "__main__.py", "infra", "contract", "declarations", "mlops", "steps", "pipelines", "policy", "Pulumi.yaml", ".venv",
)  # fmt: skip
_FOREIGN = ("ARM_", "AZURE_", "DATABRICKS_", "PULUMI_")


@dataclass(frozen=True)
class Result:
    """The result of a command: its exit code, and both streams as one text, as a user sees them."""

    code: int
    text: str


@dataclass(frozen=True)
class Project:
    """`environment` is the output of `make env`."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def make(cls, folder: Path, environment: Mapping[str, str], source: Path = ROOT) -> Project:
        folder.mkdir()
        for part in PARTS:
            (folder / part).symlink_to(source / part)
        return cls(folder, environment)

    def settings(self, stack: str, config: Mapping[str, Any]) -> None:
        """Write the stack's file; keep the engine's additions."""
        file = self.folder / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text()) if file.exists() else {}
        content["config"] = {f"{PROJECT}:{key}": value for key, value in config.items()}
        file.write_text(yaml.safe_dump(content))

    def run(self, *argv: str, timeout: float = 400) -> Result:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        completed = subprocess.run(
            argv, cwd=self.folder, env={**clean, **self.environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Result(completed.returncode, completed.stdout)

    def pulumi(self, *words: str, stack: str) -> Result:
        return self.run("pulumi", *words, "--stack", stack, "--non-interactive")

    def up(self, stack: str, *, rules: str | None = None) -> Result:
        """`rules`: the environment whose policy configuration it is held to."""
        pack = ("--policy-pack", "policy", "--policy-pack-config", f"policy/config/{rules}.json") if rules else ()
        return self.pulumi("up", "--yes", "--skip-preview", *pack, stack=stack)

    def purge(self, stack: str) -> Result:
        """`python -m infra.purge`, as `make destroy` calls it."""
        return self.run(str(ROOT / ".venv" / "bin" / "python"), "-m", "infra.purge", "--stack", stack)

    def resources(self, stack: str) -> list[dict[str, Any]]:
        exported = self.pulumi("stack", "export", stack=stack)
        assert exported.code == 0, exported.text
        state = json.loads(exported.text[exported.text.index("{") :])
        return list(state["deployment"].get("resources") or [])
