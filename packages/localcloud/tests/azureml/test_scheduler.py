"""The scheduler's task over a restart, with a clock of its own and without a gateway."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from localcloud.azureml.schedules import triggers
from localcloud.azureml.schedules.scheduler import TYPE, Scheduler
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID, Settings
from localcloud.gateway.faults import Faults
from localcloud.gateway.services import build

WORKSPACE = (
    f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/w"
)
MONDAY = datetime(2027, 1, 4, 3, tzinfo=UTC)


class Recorder(Scheduler):
    """Recorder of started schedules; a schedule named `broken` fails."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.fired: list[tuple[str, datetime]] = []

    async def fire(self, schedule: Resource, moment: datetime) -> Resource:
        self.fired.append((schedule.name, moment))
        if schedule.name == "broken":
            raise ServiceError(404, "NotFound", "The component was not found.")
        return Resource(id=f"{WORKSPACE}/jobs/j", type="jobs", name="j")


def context(home: Path) -> Context:
    return build(Settings(home=home, cache=home), Faults([])).context


def keep(ctx: Context, name: str, *, enabled: bool = True, **trigger: Any) -> None:
    content = {"triggerType": "Cron", "expression": "0 3 * * *", "startTime": "2026-01-01T00:00:00", **trigger}
    properties = {"isEnabled": enabled, "trigger": triggers.parse(content).to_json()}
    private = {"created": "2026-01-01T00:00:00+00:00"}
    ctx.resources.put(
        Resource(id=f"{WORKSPACE}/schedules/{name}", type=TYPE, name=name, properties=properties, private=private)
    )


async def played(ctx: Context, *moments: datetime) -> list[tuple[str, datetime]]:
    """Start a scheduler at the first moment and move its clock to the others; return the started jobs."""
    ctx.clock.set(moments[0])
    scheduler = Recorder(ctx)
    await scheduler.start()
    try:
        for moment in moments:
            ctx.clock.set(moment)
            for _ in range(5):
                await asyncio.sleep(0)
    finally:
        await ctx.tasks.close()
    return scheduler.fired


def test_stored_schedules_continue_after_a_restart_without_missed_times(tmp_path: Path) -> None:
    first = context(tmp_path)
    keep(first, "daily")
    keep(first, "off", enabled=False)
    keep(first, "over", endTime="2027-01-01T00:00:00")
    assert asyncio.run(played(first, MONDAY - timedelta(hours=1), MONDAY)) == [("daily", MONDAY)]
    first.database.close()

    second = context(tmp_path)
    thursday = MONDAY + timedelta(days=3)
    later = [thursday + timedelta(hours=1), thursday + timedelta(days=1), thursday + timedelta(days=1, hours=1)]
    assert asyncio.run(played(second, *later)) == [("daily", thursday + timedelta(days=1))], "two days were missed"
    second.database.close()


def test_a_schedule_that_fails_does_not_stop_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ctx = context(tmp_path)
    keep(ctx, "broken")
    keep(ctx, "daily")
    days = [MONDAY + timedelta(days=day) for day in range(2)]
    fired = asyncio.run(played(ctx, MONDAY - timedelta(hours=1), *days))
    assert fired == [(name, day) for day in days for name in ("broken", "daily")]
    assert "schedule broken started no job: NotFound: The component was not found." in caplog.text
    ctx.database.close()


def test_a_clock_jump_over_several_times_starts_one_job(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    keep(ctx, "daily")
    assert asyncio.run(played(ctx, MONDAY - timedelta(hours=1), MONDAY + timedelta(days=5))) == [("daily", MONDAY)]
    ctx.database.close()
