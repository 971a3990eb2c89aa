"""Schedules of Azure ML that live with the platform: they train, or score, with the serving published version.

A schedule is switched off when it is made, so that a fresh bring-up or a restored workspace trains nothing by itself,
and keeps its switch when it moves on to another version. It is deleted when the specification has none any more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops import time_zones
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.publish import VERSION_TAG, Published, Say
from mlops.scheduled_work import KINDS, TRAINING, Kind, Work
from mlops.terminal import quiet_polling
from steps.schedule import Times

_CONTENT_TAG = "content"


@dataclass(frozen=True)
class Scheduled:
    """A schedule as Azure ML has it."""

    name: str
    on: bool
    when: str
    version: str
    content: str
    component_id: str
    target_exists: bool

    @property
    def state(self) -> str:
        """Return one line for people."""
        gone = "" if self.target_exists else f"; its target is gone: {self.component_id} does not exist"
        return f"{self.name} is {'on' if self.on else 'off'}, {self.when}, runs version {self.version}{gone}"


def read(clients: Clients, name: str) -> Scheduled | None:
    """Return the schedule, None when there is none."""
    resource = clients.arm.get(f"{clients.workspace_id}/schedules/{name}")
    if resource is None:
        return None
    properties = resource["properties"]
    component = str(properties["action"]["jobDefinition"].get("componentId") or "")
    tags = properties.get("tags") or {}
    return Scheduled(
        name=name,
        on=bool(properties.get("isEnabled")),
        when=_when(properties["trigger"]),
        version=tags.get(VERSION_TAG, "unknown"),
        content=tags.get(_CONTENT_TAG, ""),
        component_id=component,
        target_exists=bool(component) and clients.arm.get(component.removeprefix("azureml:")) is not None,
    )


def read_all(clients: Clients) -> list[Scheduled]:
    """Return the existing schedules of the pipeline: training, scoring."""
    schedules = (read(clients, kind.name(clients.pipeline)) for kind in KINDS)
    return [scheduled for scheduled in schedules if scheduled is not None]


def move(clients: Clients, deployment: Published, say: Say) -> None:
    """Let the pipeline's schedules run a deployment's version, and delete schedules without a specification.

    Raises InvalidError for a schedule that is over, before anything is changed, and the clients' errors.
    """
    check_none_is_over(clients)
    for kind in KINDS:
        _move(clients, kind, deployment, say)


def _move(clients: Clients, kind: Kind, deployment: Published, say: Say) -> None:
    name, times = kind.name(clients.pipeline), kind.times(clients.pipeline)
    existing = read(clients, name)
    if times is None:
        if existing is not None:
            delete(clients, name)
            say(f"schedule: {name} deleted, the specification has none")
        return
    work = kind.work(clients, deployment)
    if work is not None:
        put(clients, times, work, existing, say)
        return
    reason = f"version {deployment.version} was published before its runs took files by themselves"
    if existing is not None and existing.on:
        with quiet_polling():
            clients.ml.schedules.begin_disable(name).result()
        say(f"schedule: {name} is off now: {reason}")
    else:
        say(f"schedule: {name} cannot run: {reason}")


@contextmanager
def moved(clients: Clients, to: Published, back: Published | None, say: Say) -> Iterator[None]:
    """Move the schedules with a promotion: before it, so that a failed move promotes nothing, and back if that fails.

    Where the second schedule cannot be moved, the first one goes back.
    """
    try:
        move(clients, to, say)
        yield
    except BaseException:
        if back is not None:
            move(clients, back, say)
        raise


def put(clients: Clients, times: Times, work: Work, existing: Scheduled | None, say: Say) -> None:
    """Make or change a schedule; its switch stays. A schedule that is right already is left alone."""
    content = _content(times, work)
    if existing is not None and existing.content == content:
        return
    from azure.ai.ml.entities import JobSchedule, PipelineJob, PipelineJobSettings

    settings = PipelineJobSettings(default_compute=clients.outputs.compute_name, continue_on_step_failure=False)
    job = PipelineJob(
        component=work.component_id, inputs=dict(work.inputs), settings=settings, experiment_name=work.experiment
    )
    on = existing is not None and existing.on
    schedule = JobSchedule(
        name=work.name,
        trigger=_trigger(times),
        create_job=job,
        display_name=work.name,
        description=f"Runs the serving version of {clients.pipeline.name}.",
        tags={VERSION_TAG: work.version, _CONTENT_TAG: content},
        is_enabled=on,
    )
    with quiet_polling():
        clients.ml.schedules.begin_create_or_update(schedule).result()
    option = "" if work.name == TRAINING.name(clients.pipeline) else " --score"
    command = f"python -m mlops schedule on {clients.options}{option}"
    state = "on" if on else f"off: `{command}` switches it on"
    say(f"schedule: {work.name} runs version {work.version}, {state}")


def switch(clients: Clients, on: bool, kind: Kind = TRAINING) -> Scheduled:
    """Switch one of the pipeline's schedules on or off; return its new state.

    Raises MissingError without one, and InvalidError where it must stay off: it is over, or its target is gone.
    """
    name = kind.name(clients.pipeline)
    existing = read(clients, name)
    times = kind.times(clients.pipeline)
    if existing is None:
        remedy = "publish or promote it first" if times else f"its pipeline.yml has no `{kind.section}`"
        raise MissingError(f"{clients.pipeline.name} has no {kind.title} on {clients.outputs.environment}: {remedy}.")
    if on:
        check_not_over(clients, kind)
        if not existing.target_exists:
            raise InvalidError(f"The schedule {existing.state}: publish or promote again, and switch it on then.")
    if existing.on != on:
        schedules = clients.ml.schedules
        with quiet_polling():
            (schedules.begin_enable(name) if on else schedules.begin_disable(name)).result()
    changed = read(clients, name)
    if changed is None:
        raise MissingError(f"The schedule {name} was deleted meanwhile.")
    return changed


def delete(clients: Clients, name: str) -> None:
    """Delete a schedule. Azure ML refuses that while it is on."""
    with quiet_polling():
        clients.ml.schedules.begin_disable(name).result()
        clients.ml.schedules.begin_delete(name).result()


def check_none_is_over(clients: Clients) -> None:
    """Raise InvalidError for a schedule in the past, of training or scoring."""
    for kind in KINDS:
        check_not_over(clients, kind)


def check_not_over(clients: Clients, kind: Kind) -> None:
    """Raise InvalidError for a schedule in the past."""
    times = kind.times(clients.pipeline)
    if times is not None and is_over(times, datetime.now(UTC)):
        raise InvalidError(
            f"{kind.section}.end of {clients.pipeline.name} is {times.end} ({times.time_zone}), which has passed: it "
            f"would never run again. Set a later end, or remove the section `{kind.section}`."
        )


def is_over(times: Times, now: datetime) -> bool:
    """Whether the end has passed, by the clocks of the schedule's time zone."""
    return times.end is not None and times.end.replace(tzinfo=time_zones.zone(times.time_zone)) <= now


def _trigger(rule: Times) -> Any:
    from azure.ai.ml.entities import CronTrigger, RecurrencePattern, RecurrenceTrigger

    when = {
        "start_time": rule.start.isoformat(),
        "end_time": None if rule.end is None else rule.end.isoformat(),
        "time_zone": rule.time_zone,
    }
    if rule.recurrence is None:
        return CronTrigger(expression=rule.cron, **when)
    recurrence = rule.recurrence
    pattern = RecurrencePattern(
        hours=list(recurrence.hours), minutes=list(recurrence.minutes),
        week_days=list(recurrence.week_days) or None, month_days=list(recurrence.month_days) or None,
    )  # fmt: skip
    return RecurrenceTrigger(frequency=recurrence.frequency, interval=recurrence.interval, schedule=pattern, **when)


def _content(rule: Times, work: Work) -> str:
    parts = [rule.model_dump(mode="json"), work.component_id, work.experiment, dict(work.inputs)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _when(trigger: dict[str, Any]) -> str:
    """Return a trigger in words."""
    zone = trigger.get("timeZone") or "UTC"
    if trigger.get("triggerType") == "Cron":
        text = f"cron {trigger.get('expression')}"
    else:
        pattern = trigger.get("schedule") or {}
        at = "; ".join(
            f"{label} {', '.join(str(value) for value in pattern[key])}"
            for key, label in (("weekDays", "on"), ("monthDays", "on days"), ("hours", "hours"), ("minutes", "minutes"))
            if pattern.get(key)
        )
        number, unit = trigger.get("interval"), str(trigger.get("frequency")).lower()
        text = f"every {unit if number == 1 else f'{number} {unit}s'}{f' ({at})' if at else ''}"
    end = trigger.get("endTime")
    return f"{text}, {zone}{f' until {end}' if end else ''}"
