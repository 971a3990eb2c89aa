"""The pipeline's schedule on a stack: off at first, moved with the serving version, and run by a moved clock."""

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

from mlops import episodes, jobs, publish, scheduled_work, schedules, up
from mlops.cli import app
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.terminal import console
from steps.schedule import Schedule, Times
from tests.integration.mlops.stacks import PIPELINE, Stack, make_stack, remove_stack

WEEKLY = Schedule(cron="15 3 * * 1", time_zone="W. Europe Standard Time", data="data/current/")


def with_schedule(clients: Clients, schedule: Schedule | None) -> Clients:
    """Return the clients for a pipeline.yml with a schedule."""
    specification = PIPELINE.specification.model_copy(update={"schedule": schedule})
    return Clients(clients.outputs, replace(PIPELINE, specification=specification))


@pytest.fixture(scope="module")
def stack(azure: AzureSession) -> Iterator[Stack]:
    stack = make_stack(azure, "staging", None)
    stack.publish("1", "commit-1")
    stack.publish("2", "commit-2", keep_default=True)
    yield stack
    remove_stack(stack)


@pytest.fixture
def clients(stack: Stack) -> Iterator[Clients]:
    """Return clients of a stack whose schedule runs version 1, off; there is none afterwards."""
    scheduled = with_schedule(stack.clients, WEEKLY)
    schedules.move(scheduled, publish.of_version(scheduled, "1"), lambda _: None)
    yield scheduled
    schedules.move(with_schedule(stack.clients, None), publish.of_version(scheduled, "1"), lambda _: None)
    assert schedules.read(scheduled, PIPELINE.schedule) is None


def scheduled(clients: Clients) -> schedules.Scheduled:
    schedule = schedules.read(clients, PIPELINE.schedule)
    assert schedule is not None
    return schedule


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
    schedule = scheduled(clients)
    assert (schedule.on, schedule.version, schedule.target_exists) == (False, "1", True)
    assert schedule.when == "cron 15 3 * * 1, W. Europe Standard Time"
    assert "diabetes-training is off" in command(stack, tmp_path, "schedule", "list")

    assert command(stack, tmp_path, "schedule", "on").startswith("diabetes-training is on"), "no dots of azure-ai-ml"
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
    messages: list[str] = []
    with schedules.moved(clients, second, first, messages.append):
        assert scheduled(clients).version == "2"
    assert (scheduled(clients).version, scheduled(clients).on) == ("2", True)
    with (
        pytest.raises(RuntimeError, match="the default did not move"),
        schedules.moved(clients, first, second, messages.append),
    ):
        raise RuntimeError("the default did not move")
    assert (scheduled(clients).version, scheduled(clients).on) == ("2", True)
    assert messages == [f"schedule: diabetes-training runs version {version}, on" for version in ("2", "1", "2")]
    schedules.move(clients, second, messages.append)
    assert len(messages) == 3, "nothing to do"


def test_a_schedule_with_a_deleted_target_is_reported_and_not_switched_on(
    stack: Stack, clients: Clients, azure: AzureSession, tmp_path: Path
) -> None:
    stack.publish("3", "commit-3", keep_default=True)
    schedules.move(clients, publish.of_version(clients, "3"), lambda _: None)
    component, published = scheduled(clients).component_id, publish.of_version(clients, "3")
    assert publish.is_whole(clients, published)
    assert azure.arm("DELETE", component, ML).status_code in {200, 204}
    assert not publish.is_whole(clients, published), "the next publication makes the component again"
    azure.finish(azure.arm("DELETE", f"{clients.workspace_id}/batchEndpoints/{clients.endpoint}/deployments/v-3", ML))
    status = command(stack, tmp_path, "status")
    assert f"its target is gone: {component} does not exist" in status
    with pytest.raises(InvalidError, match="publish or promote again, and switch it on then"):
        schedules.switch(clients, True)


def test_a_schedule_that_is_on_and_lost_its_target_is_an_episode(
    stack: Stack, clients: Clients, azure: AzureSession, tmp_path: Path
) -> None:
    stack.publish("5", "commit-5", keep_default=True)
    schedules.move(clients, publish.of_version(clients, "5"), lambda _: None)
    schedules.switch(clients, True)
    assert "Every schedule of stack staging that is on has its target." in command(stack, tmp_path, "schedule", "check")
    assert episodes.read(clients) == []
    component = scheduled(clients).component_id
    azure.finish(azure.arm("DELETE", f"{clients.workspace_id}/batchEndpoints/{clients.endpoint}/deployments/v-5", ML))
    assert azure.arm("DELETE", component, ML).status_code in {200, 204}

    (episode,) = episodes.read(clients)
    assert episode.tag == "dataopsml-schedule-staging-diabetes-training-5"
    assert episode.title == "The schedule diabetes-training of stack staging runs nothing"
    assert f"its target is gone: {component} does not exist. Publish or promote again, or switch it off" in episode.text
    file = tmp_path / "episodes.json"
    assert episode.title in command(stack, tmp_path, "episodes", "--file", str(file))
    assert json.loads(file.read_text())[0]["tag"] == episode.tag
    with pytest.raises(InvalidError, match="its target is gone"):
        command(stack, tmp_path, "schedule", "check")
    schedules.switch(clients, False)
    assert episodes.read(clients) == [], "nobody expects it to run"


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
    with pytest.raises(InvalidError, match=r"schedule\.end of diabetes is 2025-01-01 00:00:00 \(UTC\), which"):
        up.ensure_published(over, "3", console())
    with pytest.raises(MissingError, match=r"Version 3 is not published on staging"):
        publish.of_version(over, "3")


def test_switching_without_a_schedule_is_refused(stack: Stack) -> None:
    with pytest.raises(MissingError, match=r"diabetes has no schedule on staging: its pipeline\.yml has no `schedule`"):
        schedules.switch(stack.clients, True)


def with_scoring_schedule(clients: Clients, times: Times | None) -> Clients:
    """Return the clients for a pipeline.yml that scores by itself as well."""
    score = PIPELINE.score.model_copy(update={"schedule": times})
    specification = clients.pipeline.specification.model_copy(update={"score": score})
    return Clients(clients.outputs, replace(PIPELINE, specification=specification))


@pytest.fixture
def scoring(clients: Clients) -> Iterator[Clients]:
    """Return clients of a stack with both schedules, which run version 1 and are off; there are none afterwards."""
    scheduled = with_scoring_schedule(clients, Times(cron="30 * * * *"))
    schedules.move(scheduled, publish.of_version(scheduled, "1"), lambda _: None)
    yield scheduled
    schedules.move(with_scoring_schedule(clients, None), publish.of_version(scheduled, "1"), lambda _: None)
    assert schedules.read(scheduled, PIPELINE.scoring_schedule) is None


def states(clients: Clients) -> list[tuple[str, str, bool]]:
    return [(item.name, item.version, item.on) for item in schedules.read_all(clients)]


def test_the_schedule_that_scores_runs_by_itself_and_has_a_switch_of_its_own(
    stack: Stack, scoring: Clients, clock: MovedClock, tmp_path: Path
) -> None:
    assert states(scoring) == [("diabetes-training", "1", False), ("diabetes-scoring", "1", False)]
    assert "diabetes-scoring is off, cron 30 * * * *, UTC" in command(stack, tmp_path, "schedule", "list")
    assert "diabetes-scoring is on" in command(stack, tmp_path, "schedule", "on", "--score")
    assert states(scoring) == [("diabetes-training", "1", False), ("diabetes-scoring", "1", True)]
    assert "diabetes-scoring is on, cron 30" in command(stack, tmp_path, "status")

    clock.set(datetime.now(UTC) + timedelta(hours=1))

    def scored() -> list[Any]:
        listed = scoring.arm.list(f"{scoring.workspace_id}/jobs", jobType="Pipeline")
        return [job for job in listed if f"/{PIPELINE.scoring_component}/" in job["properties"].get("componentId", "")]

    (job, *_) = wait_for(scored, bool)
    assert stack.workspace.finished(job["name"]).status == "Completed"
    properties = job["properties"]
    assert properties["componentId"].endswith("/diabetes_scoring/versions/1")
    assert properties["inputs"]["source"]["value"] == "incoming"
    assert properties["experimentName"] == "diabetes-scoring"
    assert jobs.newest(scoring) is None or jobs.newest(scoring).name != job["name"], "no training"  # type: ignore[union-attr]
    assert "diabetes-scoring is off" in command(stack, tmp_path, "schedule", "off", "--score")


def test_both_schedules_move_together_or_not_at_all(scoring: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in scheduled_work.KINDS:
        schedules.switch(scoring, True, kind)
    first, second = (publish.of_version(scoring, version) for version in ("1", "2"))
    with schedules.moved(scoring, second, first, lambda _: None):
        assert states(scoring) == [("diabetes-training", "2", True), ("diabetes-scoring", "2", True)]
    put = schedules.put

    def refuse(clients: Clients, times: Times, work: scheduled_work.Work, *rest: Any) -> None:
        if work.name == PIPELINE.scoring_schedule and work.version == "1":
            raise RuntimeError("the schedule cannot be changed")
        put(clients, times, work, *rest)

    monkeypatch.setattr(schedules, "put", refuse)
    with (
        pytest.raises(RuntimeError, match="the schedule cannot be changed"),
        schedules.moved(scoring, first, second, lambda _: None),
    ):
        raise AssertionError("nothing is promoted when a schedule cannot be moved")
    assert states(scoring) == [("diabetes-training", "2", True), ("diabetes-scoring", "2", True)]


def test_a_version_that_cannot_take_files_switches_the_schedule_that_scores_off(
    stack: Stack, scoring: Clients, azure: AzureSession
) -> None:
    stack.publish("4", "commit-4", keep_default=True)
    schedules.switch(scoring, True, scheduled_work.SCORING)
    endpoint = f"{scoring.workspace_id}/batchEndpoints/{scoring.endpoint}"
    azure.finish(azure.arm("DELETE", f"{endpoint}/deployments/s-4", ML))
    messages: list[str] = []

    schedules.move(scoring, publish.of_version(scoring, "4"), messages.append)

    reason = "version 4 was published before its runs took files by themselves"
    assert f"schedule: diabetes-scoring is off now: {reason}" in messages
    assert states(scoring) == [("diabetes-training", "4", False), ("diabetes-scoring", "1", False)]


def test_a_schedule_that_scores_in_the_past_is_named_by_its_path(scoring: Clients) -> None:
    over = with_scoring_schedule(scoring, Times.model_validate({"cron": "0 3 * * *", "end": "2025-01-01T00:00:00"}))
    with pytest.raises(InvalidError, match=r"score\.schedule\.end of diabetes is 2025-01-01 00:00:00 \(UTC\), which"):
        schedules.move(over, publish.of_version(over, "2"), lambda _: None)
    assert states(scoring) == [("diabetes-training", "1", False), ("diabetes-scoring", "1", False)]
    schedules.delete(scoring, PIPELINE.scoring_schedule)
    message = r"diabetes has no schedule that scores on staging: its pipeline\.yml has no `score\.schedule`"
    with pytest.raises(MissingError, match=message):
        schedules.switch(with_scoring_schedule(scoring, None), True, scheduled_work.SCORING)
