"""Schedules of Azure ML that live with the platform: one a pipeline, which runs the published version that serves.

A schedule is made switched off, so that a fresh bring-up or a restored workspace trains nothing by itself, and keeps
its switch when it moves on to another version. Where the specification has none any more, it goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops import reuse_keys, time_zones, training_data
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.publish import VERSION_TAG, Published, Say, inputs_of
from steps.schedule import Schedule

_CONTENT_TAG = "content"
TRIGGER_TIME = "${{creation_context.trigger_time}}"
"""When a scheduled run was due, as Azure ML fills it into inputs of text ("Use supported expressions in schedules")."""


@dataclass(frozen=True)
class Work:
    """What a schedule runs: a version of a pipeline component, with its inputs."""

    name: str
    """Name of the schedule."""
    experiment: str
    component_id: str
    version: str
    inputs: Mapping[str, str] = field(default_factory=dict)


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


def training_work(clients: Clients, deployment: Published) -> Work:
    """Return what the pipeline's schedule runs when a deployment serves. Uploads the data that it names."""
    pipeline = clients.pipeline
    inputs = {**_data(clients), "code_version": deployment.version, reuse_keys.INPUT: TRIGGER_TIME}
    declared = inputs_of(clients, deployment)
    return Work(
        name=pipeline.schedule,
        experiment=pipeline.experiment,
        component_id=deployment.pipeline_id,
        version=deployment.version,
        inputs={name: value for name, value in inputs.items() if name in declared},
    )


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


def move(clients: Clients, deployment: Published, say: Say) -> None:
    """Let the pipeline's schedule run a deployment's version, and delete it where the specification has none.

    Raises InvalidError for a schedule that is over, and the clients' errors.
    """
    rule = clients.pipeline.specification.schedule
    existing = read(clients, clients.pipeline.schedule)
    if rule is None:
        if existing is not None:
            delete(clients, existing.name)
            say(f"schedule: {existing.name} deleted, the specification has none")
        return
    check_not_over(clients, rule)
    put(clients, rule, training_work(clients, deployment), existing, say)


@contextmanager
def moved(clients: Clients, to: Published, back: Published | None, say: Say) -> Iterator[None]:
    """Move the schedule with a promotion: before it, so that a failed move promotes nothing, and back if that fails."""
    move(clients, to, say)
    try:
        yield
    except BaseException:
        if back is not None:
            move(clients, back, say)
        raise


def put(clients: Clients, rule: Schedule, work: Work, existing: Scheduled | None, say: Say) -> None:
    """Make or change a schedule; its switch stays as it is. Nothing is done where all is so already."""
    content = _content(rule, work)
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
        trigger=_trigger(rule),
        create_job=job,
        display_name=work.name,
        description=f"Runs what serves of {clients.pipeline.name}.",
        tags={VERSION_TAG: work.version, _CONTENT_TAG: content},
        is_enabled=on,
    )
    clients.ml.schedules.begin_create_or_update(schedule).result()
    how = "on" if on else f"off: `python -m mlops schedule on --pipeline {clients.pipeline.name}` switches it on"
    say(f"schedule: {work.name} runs version {work.version}, {how}")


def switch(clients: Clients, on: bool) -> Scheduled:
    """Switch the pipeline's schedule on or off; return it as it is then.

    Raises MissingError without one, and InvalidError where it must not be on: it is over, or its target is gone.
    """
    name = clients.pipeline.schedule
    existing = read(clients, name)
    rule = clients.pipeline.specification.schedule
    if existing is None:
        what = "publish or promote it first" if rule else "its pipeline.yml has no `schedule`"
        raise MissingError(f"{clients.pipeline.name} has no schedule on {clients.outputs.environment}: {what}.")
    if on:
        if rule is not None:
            check_not_over(clients, rule)
        if not existing.target_exists:
            raise InvalidError(f"The schedule {existing.state}: publish or promote again, and switch it on then.")
    if existing.on != on:
        schedules = clients.ml.schedules
        (schedules.begin_enable(name) if on else schedules.begin_disable(name)).result()
    changed = read(clients, name)
    if changed is None:
        raise MissingError(f"The schedule {name} was deleted meanwhile.")
    return changed


def delete(clients: Clients, name: str) -> None:
    """Delete a schedule. Azure ML refuses that while it is on."""
    clients.ml.schedules.begin_disable(name).result()
    clients.ml.schedules.begin_delete(name).result()


def check_not_over(clients: Clients, rule: Schedule) -> None:
    """Raise InvalidError for a schedule in the past."""
    if is_over(rule, datetime.now(UTC)):
        raise InvalidError(
            f"schedule.end of {clients.pipeline.name} is {rule.end} ({rule.time_zone}), which has passed: it would "
            "never run again. Set a later end, or remove the section `schedule`."
        )


def is_over(rule: Schedule, now: datetime) -> bool:
    """Whether the end has passed, by the clocks of the schedule's time zone."""
    return rule.end is not None and rule.end.replace(tzinfo=time_zones.zone(rule.time_zone)) <= now


def _data(clients: Clients) -> dict[str, str]:
    """Return the inputs that name the data, uploaded where they are the checkout's."""
    rule, out = clients.pipeline.specification.schedule, clients.outputs
    if rule is not None and rule.data is not None:
        return {"data_uri": f"{out.training_uri}/{rule.data}", "data_version": TRIGGER_TIME}
    data = training_data.read(clients.pipeline.data)
    training_data.upload(clients, data)
    return {"data_uri": data.uri(out.training_account, out.training_container), "data_version": data.sha256}


def _trigger(rule: Schedule) -> Any:
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


def _content(rule: Schedule, work: Work) -> str:
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
