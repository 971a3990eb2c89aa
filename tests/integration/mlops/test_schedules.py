"""The pipeline's schedule on a stack: off until it is switched on, moved with what serves, and run by a moved clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.clock import MovedClock
from localcloud.testing.clock import clock as clock
from localcloud.testing.workspace_session import ML, wait_for
from typer.testing import CliRunner

from mlops import jobs, publish, schedules
from mlops.cli import app
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from steps.schedule import Schedule
from tests.integration.mlops.stacks import PIPELINE, Stack, make_stack, remove_stack

WEEKLY = Schedule(cron="15 3 * * 1", time_zone="W. Europe Standard Time", data="data/current/")


def with_schedule(clients: Clients, schedule: Schedule | None) -> Clients:
    """Return the clients for a pipeline.yml with a schedule."""
    specification = PIPELINE.specification.model_copy(update={"schedule": schedule})
    return Clients(clients.outputs, replace(PIPELINE, specification=specification))


@pytest.fixture(scope="module")
def stack(azure: AzureSession) -> Iterator[Stack]:
    made = make_stack(azure, "staging", None)
    made.publish("1", "commit-1")
    made.publish("2", "commit-2", keep_default=True)
    yield made
    remove_stack(made)


@pytest.fixture
def clients(stack: Stack) -> Iterator[Clients]:
    """Return clients of a stack whose schedule runs version 1, off; there is none afterwards."""
    made = with_schedule(stack.clients, WEEKLY)
    schedules.move(made, publish.of_version(made, "1"), lambda _: None)
    yield made
    schedules.move(with_schedule(stack.clients, None), publish.of_version(made, "1"), lambda _: None)
    assert schedules.read(made, PIPELINE.schedule) is None


def scheduled(clients: Clients) -> schedules.Scheduled:
    made = schedules.read(clients, PIPELINE.schedule)
    assert made is not None
    return made


def command(stack: Stack, folder: Path, *words: str) -> str:
    file = folder / "outputs.json"
    file.write_text(json.dumps(stack.clients.outputs.model_dump()))
    where = ["--stack", "staging", "--pipeline", "diabetes", "--outputs", str(file)]
    result = CliRunner().invoke(app, [*words, *where], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_published_schedule_is_off_and_runs_until_its_end_once_it_is_on(
    stack: Stack, clients: Clients, clock: MovedClock, tmp_path: Path
) -> None:
    made = scheduled(clients)
    assert (made.on, made.version, made.target_exists) == (False, "1", True)
    assert made.when == "cron 15 3 * * 1, W. Europe Standard Time"
    assert "diabetes-training is off" in command(stack, tmp_path, "schedule", "list")

    assert "diabetes-training is on" in command(stack, tmp_path, "schedule", "on")
    skipped = command(stack, tmp_path, "run", "--unless-scheduled")
    assert "Nothing is run: the schedule diabetes-training of Azure ML is on, and trains diabetes." in skipped
    before = jobs.newest(clients)
    now = datetime.now(UTC)
    clock.set(now + timedelta(days=8))
    job = wait_for(lambda: jobs.newest(clients), lambda newest: newest is not None and newest != before)
    assert stack.workspace.finished(job.name).status == "Completed"
    assert (job.code, job.inputs["data_uri"].rpartition("/data/")[2]) == ("1", "current/")
    due = datetime.fromisoformat(job.data)
    assert now < due <= now + timedelta(days=8)
    assert job.inputs["reuse_key"] == job.data, "a key that no other run has"

    assert "diabetes-training is off" in command(stack, tmp_path, "schedule", "off")


def test_a_moved_schedule_keeps_its_switch_and_returns_after_a_failed_promotion(clients: Clients) -> None:
    schedules.switch(clients, True)
    first, second = (publish.of_version(clients, version) for version in ("1", "2"))
    said: list[str] = []
    with schedules.moved(clients, second, first, said.append):
        assert scheduled(clients).version == "2"
    assert (scheduled(clients).version, scheduled(clients).on) == ("2", True)
    with (
        pytest.raises(RuntimeError, match="the default did not move"),
        schedules.moved(clients, first, second, said.append),
    ):
        raise RuntimeError("the default did not move")
    assert (scheduled(clients).version, scheduled(clients).on) == ("2", True)
    assert said == [f"schedule: diabetes-training runs version {version}, on" for version in ("2", "1", "2")]
    schedules.move(clients, second, said.append)
    assert len(said) == 3, "nothing to do"


def test_a_schedule_with_a_deleted_target_is_reported_and_not_switched_on(
    stack: Stack, clients: Clients, azure: AzureSession, tmp_path: Path
) -> None:
    stack.publish("3", "commit-3", keep_default=True)
    schedules.move(clients, publish.of_version(clients, "3"), lambda _: None)
    component = scheduled(clients).component_id
    azure.finish(azure.arm("DELETE", f"{clients.workspace_id}/batchEndpoints/{clients.endpoint}/deployments/v-3", ML))
    assert azure.arm("DELETE", component, ML).status_code in {200, 204}
    status = command(stack, tmp_path, "status")
    assert f"its target is gone: {component} does not exist" in status
    with pytest.raises(InvalidError, match="publish or promote again, and switch it on then"):
        schedules.switch(clients, True)


@pytest.mark.parametrize(
    ("rule", "when"),
    [
        (
            {"recurrence": {"frequency": "week", "interval": 2, "hours": 3, "minutes": [0, 30], "week_days": "monday"}},
            "every 2 weeks (on Monday; hours 3; minutes 0, 30), UTC",
        ),
        ({"recurrence": {"frequency": "hour"}, "end": "2099-01-01T00:00:00"},
         "every hour, UTC until 2099-01-01T00:00:00"),
    ],
)  # fmt: skip
def test_a_changed_rule_changes_the_schedule(clients: Clients, rule: dict[str, Any], when: str) -> None:
    changed = with_schedule(clients, Schedule.model_validate({**rule, "data": "data/current.csv"}))
    schedules.move(changed, publish.of_version(changed, "1"), lambda _: None)
    assert scheduled(clients).when == when


def test_a_schedule_in_the_past_is_refused_and_nothing_changes(clients: Clients) -> None:
    over = with_schedule(clients, Schedule.model_validate({"cron": "0 3 * * *", "end": "2025-01-01T00:00:00"}))
    with pytest.raises(InvalidError, match=r"schedule\.end of diabetes is 2025-01-01 00:00:00 \(UTC\), which"):
        schedules.move(over, publish.of_version(over, "2"), lambda _: None)
    assert scheduled(clients).version == "1"


def test_switching_without_a_schedule_is_refused(stack: Stack) -> None:
    with pytest.raises(MissingError, match=r"diabetes has no schedule on staging: its pipeline\.yml has no `schedule`"):
        schedules.switch(stack.clients, True)
