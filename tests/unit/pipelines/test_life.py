"""A model's life in prod: expected results of each stage, the stage that stops it, and the table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline_runner.errors import RunnerError
from rich.console import Console

from pipelines.rehearsal import life, life_data
from pipelines.rehearsal.life_data import LifeData
from pipelines.rehearsal.life_stages import STAGES, Life
from pipelines.rehearsal.life_table import Outcome, Row, show
from pipelines.rehearsal.webhook import Webhook
from tests import samples
from tests.unit.pipelines.recorded_make import ROOT

_INVOKER = "6f0c2c39-1a6e-4b1d-9c43-0c5c1f0a7e11"
_RULE = "alert-dataops-prod-watch-diabetes"


@dataclass
class RecordedStack:
    """Prod with its agent: its commands, and answers of services."""

    commands: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    clock: list[timedelta | None] = field(default_factory=list)
    webhook: Webhook = field(default_factory=Webhook)
    started_by: str = _INVOKER
    status: str = "Completed"
    registers: bool = True
    fires: bool = True
    wrong_scorer: bool = False
    removed: list[str] = field(default_factory=list)
    serves: str = "4"
    drifted: bool = False

    def run(self, *words: str) -> str:
        self.commands.append(" ".join(words))
        match [word for word in words if word not in (".venv/bin/python", "-m", "mlops")]:
            case ["models", *_]:
                return json.dumps(self._versions())
            case ["score", *_]:
                return json.dumps([self._entry(name) for name in self.files if name.startswith("scoring/in")])
            case ["watch", *_]:
                return json.dumps([self._window(next(reversed(self.files)))])
            case ["make", "rollback", "STACK=prod"]:
                self.serves = "4"
        return ""

    def play(self, pipeline: str, parameters: Mapping[str, str]) -> None:
        self.commands.append(f"{pipeline} {dict(parameters)}")
        self.serves = parameters["modelVersion"]

    def leave(self, blob: str, content: bytes) -> None:
        self.files[blob] = content

    def remove(self, folders: Iterable[str]) -> None:
        self.removed = list(folders)

    def runs(self) -> list[dict[str, Any]]:
        run = {
            "name": "run-7", "systemData": {"createdBy": self.started_by, "createdAt": datetime.now(UTC).isoformat()},
            "properties": {"status": self.status, "inputs": {"reuse_key": {"value": "retraining-diabetes-000001"}}},
        }  # fmt: skip
        earlier = run | {"name": "run-3", "systemData": {"createdBy": _INVOKER, "createdAt": "2026-01-01T00:00:00Z"}}
        return [run, earlier]

    def alerts(self) -> list[dict[str, Any]]:
        if not (self.fires and self.clock and self.clock[-1] == timedelta(minutes=6)):
            return []
        essentials = {"monitorCondition": "Fired", "severity": "Sev2", "alertRule": _RULE, "alertId": "/x/guid-1"}
        self.webhook.alerts.append({"data": {"essentials": essentials}})
        return [{"id": "/component/providers/x/guid-1", "name": _RULE, "properties": {"essentials": essentials}}]

    def move_clock(self, ahead: timedelta | None) -> None:
        self.clock.append(ahead)

    def _versions(self) -> list[dict[str, Any]]:
        own = {"version": "5", "promoted_from": "", "decision": "it is better", "pipeline_run": "run-7"}
        released = {"version": "4", "promoted_from": "staging:diabetes:2", "decision": "", "pipeline_run": "run-1"}
        known = [own, released] if self.registers else [released]
        return [version | {"serves": version["version"] == self.serves} for version in known]

    def _entry(self, name: str) -> dict[str, Any]:
        scorer = "3" if self.wrong_scorer else self.serves
        return {"file_name": name, "model_version": scorer, "rows_read": 200, "rows_scored": 200}

    def _window(self, name: str) -> dict[str, Any]:
        breaches = [{"message": "bmi has drifted"}] if "-drifted-" in name else []
        return {"file_name": name, "breaches": breaches}


def _life(stack: RecordedStack) -> Life:
    rows = [{"a": str(number), "y": str(number)} for number in range(300)]
    return Life(
        stack, stack, stack.webhook, LifeData(rows, "y", {"a": 350.0}, 1), "diabetes", "scoring/in/diabetes", _INVOKER,
        wait=lambda seconds: None,
    )  # fmt: skip


def _play(stack: RecordedStack) -> list[Row]:
    return life.play(_life(stack), Console(quiet=True), clock=iter(range(100)).__next__)


def test_a_life_goes_from_the_release_to_a_rollback_and_names_the_version_that_serves() -> None:
    stack = RecordedStack()

    rows = _play(stack)

    assert [(row.stage, row.outcome.serves) for row in rows] == [
        ("release", "4"), ("score", "4"), ("drift", "4"), ("alert", "4"), ("retrain", "4"), ("gate", "4"),
        ("promote", "5"), ("score again", "5"), ("roll back", "4"), ("score at last", "4"),
    ]  # fmt: skip
    assert [row.stage for row in rows] == list(STAGES)
    assert not any(row.failed for row in rows), [row.outcome for row in rows]
    assert all(row.seconds == 1 for row in rows)
    assert "pipelines/promote.yml {'modelVersion': '5'}" in stack.commands
    assert stack.commands.index("make rollback STACK=prod") > stack.commands.index(
        "pipelines/promote.yml {'modelVersion': '5'}"
    )


def test_a_life_leaves_its_clock_files_and_requests_as_they_were() -> None:
    stack = RecordedStack()
    _play(stack)

    assert stack.clock[-1] is None
    assert stack.removed == [
        "scoring/watch/diabetes/requests/", "incoming/rehearsal-", "scoring/in/diabetes/rehearsal-",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "stage", "text"),
    [
        ({"serves": "5"}, "release", "Version 5 of diabetes serves in prod, and was not promoted: release first."),
        ({"wrong_scorer": True}, "score", "was scored by version 3, and version 4 serves."),
        ({"fires": False}, "alert", "No alert of the rule watch-diabetes fired within 2 minutes."),
        ({"started_by": "somebody"}, "retrain", "was started by somebody, and not by the identity for it, 6f0c2c39"),
        ({"status": "Failed"}, "retrain", "Run run-7 is Failed: `mlops report run-7 --stack prod` says why."),
        ({"registers": False}, "gate", "The gate refused the model of run run-7: `mlops report run-7` has the reason."),
    ],
)
def test_a_life_ends_at_the_stage_that_fails_and_is_tidied_up(changes: dict[str, Any], stage: str, text: str) -> None:
    stack = RecordedStack(**changes)

    rows = _play(stack)

    assert [row.stage for row in rows if row.failed] == [stage] == [rows[-1].stage]
    assert text in rows[-1].outcome.text
    assert stack.removed and stack.clock[-1] is None


def test_the_table_shows_each_stage_and_marks_the_failed_one() -> None:
    rows = [
        Row("score", Outcome("200 of 200 rows [bold]scored", "4"), 41.26),
        Row("gate", Outcome("refused"), 3.0, failed=True),
    ]
    console = Console(width=80, record=True, quiet=False, file=io.StringIO())

    show(rows, "Rehearsal", console)

    lines = [" ".join(line.strip("│ ").split()) for line in console.export_text().splitlines()]
    assert "score │ 200 of 200 rows [bold]scored │ 4 │ 41.3" in lines
    assert "gate │ failed: refused │ │ 3.0" in lines


@pytest.fixture
def data() -> LifeData:
    """Return data for a life of the sample pipeline: another default pipeline may be no regression."""
    specification = yaml.safe_load((samples.PIPELINES / "diabetes" / "pipeline.yml").read_text(encoding="utf-8"))
    return life_data.read(ROOT, specification, seed=7)


def _read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_drifted_rows_are_greater_and_within_the_data_contract(data: LifeData) -> None:
    usual, drifted = _read(data.usual()), _read(data.drifted())

    assert len(usual) == len(drifted) == life_data.ROWS
    assert "progression" not in usual[0]
    assert _mean(drifted, "bmi") > 1.25 * _mean(usual, "bmi")
    assert max(float(row["bmi"]) for row in drifted) <= 80
    assert {row["sex"] for row in drifted} == {"1", "2"}, "whole numbers and categories stay"


def test_new_training_data_are_drifted_and_their_target_goes_the_other_way(data: LifeData) -> None:
    before = sorted(float(row["progression"]) for row in data.rows)

    after = sorted(float(row["progression"]) for row in _read(data.training()))

    assert after == pytest.approx([before[0] + before[-1] - value for value in reversed(before)])
    other = LifeData(data.rows, data.target, data.bounds, seed=8)
    assert other.training() != data.training(), "a run on known data would be reused"


def test_a_pipeline_whose_life_cannot_be_played_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"^The life of rents cannot be played: it takes a regression with"):
        life_data.read(tmp_path, {"model": "rents", "task": "classification", "target": "y"}, 1)


def _mean(rows: Sequence[dict[str, str]], column: str) -> float:
    return sum(float(row[column]) for row in rows) / len(rows)
