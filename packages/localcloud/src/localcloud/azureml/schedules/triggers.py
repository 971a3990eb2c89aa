"""Triggers of schedules: the moments of a cron expression or a recurrence, in its time zone.

Sources: azure-ai-ml's TriggerBase (`_restclient/arm_ml_service/models`), learn.microsoft.com/azure/machine-learning
"Schedule pipeline jobs": days and months of a cron expression count as `*`, weekdays are 0 to 6, month days that a
month lacks are left out, hours and minutes belong to days, weeks and months. Azure does not document a wall clock that
is put forward or back: a time that does not exist is moved behind the gap, and a time that occurs twice means the
first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from dateutil import rrule
from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from tzlocal.windows_tz import win_tz

from localcloud.azureml.common import user_error
from localcloud.core.json import Json

_ABSENT_FROM_CLDR = {"Mid-Atlantic Standard Time": "Etc/GMT+2", "Kamchatka Standard Time": "Asia/Kamchatka"}
"""Windows names that Microsoft keeps for old settings, and azure-ai-ml's TimeZone with it."""
_ZONES = {name.lower(): zone for name, zone in {**win_tz, **_ABSENT_FROM_CLDR}.items()}
_CRON_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")
_FIELD_NAMES = ("minutes", "hours", "days", "months", "days of the week")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LONGEST_INTERVAL = 72_000
"""Minutes, by which Logic Apps' recurrence is bounded, and a schedule is one of them on Azure."""
_YEARS = range(1970, 9999)
_RULES = {"Day": rrule.DAILY, "Week": rrule.WEEKLY, "Month": rrule.MONTHLY}
_STEPS = {"Minute": timedelta(minutes=1), "Hour": timedelta(hours=1)}


def _titled(value: Any) -> Any:
    return value[:1].upper() + value[1:].lower() if isinstance(value, str) else value


def _none_as_empty(value: Any) -> Any:
    return () if value is None else value


_Hour = Annotated[int, Field(ge=0, le=23)]
_Minute = Annotated[int, Field(ge=0, le=59)]
_MonthDay = Annotated[int, Field(ge=1, le=31)]
_WeekDay = Annotated[
    Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"], BeforeValidator(_titled)
]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=AliasGenerator(validation_alias=to_camel))


class Pattern(_Fields):
    """Clock times of a recurrence; an empty part is the start's."""

    hours: tuple[_Hour, ...] = ()
    minutes: tuple[_Minute, ...] = ()
    week_days: Annotated[tuple[_WeekDay, ...], BeforeValidator(_none_as_empty)] = ()
    month_days: Annotated[tuple[_MonthDay, ...], BeforeValidator(_none_as_empty)] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.hours or self.minutes or self.week_days or self.month_days)


class _TriggerFields(_Fields):
    trigger_type: Annotated[Literal["Cron", "Recurrence"], BeforeValidator(_titled)]
    time_zone: str = "UTC"
    start_time: datetime | None = None
    end_time: datetime | None = None
    expression: str | None = None
    frequency: Annotated[Literal["Minute", "Hour", "Day", "Week", "Month"] | None, BeforeValidator(_titled)] = None
    interval: int | None = Field(default=None, ge=1, le=_LONGEST_INTERVAL)
    schedule: Pattern = Pattern()

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, content: Any) -> Any:
        return {key: value for key, value in content.items() if value is not None}


@dataclass(frozen=True)
class Trigger:
    """A checked trigger."""

    fields: _TriggerFields
    zone: ZoneInfo

    @property
    def start(self) -> datetime | None:
        return self._moment(self.fields.start_time)

    @property
    def end(self) -> datetime | None:
        return self._moment(self.fields.end_time)

    def to_json(self) -> Json:
        """Return the trigger as the service shows it."""
        fields = self.fields
        content: Json = {
            "endTime": _render(fields.end_time), "startTime": _render(fields.start_time), "timeZone": fields.time_zone,
            "triggerType": fields.trigger_type,
        }  # fmt: skip
        if fields.trigger_type == "Cron":
            return content | {"expression": fields.expression}
        pattern = fields.schedule
        schedule = {
            "hours": list(pattern.hours), "minutes": list(pattern.minutes),
            "weekDays": list(pattern.week_days) or None, "monthDays": list(pattern.month_days) or None,
        }  # fmt: skip
        return content | {"frequency": fields.frequency, "interval": fields.interval, "schedule": schedule}

    def next_after(self, moment: datetime, created: datetime) -> datetime | None:
        """Return the first moment later than `moment`, in UTC; None without one.

        `created` replaces a start time that the trigger does not have.
        """
        start = self.start or created
        following = self._cron(moment, start) if self.fields.trigger_type == "Cron" else self._recurring(moment, start)
        if following is None or (self.end is not None and following > self.end):
            return None
        return following

    def _cron(self, moment: datetime, start: datetime) -> datetime:
        minutes, hours, _, _, days = str(self.fields.expression).split()
        # A start that is a time of the expression is the first time itself.
        begin = max(moment, start - timedelta(seconds=1)).astimezone(self.zone)
        return next(CronSim(f"{minutes} {hours} * * {days}", begin)).astimezone(UTC)

    def _recurring(self, moment: datetime, start: datetime) -> datetime | None:
        fields, interval = self.fields, self.fields.interval or 1
        if (step := _STEPS.get(str(fields.frequency))) is not None:
            passed = (moment - start) // (step * interval)
            return start + max(passed + 1, 0) * step * interval
        pattern = fields.schedule
        first = start.astimezone(self.zone).replace(tzinfo=None)
        rule = rrule.rrule(
            _RULES[str(fields.frequency)], dtstart=first, interval=interval, byhour=pattern.hours or None,
            byminute=pattern.minutes or None, bysecond=0 if pattern.minutes else first.second,
            byweekday=[_DAYS.index(day) for day in pattern.week_days] or None,
            bymonthday=pattern.month_days or None,
        )  # fmt: skip
        # A day earlier, since clocks that are put back repeat an hour.
        day_before = moment.astimezone(self.zone).replace(tzinfo=None) - timedelta(days=1)
        for local in rule.xafter(day_before, inc=True):
            following: datetime = local.replace(tzinfo=self.zone).astimezone(UTC)
            if following > moment and following >= start:
                return following
        return None

    def _moment(self, local: datetime | None) -> datetime | None:
        return None if local is None else local.replace(tzinfo=self.zone).astimezone(UTC)


def parse(content: Any) -> Trigger:
    """Return the trigger that a body describes. Raises ServiceError 400 that names the value and a valid one."""
    if not isinstance(content, dict):
        raise user_error("The trigger of a schedule is required: an object with triggerType Cron or Recurrence.")
    try:
        fields = _TriggerFields.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(["properties.trigger", *(to_camel(str(part)) for part in problem["loc"])])
        raise user_error(f"{place} is not valid: {problem['msg']}, not {problem['input']!r:.100}.") from error
    trigger = Trigger(fields, _zone(fields.time_zone))
    for name, value in (("startTime", fields.start_time), ("endTime", fields.end_time)):
        if value is not None and value.year not in _YEARS:
            raise user_error(f"The {name} '{content[name]}' of the trigger is not valid: use a year such as 2027.")
        if value is not None and value.tzinfo is not None:
            raise user_error(
                f"The {name} '{content[name]}' of the trigger has a UTC offset: write it without one, such as "
                "2027-01-04T03:15:00; timeZone says where it is meant."
            )
    if trigger.start is not None and trigger.end is not None and trigger.end <= trigger.start:
        raise user_error(
            f"The endTime '{content['endTime']}' of the trigger is not after its startTime '{content['startTime']}'."
        )
    if fields.trigger_type == "Cron":
        _check_cron(fields.expression)
    else:
        _check_recurrence(fields)
    return trigger


def _zone(name: str) -> ZoneInfo:
    zone = _ZONES.get(name.lower())
    if zone is None:
        raise user_error(
            f"The timeZone '{name}' of the trigger is not a Windows time zone: use a name such as "
            "'W. Europe Standard Time' or 'UTC'."
        )
    return ZoneInfo(zone)


def _check_cron(expression: str | None) -> None:
    """Check an expression in NCronTab's form of five fields. cronsim accepts more, such as L and #."""
    refusal = (
        f"The cron expression '{expression}' is not valid: use five fields, MINUTES HOURS DAYS MONTHS DAYS-OF-WEEK, "
        "such as '15 16 * * 1'"
    )
    parts = (expression or "").split()
    if len(parts) != len(_FIELD_NAMES):
        raise user_error(f"{refusal}; it has {len(parts)}.")
    for name, part in zip(_FIELD_NAMES, parts, strict=True):
        if _CRON_FIELD.fullmatch(part) is None:
            raise user_error(f"{refusal}; '{part}' is not a value of {name}.")
    if re.search(r"[A-Za-z]", parts[2]) or re.search(r"7|[0-9]L", parts[4].upper()):
        raise user_error(f"{refusal}; days are numbers or *, weekdays 0 to 6, where 0 is Sunday, or names such as MON.")
    try:
        CronSim(" ".join(parts), datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise user_error(f"{refusal}; {str(error).lower()}.") from error


def _check_recurrence(fields: _TriggerFields) -> None:
    if fields.frequency is None or fields.interval is None:
        missing = "frequency" if fields.frequency is None else "interval"
        raise user_error(f"The {missing} of a recurrence trigger is required, such as frequency Week and interval 1.")
    pattern = fields.schedule
    if not pattern.is_empty and fields.frequency in _STEPS:
        raise user_error(f"The schedule of a recurrence is for Day, Week and Month, not for {fields.frequency}.")
    if pattern.week_days and fields.frequency == "Day":
        raise user_error("The weekDays of a recurrence are for frequency Week and Month, not for Day.")
    if pattern.month_days and fields.frequency != "Month":
        raise user_error(f"The monthDays of a recurrence are for frequency Month, not for {fields.frequency}.")


def _render(local: datetime | None) -> str | None:
    return None if local is None else local.strftime("%Y-%m-%dT%H:%M:%S")
