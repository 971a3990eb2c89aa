"""The commit that a rehearsal pushes after the first one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pipeline_runner.errors import RunnerError
from pipeline_runner.workspace import git

from mlops import specifications
from pipelines.rehearsal import yaml_edits
from pipelines.rehearsal.next_commit import changed, commit_on_top, webhook_address

ROOT = Path(__file__).resolve().parents[3]


def test_the_next_commit_is_a_specification_that_mlops_takes_and_publishes_anew(tmp_path: Path) -> None:
    copy = commit_on_top(ROOT, tmp_path / "next")

    assert git("status", "--porcelain", "--untracked-files=no", cwd=copy) == ""
    assert git("rev-parse", "HEAD~1", cwd=copy) == git("rev-parse", "HEAD", cwd=ROOT)
    before = specifications.load(None, ROOT / "mlops" / "pipelines")
    after = specifications.load(before.name, copy / "mlops" / "pipelines")
    assert after.specification_json != before.specification_json
    assert after.specification.gate.metrics[0].margin == -1_000_000
    assert after.specification.watch is not None
    assert (after.specification.watch.retrain, after.specification.watch.windows) == ("on_drift", 1)
    assert webhook_address(copy).startswith("https://localhost:")
    settings = yaml.safe_load((copy / "Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    assert settings["dataopsml:monitoring"]["alert_webhooks"] == [webhook_address(copy)]
    before_it = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    del settings["dataopsml:monitoring"]["alert_webhooks"]
    before_it["dataopsml:monitoring"].pop("alert_webhooks", None)
    assert settings == before_it, "the other settings stay"


def test_the_next_commit_keeps_every_comment_and_the_order(tmp_path: Path) -> None:
    copy = commit_on_top(ROOT, tmp_path / "next")

    changed_files = git("diff", "--name-only", "HEAD~1", cwd=copy).split()
    assert len(changed_files) == 2
    for file in changed_files:
        before, after = ((folder / file).read_text(encoding="utf-8") for folder in (ROOT, copy))
        assert re.findall(r"(?m)(?:^|\s)#.*$", after) == re.findall(r"(?m)(?:^|\s)#.*$", before)
        new = [line for line in after.splitlines() if line not in before.splitlines()]
        assert 1 <= len(new) <= 6, "one line a value"


def test_a_copy_without_a_webhook_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"Pulumi\.prod\.yaml names no webhook: play the whole rehearsal first\.$"):
        webhook_address(tmp_path)


def test_a_specification_without_a_number_to_change_is_named() -> None:
    with pytest.raises(RunnerError, match=r"^rents/pipeline\.yml has no run parameter of type number to change\.$"):
        changed("parameters: {depth: {type: integer, default: 3}}", Path("rents/pipeline.yml"))


def test_the_value_stays_below_its_maximum() -> None:
    specification = """parameters:
  alpha: {type: number, default: 0.8, maximum: 1}  # a share
gate: {metrics: [{name: rmse}]}
"""

    assert (
        changed(specification, Path("p"))
        == """parameters:
  alpha: {type: number, default: 0.4, maximum: 1}  # a share
gate: {metrics: [{margin: -1000000.0, name: rmse}]}
"""
    )


@pytest.mark.parametrize(
    ("text", "path", "edited"),
    [
        ("a: 1 # one\nb: 2\n", ("a",), "a: [x] # one\nb: 2\n"),
        ("# top\na:\n  b: 1\n", ("a", "c"), "# top\na:\n  c: [x]\n  b: 1\n"),
        ("a:\n  - b: 1\n  - b: 2\n", ("a", 1, "c"), "a:\n  - b: 1\n  - c: [x]\n    b: 2\n"),
        ("a:\nb: 2\n", ("a", "c"), "a: {c: [x]}\nb: 2\n"),
        ("a: {}\n", ("a", "c"), "a: {c: [x]}\n"),
        ("a: 1\n", ("b", "c"), "b: {c: [x]}\na: 1\n"),
        ("a:\n  - 1\n  - 2\n# end\nb: 2\n", ("a",), "a:\n  [x]\n# end\nb: 2\n"),
    ],
)
def test_an_edit_of_yaml_changes_one_value_and_no_comment(text: str, path: tuple[str | int, ...], edited: str) -> None:
    assert yaml_edits.with_value(text, path, ["x"]) == edited


def test_a_place_that_holds_no_mapping_is_named() -> None:
    with pytest.raises(RunnerError, match=r"^There is no place for b in line 2 of the YAML: it has no mapping there"):
        yaml_edits.with_value("c: 1\na: 2\n", ("a", "b"), 1)
