"""The task that starts scheduled jobs in time.

Due moments are computed from the stored schedules, so that a restart forgets nothing. Moments that passed while
localcloud was stopped are skipped: on Azure each schedule is a logic app (the "Cost considerations" of
learn.microsoft.com/azure/machine-learning "Schedule pipeline jobs"), whose recurrence goes on with the next moment.
The rights of a scheduled job are not documented there; here they are the rights of the principal that wrote the
schedule last, checked each time.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from localcloud.azureml.common import WORKSPACE, user_error, workspace_of
from localcloud.azureml.jobs.submit import submit
from localcloud.azureml.schedules import definitions, triggers
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

TYPE = f"{WORKSPACE}/schedules"
_LONGEST_WAIT_SECONDS = 60.0
"""Interval of checks of the clock: a machine that slept wakes up later than its timers."""
_log = logging.getLogger("localcloud.azureml.schedules")


class Scheduler:
    """Holds the enabled schedules against the clock."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._due: dict[str, datetime] = {}
        self._changed = asyncio.Event()
        ctx.clock.on_move.append(self._changed.set)

    async def start(self) -> None:
        """Plan the stored schedules, and go on until the gateway stops."""
        for schedule in self._ctx.resources.list(TYPE):
            self.plan(schedule)
        self._ctx.tasks.start(self._run(), "schedules")

    def plan(self, schedule: Resource, *, at_once: bool = False) -> None:
        """Plan a schedule in its current state: its next moment, now if `at_once`, or never while it is disabled."""
        self._due.pop(schedule.id.lower(), None)
        now = self._ctx.clock.now()
        if schedule.properties["isEnabled"]:
            following = now if at_once else self._following(schedule, now)
            if following is not None:
                self._due[schedule.id.lower()] = following
        self._changed.set()

    def forget(self, schedule: Resource) -> None:
        self._due.pop(schedule.id.lower(), None)

    async def fire(self, schedule: Resource, moment: datetime) -> Resource:
        """Start the job of a moment; return it. Raises ServiceError where it cannot be started."""
        workspace = workspace_of(self._ctx, schedule.id)
        writer = self._ctx.identities.by_object_id(str(schedule.private.get("writer", "")))
        if writer is None:
            raise user_error(f"The identity that wrote the schedule '{schedule.name}' does not exist any more.", 403)
        if not self._ctx.authorizer.allows(writer, f"{WORKSPACE}/jobs/write", workspace.id):
            raise ServiceError(
                403,
                "AuthorizationFailed",
                f"The client '{writer.app_id}' with object id '{writer.object_id}', which wrote the schedule "
                f"'{schedule.name}', does not have authorization to perform action '{WORKSPACE}/jobs/write' over scope "
                f"'{workspace.id}'.",
            )
        body = definitions.job(schedule, moment)
        name = definitions.job_name(schedule.name, moment)
        return await submit(self._ctx, workspace, name, body, writer, schedule=schedule.name)

    def _following(self, schedule: Resource, moment: datetime) -> datetime | None:
        created = datetime.fromisoformat(schedule.private["created"])
        return triggers.parse(schedule.properties["trigger"]).next_after(moment, created)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            now = self._ctx.clock.now()
            for id_ in sorted(id_ for id_, due in self._due.items() if due <= now):
                await self._fire_due(id_, self._due.pop(id_), now)
            nearest = min(self._due.values(), default=None)
            wait = _LONGEST_WAIT_SECONDS
            if nearest is not None:
                wait = min(max((nearest - self._ctx.clock.now()).total_seconds(), 0.0), wait)
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    async def _fire_due(self, id_: str, due: datetime, now: datetime) -> None:
        """Start due runs and plan the next ones. After a failure the other schedules go on."""
        schedule = self._ctx.resources.get(id_)
        if schedule is None or not schedule.properties["isEnabled"] or schedule.state == "Deleting":
            return
        following = self._following(schedule, now)
        if following is not None:
            self._due[id_] = following
        try:
            job = await self.fire(schedule, due)
        except ServiceError as error:
            _log.warning("schedule %s started no job: %s: %s", schedule.name, error.code, error.message)
        except Exception:
            _log.exception("schedule %s started no job", schedule.name)
        else:
            _log.info("schedule %s started job %s", schedule.name, job.name)
