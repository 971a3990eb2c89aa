"""The schedule of pipeline.yml: its meaning, and refusals by path."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops import schedules, specifications
from mlops.errors import InvalidError
from steps.schedule import Schedule
from tests import samples


def faults(folder: Path, schedule: dict[str, Any]) -> str:
    """Return the messages for a pipeline.yml with this schedule."""
    content = yaml.safe_load((samples.PIPELINES / "diabetes" / specifications.FILE).read_text())
    (folder / "diabetes").mkdir()
    (folder / "diabetes" / specifications.FILE).write_text(yaml.safe_dump(content | {"schedule": schedule}))
    with pytest.raises(InvalidError) as refusal:
        specifications.load("diabetes", folder)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        ({}, "schedule: give cron or recurrence, one of them, such as cron: '15 3 * * 1'"),
        ({"cron": "0 3 * * 1", "recurrence": {"frequency": "day"}}, "schedule: give cron or recurrence, one of them"),
        ({"cron": "every day"}, "schedule.cron is 'every day': give five fields, MINUTES HOURS DAYS"),
        ({"cron": "61 3 * * 1"}, "schedule.cron is '61 3 * * 1': '61' is not a value of minutes: these are 0 to 59"),
        ({"cron": "0 3 * * 7"}, "'7' is not a value of days of the week: these are 0 to 6"),
        ({"cron": "*/0 3 * * 1"}, "'*/0' is not a value of minutes: give numbers, *, lists, ranges or steps"),
        ({"cron": "0 3 1 * *"}, "Azure ML ignores days, here '1', and would run every day: write *, or a recurrence"),
        ({"cron": "0 3 * * 1", "time_zone": "Europe/Berlin"}, "Europe/Berlin is W. Europe Standard Time there"),
        ({"cron": "0 3 * * 1", "time_zone": "Mars"}, "schedule.time_zone is 'Mars': Azure ML takes the names"),
        (
            {"cron": "0 3 * * 1", "start": "2027-02-01T00:00:00", "end": "2027-01-01T00:00:00"},
            "schedule: end, 2027-01-01T00:00:00, is not after start, 2027-02-01T00:00:00",
        ),
        ({"cron": "0 3 * * 1", "end": "2027-01-01T00:00:00Z"}, "schedule.end is '2027-01-01T00:00:00Z': write it"),
        ({"cron": "0 3 * * 1", "data": "incoming/x.csv"}, "schedule.data is 'incoming/x.csv'"),
        ({"cron": "0 3 * * 1", "tiem_zone": "UTC"}, "schedule.tiem_zone is unknown: did you mean time_zone?"),
        ({"recurrence": {"frequency": "year"}}, "schedule.recurrence.frequency is 'year'"),
        ({"recurrence": {"frequency": "hour", "hours": 3}}, "schedule.recurrence: hours are for day, week and month"),
        ({"recurrence": {"frequency": "day", "week_days": "monday"}}, "week_days are for week and month"),
        ({"recurrence": {"frequency": "week", "month_days": 1}}, "month_days are for month, and the frequency is week"),
        ({"recurrence": {"frequency": "day", "hours": 24}}, "schedule.recurrence.hours.0 is 24"),
    ],
)  # fmt: skip
def test_a_meaningless_schedule_is_refused_by_its_path(tmp_path: Path, schedule: dict[str, Any], fault: str) -> None:
    assert fault in faults(tmp_path, schedule)


@pytest.mark.parametrize("cron", ["15 3 * * 1", "*/15 * * * *", "0,30 6-18/2 * * MON-FRI", "0 0 * * sun,3"])
def test_cron_expressions_have_azure_ml_s_form(cron: str) -> None:
    assert Schedule(cron=cron).cron == cron


def test_a_schedule_expires_by_its_own_time_zone() -> None:
    schedule = Schedule.model_validate(
        {"cron": "0 3 * * 1", "time_zone": "W. Europe Standard Time", "end": "2027-01-04T01:00:00"}
    )
    assert not schedules.is_over(schedule, datetime(2027, 1, 3, 23, 59, tzinfo=UTC))
    assert schedules.is_over(schedule, datetime(2027, 1, 4, tzinfo=UTC)), "one o'clock in Berlin"


def test_steps_know_nothing_of_the_schedule(tmp_path: Path) -> None:
    """A changed schedule is no other version of the pipeline."""
    training = specifications.load("diabetes", samples.PIPELINES)
    scheduled = training.specification.model_copy(update={"schedule": Schedule(cron="0 3 * * 1")})
    changed = specifications.TrainingPipeline(training.name, training.folder, scheduled)
    assert changed.specification_json == training.specification_json
