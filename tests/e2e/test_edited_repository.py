"""A commit that edits the repository as the guides say passes the repository's own tests, in the stage Verify."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline_runner.workspace import git

from pipelines.rehearsal import yaml_edits
from pipelines.rehearsal.next_commit import commit_on_top
from tests.e2e.conftest import ROOT

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(2700)]
_EDITS = (
    ("mlops/pipelines/diabetes/pipeline.yml", ("serve",), "online"),
    ("mlops/pipelines/breast_cancer/pipeline.yml", ("watch", "retrain"), "on_drift"),
    ("mlops/pipelines/breast_cancer/pipeline.yml", ("gate", "metrics", 0, "maximum"), 0.5),
    ("mlops/pipelines/breast_cancer/pipeline.yml", ("parameters", "trees", "default"), 200),
    ("Pulumi.local.yaml", ("config", "dataopsml:new_data", "train"), ["loans"]),
    ("Pulumi.dev.yaml", ("config", "dataopsml:base_name"), "acme"),
    ("Pulumi.dev.yaml", ("config", "dataopsml:budget", "monthly_amount"), 5000),
    ("Pulumi.dev.yaml", ("config", "dataopsml:monitoring", "alert_webhooks"), [{"secure": "v1:aB3=:c4"}]),
    ("Pulumi.staging.yaml", ("config", "dataopsml:protection", "protect"), True),
)
"""A value of a file by its path. The second commit of a rehearsal changes more."""


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """Make a clone of the last commit, with a commit like a data scientist's and a new training pipeline."""
    copy = commit_on_top(ROOT, tmp_path / "copy")
    for name, path, value in _EDITS:
        file = copy / name
        file.write_text(yaml_edits.with_value(file.read_text(encoding="utf-8"), path, value), encoding="utf-8")
    data = tmp_path / "loans.csv"
    rows = (f"{20_000 + 173 * row},{18 + row % 60},{'yes' if row % 3 else 'no'}\n" for row in range(400))
    data.write_text("".join(["income,age,paid_back\n", *rows]), encoding="utf-8")
    words = ("new", "loans", "--task", "classification", "--data", str(data))
    completed = subprocess.run(
        [sys.executable, "-m", "mlops", *words], cwd=copy, env=_environment(copy), capture_output=True, check=False
    )
    assert completed.returncode == 0, completed.stderr.decode()
    git("add", "mlops", "notebooks", "tests", "data", "Pulumi.*.yaml", cwd=copy)
    author = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
    git(*author, "commit", "--quiet", "--message", "Add loans", cwd=copy)
    return copy


def _environment(copy: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return clean | {"LOCALCLOUD_HOME": str(copy / ".localcloud")}


def test_its_own_tests_pass(edited: Path) -> None:
    """The tiers unit and spark take minutes, so that this runs at night."""
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "tests/unit", "tests/spark"],
        cwd=edited, env=_environment(edited), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip

    failed = [line for line in completed.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert failed == [] and completed.returncode == 0, completed.stdout[-5000:]
