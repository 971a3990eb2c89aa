"""The commit that a rehearsal pushes after the first one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pipeline_runner.errors import RunnerError
from pipeline_runner.workspace import git

from mlops import specifications
from pipelines.rehearsal.next_commit import changed, commit_on_top, webhook_address

ROOT = Path(__file__).resolve().parents[3]


def test_the_next_commit_is_a_specification_that_mlops_takes_and_publishes_anew(tmp_path: Path) -> None:
    copy = commit_on_top(ROOT, tmp_path / "next")

    assert git("status", "--porcelain", "--untracked-files=no", cwd=copy) == ""
    assert git("rev-parse", "HEAD~1", cwd=copy) == git("rev-parse", "HEAD", cwd=ROOT)
    before = specifications.load(None)
    after = specifications.load(before.name, copy / "mlops" / "pipelines")
    assert after.specification_json != before.specification_json
    assert after.specification.gate.metrics[0].margin == -1_000_000
    assert after.specification.watch is not None
    assert (after.specification.watch.retrain, after.specification.watch.windows) == ("on_drift", 1)
    assert webhook_address(copy).startswith("https://localhost:")
    settings = yaml.safe_load((copy / "Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    assert settings["dataopsml:monitoring"]["alert_webhooks"] == [webhook_address(copy)]
    assert settings["dataopsml:monitoring"]["alert_emails"], "the other settings stay"


def test_a_copy_without_a_webhook_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"Pulumi\.prod\.yaml names no webhook: play the whole rehearsal first\.$"):
        webhook_address(tmp_path)


def test_a_specification_without_a_number_to_change_is_named() -> None:
    with pytest.raises(RunnerError, match=r"^rents/pipeline\.yml has no run parameter of type number to change\.$"):
        changed({"parameters": {"depth": {"type": "integer", "default": 3}}}, Path("rents/pipeline.yml"))


def test_the_value_stays_below_its_maximum() -> None:
    specification = {
        "parameters": {"alpha": {"type": "number", "default": 0.8, "maximum": 1}},
        "gate": {"metrics": [{"name": "rmse"}]},
    }

    assert changed(specification, Path("p"))["parameters"]["alpha"]["default"] == 0.4
