"""Parameters of type object on the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PIPELINE = """
parameters:
  - name: names
    type: object
    default: [one]
stages:
  - ${{ each name in parameters.names }}:
      - stage: Say_${{ name }}
        jobs:
          - job: Say
            steps:
              - bash: echo ${{ name }}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "azure-pipelines.yml").write_text(_PIPELINE, encoding="utf-8")
    return tmp_path


def _check(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    runner = Path(sys.executable).with_name("pipeline-runner")
    return subprocess.run(
        [runner, "check", *words], cwd=repository, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_list_is_a_list(repository: Path) -> None:
    completed = _check(repository, "azure-pipelines.yml", "--parameter", "names=[one, two]")
    assert completed.returncode == 0, completed.stderr

    twice = _check(repository, "azure-pipelines.yml", "--parameter", "names=[one, one]")

    assert twice.returncode == 1 and "Say_one" in twice.stderr, "a name of a stage is there twice"


def test_broken_yaml_is_named(repository: Path) -> None:
    completed = _check(repository, "azure-pipelines.yml", "--parameter", "names=[one")

    assert completed.returncode == 1
    assert completed.stderr.startswith("The parameter names begins as YAML and is none: ")
