"""`localcloud enter`: the beginning of a Makefile's verb, in a shell as there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from localcloud.testing.cloud import Cloud

SHELL = """set -euo pipefail
{{ variables="$({enter} 3>&1 >&4 4>&-)"; }} 4>&1; eval "$variables"
echo "unchanged=$unchanged tenant=$AZURE_TENANT_ID"
"""
MESSAGE = "Nothing to do."


@dataclass(frozen=True)
class Verb:
    """A command that reads one file and the sign-in's variables."""

    cloud: Cloud
    folder: Path

    @property
    def _words(self) -> list[str]:
        return ["--key-file", str(self.folder / "key.json"), "--paths", "program", "--variables", "ARM_*"]

    def enter(self, *options: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "localcloud", "enter", "--shell", "3", *self._words, "--message", MESSAGE]
        script = SHELL.format(enter=shlex.join([*words, *options]))
        return self._run("bash", "-c", script)

    def record(self) -> None:
        # In the shell that `enter` prepared, as the Makefile does.
        words = shlex.join([sys.executable, "-m", "localcloud", "unchanged", "record", *self._words])
        script = f'eval "$({sys.executable} -m localcloud env)"; {words} --message {shlex.quote(MESSAGE)}'
        completed = self._run("bash", "-c", script)
        assert completed.returncode == 0, completed.stderr

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        settings = self.cloud.settings
        place = {"LOCALCLOUD_HOME": settings.home, "LOCALCLOUD_PORT": settings.port, "LOCALCLOUD_CACHE": settings.cache}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARM_", "AZURE_"))}
        env = kept | {name: str(value) for name, value in place.items()}
        return subprocess.run(words, cwd=self.folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def verb(cloud: Cloud, tmp_path: Path) -> Verb:
    (tmp_path / "program").write_text("first")
    return Verb(cloud, tmp_path)


def test_the_shell_gets_the_variables_and_people_the_rest(verb: Verb) -> None:
    completed = verb.enter()

    assert completed.returncode == 0, completed.stderr
    tools, runs, result = completed.stdout.splitlines()
    assert tools.startswith("Tools: all there (")
    assert runs.startswith(f"localcloud runs at {verb.cloud.settings.gateway_url}")
    assert result.startswith("unchanged= tenant=") and len(result) > len("unchanged= tenant=")


def test_a_recorded_success_holds_until_a_file_changes(verb: Verb) -> None:
    assert "unchanged= " in verb.enter().stdout
    verb.record()

    again = verb.enter()
    assert "unchanged=yes " in again.stdout
    assert MESSAGE in again.stdout.splitlines()
    assert "unchanged= " in verb.enter("--force").stdout, "FORCE=1 runs it"
    verb.record()

    (verb.folder / "program").write_text("second")
    changed = verb.enter()
    assert "unchanged= " in changed.stdout
    assert MESSAGE not in changed.stdout


def test_a_refusal_ends_the_shell_with_its_reason(verb: Verb) -> None:
    completed = verb.enter("--register", "not a namespace")

    assert completed.returncode == 1
    assert "not a namespace" in completed.stderr
    assert "unchanged=" not in completed.stdout
