"""Moments of triggers, and refused triggers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from azure.ai.ml.constants import TimeZone
from localcloud.azureml.schedules import triggers
from localcloud.core.errors import ServiceError

CREATED = datetime(2027, 1, 1, 12, 34, 56, tzinfo=UTC)


def moments(count: int, after: str, **trigger: Any) -> list[str]:
    parsed = triggers.parse(trigger)
    moment, result = datetime.fromisoformat(after).replace(tzinfo=UTC), []
    for _ in range(count):
        following = parsed.next_after(moment, CREATED)
        if following is None:
            break
        moment = following
        result.append(moment.strftime("%Y-%m-%dT%H:%M:%S"))
    return result


def cron(expression: str, **more: Any) -> dict[str, Any]:
    return {"triggerType": "Cron", "expression": expression, **more}


def recurrence(frequency: str, interval: int = 1, **more: Any) -> dict[str, Any]:
    return {"triggerType": "Recurrence", "frequency": frequency, "interval": interval, **more}


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (cron("15 16 * * 1"), ["2027-01-04T16:15:00", "2027-01-11T16:15:00"]),
        (cron("0 0,12 * * MON-TUE"), ["2027-01-04T00:00:00", "2027-01-04T12:00:00", "2027-01-05T00:00:00"]),
        # Berlin is an hour ahead of UTC in winter.
        (cron("15 3 * * *", timeZone="W. Europe Standard Time"), ["2027-01-02T02:15:00", "2027-01-03T02:15:00"]),
        # Days and months are ignored, as Azure says.
        (cron("0 6 31 12 *"), ["2027-01-02T06:00:00", "2027-01-03T06:00:00"]),
        (cron("0 6 * * *", startTime="2027-02-01T06:00:00"), ["2027-02-01T06:00:00", "2027-02-02T06:00:00"]),
        (cron("0 6 * * *", endTime="2027-01-02 06:00:00"), ["2027-01-02T06:00:00"]),
        (recurrence("Minute", 90, startTime="2027-01-01T00:00:00"), ["2027-01-01T13:30:00", "2027-01-01T15:00:00"]),
        (recurrence("hour", 6), ["2027-01-01T18:34:56", "2027-01-02T00:34:56"]),
        (recurrence("Day", 2, startTime="2026-12-30T10:15:00"), ["2027-01-03T10:15:00", "2027-01-05T10:15:00"]),
        (
            recurrence("Day", schedule={"hours": [3, 15], "minutes": [0, 30]}),
            ["2027-01-01T15:00:00", "2027-01-01T15:30:00", "2027-01-02T03:00:00"],
        ),
        (
            recurrence("week", 2, startTime="2026-12-21T00:00:00",
                       schedule={"hours": [10], "minutes": [15], "weekDays": ["monday"]}),
            ["2027-01-04T10:15:00", "2027-01-18T10:15:00"],
        ),
        # Months without a 31st are left out.
        (
            recurrence("Month", schedule={"hours": [1], "minutes": [0], "monthDays": [31]}),
            ["2027-01-31T01:00:00", "2027-03-31T01:00:00", "2027-05-31T01:00:00"],
        ),
        (recurrence("Month", startTime="2026-01-15T08:00:00"), ["2027-01-15T08:00:00", "2027-02-15T08:00:00"]),
    ],
)  # fmt: skip
def test_a_trigger_fires_at_these_moments(trigger: dict[str, Any], expected: list[str]) -> None:
    assert moments(len(expected), "2027-01-01T12:34:56", **trigger) == expected


def test_changes_of_summer_time_leave_one_time_a_day() -> None:
    zone: dict[str, Any] = {"timeZone": "W. Europe Standard Time"}
    pattern = {"hours": [2], "minutes": [30]}
    # 28 March 2027 has no 02:30 in Berlin, 31 October has it twice.
    for trigger in (cron("30 2 * * *", **zone), recurrence("Day", schedule=pattern, **zone)):
        days = [moment[:10] for moment in moments(3, "2027-03-27T12:00:00", **trigger)]
        assert days == ["2027-03-28", "2027-03-29", "2027-03-30"], trigger
        days = [moment[:10] for moment in moments(3, "2027-10-30T12:00:00", **trigger)]
        assert days == ["2027-10-31", "2027-11-01", "2027-11-02"], trigger


def test_every_time_zone_of_the_vendor_is_known() -> None:
    for zone in TimeZone:
        assert moments(1, "2027-01-01T12:00:00", **cron("0 0 * * *", timeZone=zone.value)), zone


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (None, "The trigger of a schedule is required"),
        ({"triggerType": "Event"}, "properties.trigger.triggerType is not valid"),
        (cron("every monday"), "The cron expression 'every monday' is not valid: use five fields"),
        (cron("61 3 * * *"), "bad minute"),
        (cron("0 3 * * 7"), "weekdays 0 to 6"),
        (cron("0 3 L * *"), "days are numbers or *"),
        (cron("0 3 * * 1#2"), "'1#2' is not a value of days of the week"),
        (cron("0 0 3 * * 1"), "it has 6"),
        (cron("0 3 * * *", timeZone="Europe/Berlin"), "The timeZone 'Europe/Berlin' of the trigger is not a Windows"),
        (
            cron("0 3 * * *", startTime="2027-02-01T00:00:00", endTime="2027-01-01T00:00:00"),
            "The endTime '2027-01-01T00:00:00' of the trigger is not after its startTime '2027-02-01T00:00:00'",
        ),
        (cron("0 3 * * *", startTime="2027-02-01T00:00:00+01:00"), "has a UTC offset"),
        (cron("0 3 * * *", startTime="soon"), "properties.trigger.startTime is not valid"),
        (cron("0 3 * * *", endTime="0001-01-01T00:00:00"), "use a year such as 2027"),
        ({"triggerType": "Recurrence", "frequency": "Day"}, "The interval of a recurrence trigger is required"),
        (recurrence("Year"), "properties.trigger.frequency is not valid"),
        (recurrence("Day", 0), "properties.trigger.interval is not valid"),
        (recurrence("Hour", schedule={"hours": [3], "minutes": [0]}), "is for Day, Week and Month, not for Hour"),
        (recurrence("Day", schedule={"hours": [24], "minutes": [0]}), "properties.trigger.schedule.hours.0 is not"),
        (recurrence("Day", schedule={"weekDays": ["Monday"]}), "weekDays of a recurrence are for frequency Week"),
        (recurrence("Week", schedule={"monthDays": [1]}), "monthDays of a recurrence are for frequency Month"),
    ],
)  # fmt: skip
def test_a_meaningless_trigger_is_refused(trigger: Any, message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        triggers.parse(trigger)
    assert (refusal.value.status, refusal.value.code) == (400, "UserError")
    assert message in refusal.value.message
