"""The schedules of a training pipeline, as `pipeline.yml` describes them: training's times and data, scoring's times.

The names are the names of Azure ML's triggers (azure-ai-ml's CronTrigger and RecurrenceTrigger).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

_START = datetime(2024, 1, 1)
_FIELDS = (("minutes", 0, 59), ("hours", 0, 23), ("days", 1, 31), ("months", 1, 12), ("days of the week", 0, 6))
_WEEK = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
WeekDay = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _wall_clock(value: datetime) -> datetime:
    if value.tzinfo is not None:
        raise ValueError("write it without an offset, such as 2027-01-04T03:15:00, as time_zone says where it is meant")
    return value


def _cron(value: str) -> str:
    parts = value.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f"give five fields, MINUTES HOURS DAYS MONTHS DAYS-OF-WEEK, such as '15 3 * * 1', not {len(parts)}"
        )
    for part, (name, least, greatest) in zip(parts, _FIELDS, strict=True):
        if name in {"days", "months"}:
            if part != "*":
                raise ValueError(
                    f"Azure ML ignores {name}, here {part!r}, and would run every day: write *, or a recurrence with "
                    "month_days"
                )
            continue
        for item in part.split(","):
            _check_item(item, name, least, greatest)
    return " ".join(parts)


def _check_item(item: str, name: str, least: int, greatest: int) -> None:
    match = _PART.fullmatch(item)
    if match is None or match[3] == "0":
        raise ValueError(f"{item!r} is not a value of {name}: give numbers, *, lists, ranges or steps, such as */15")
    numbers = [_number(word, name) for word in (match[1], match[2]) if word is not None]
    if any(not least <= number <= greatest for number in numbers) or numbers != sorted(numbers):
        raise ValueError(f"{item!r} is not a value of {name}: these are {least} to {greatest}")


def _number(word: str, name: str) -> int:
    if name == "days of the week" and word.upper() in _WEEK:
        return _WEEK.index(word.upper())
    if not word.isascii() or not word.isdigit():
        raise ValueError(f"{word!r} is not a value of {name}: give a number")
    return int(word)


_Several = BeforeValidator(_as_list)
_WallClock = Annotated[datetime, AfterValidator(_wall_clock)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Recurrence(_Section):
    """Recurrence every `interval` units from the start on, or at clock times."""

    frequency: Literal["minute", "hour", "day", "week", "month"]
    interval: int = Field(default=1, ge=1, le=1000)
    hours: Annotated[tuple[Annotated[int, Field(ge=0, le=23)], ...], _Several] = ()
    minutes: Annotated[tuple[Annotated[int, Field(ge=0, le=59)], ...], _Several] = ()
    week_days: Annotated[tuple[WeekDay, ...], _Several] = ()
    month_days: Annotated[tuple[Annotated[int, Field(ge=1, le=31)], ...], _Several] = Field(
        default=(), description="Months that lack such a day are left out."
    )

    @model_validator(mode="after")
    def _fields_fit(self) -> Recurrence:
        at = [name for name in ("hours", "minutes", "week_days", "month_days") if getattr(self, name)]
        if at and self.frequency in ("minute", "hour"):
            raise ValueError(f"{at[0]} are for day, week and month, and the frequency is {self.frequency}")
        if self.week_days and self.frequency == "day":
            raise ValueError("week_days are for week and month, and the frequency is day")
        if self.month_days and self.frequency != "month":
            raise ValueError(f"month_days are for month, and the frequency is {self.frequency}")
        return self


class Times(_Section):
    """Schedule of Azure ML, which is off until `mlops schedule on` switches it on, stack by stack."""

    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        default=None, description="MINUTES HOURS * * DAYS-OF-WEEK, such as '15 3 * * 1' for Mondays at 3:15."
    )
    recurrence: Recurrence | None = None
    time_zone: str = Field(default="UTC", description="As Windows names it, such as W. Europe Standard Time.")
    start: _WallClock = Field(default=_START, description="Before it nothing runs; a recurrence counts from it.")
    end: _WallClock | None = Field(default=None, description="After it nothing runs.")

    @model_validator(mode="after")
    def _means_something(self) -> Times:
        if (self.cron is None) == (self.recurrence is None):
            raise ValueError("give cron or recurrence, one of them, such as cron: '15 3 * * 1'")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end, {self.end.isoformat()}, is not after start, {self.start.isoformat()}")
        return self


class Schedule(Times):
    """Schedule of trainings. It is off until `mlops schedule on` switches it on, stack by stack."""

    data: Annotated[str, StringConstraints(pattern=r"^data/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/?$")] | None = Field(
        default=None,
        description="File or folder of the training container to train on, which others bring up to date; default: the "
        "pipeline's own data, as they were when it was published.",
    )
