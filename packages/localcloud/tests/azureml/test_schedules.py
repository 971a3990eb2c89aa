"""Schedules by azure-ai-ml's client, with a clock that is moved.

No `from __future__ import annotations` here: the DSL reads the annotations of pipeline functions.
"""

import copy
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.ai.ml.constants import TimeZone
from azure.ai.ml.entities import (
    Component,
    CronTrigger,
    JobSchedule,
    PipelineJob,
    PipelineJobSettings,
    RecurrencePattern,
    RecurrenceTrigger,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from localcloud.core.json import Json
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.clock import MovedClock
from localcloud.testing.clock import clock as clock
from localcloud.testing.cloud import Cloud
from localcloud.testing.job_sources import pipeline, steps
from localcloud.testing.pipeline_steps import step as step
from localcloud.testing.principals import session_as
from localcloud.testing.workspace_session import ML, MlWorkspace, wait_for
from localcloud.testing.workspace_session import ml as ml

DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
TRIGGER_VERSION = "2024-01-01-preview"
BEGIN = datetime.now(UTC).replace(microsecond=0)
DAWN = {"expression": "0 3 * * *", "start_time": "2026-01-01T00:00:00"}


@pytest.fixture(scope="module")
def component(ml: MlWorkspace, step: Component) -> Component:
    """Return a published pipeline component, as schedules run it."""

    @pipeline(default_compute="cpu")
    def scheduled(word: str) -> None:
        step(word=word)

    component = scheduled(word="x").component
    component.name = unique("scheduled")
    return ml.client.components.create_or_update(component, version="1")


@pytest.fixture
def name(ml: MlWorkspace) -> Iterator[str]:
    """Return a schedule's name; the schedule is gone afterwards."""
    name = unique("schedule")
    yield name
    if ml.azure.arm("GET", f"{ml.id}/schedules/{name}", ML).status_code == 200:
        ml.client.schedules.begin_disable(name).result()
        ml.client.schedules.begin_delete(name).result()


def schedule(component: Component, name: str, trigger: Any = None, word: str = "x", **more: Any) -> JobSchedule:
    job = pipeline_job(str(component.id), word)
    return JobSchedule(name=name, trigger=trigger or CronTrigger(**DAWN), create_job=job, **more)


def pipeline_job(component: str, word: str) -> PipelineJob:
    settings = PipelineJobSettings(default_compute="cpu")
    inputs = {"word": word}
    return PipelineJob(component=component, inputs=inputs, settings=settings, experiment_name="scheduled")


def put(ml: MlWorkspace, schedule_: JobSchedule) -> JobSchedule:
    result: JobSchedule = ml.client.schedules.begin_create_or_update(schedule_).result()
    return result


def jobs(ml: MlWorkspace, name: str) -> list[Any]:
    return list(ml.client.jobs.list(scheduled_job_name=name))


def at_dawn(days: int) -> datetime:
    return (BEGIN + timedelta(days=days)).replace(hour=3, minute=0, second=0)


def test_the_vendor_s_client_makes_reads_lists_disables_and_deletes_a_schedule(
    ml: MlWorkspace, component: Component, name: str
) -> None:
    pattern = RecurrencePattern(hours=10, minutes=15, week_days="monday")
    weekly = RecurrenceTrigger(
        frequency="week", interval=1, schedule=pattern, start_time="2026-01-01T00:00:00",
        time_zone=TimeZone.W_EUROPE_STANDARD_TIME,
    )  # fmt: skip
    created = put(ml, schedule(component, name, weekly, display_name="Weekly", tags={"a": "b"}))
    assert (created.is_enabled, created.provisioning_state, created.tags) == (True, "Succeeded", {"a": "b"})
    assert created.trigger.time_zone == "W. Europe Standard Time"
    assert (created.trigger.schedule.hours, created.trigger.schedule.week_days) == ([10], ["Monday"])
    assert created.create_job.experiment_name == "scheduled"
    assert name in [listed.name for listed in ml.client.schedules.list()]

    with pytest.raises(HttpResponseError, match="Cannot delete an active trigger"):
        ml.client.schedules.begin_delete(name).result()
    assert ml.client.schedules.begin_disable(name).result().is_enabled is False
    assert name not in [listed.name for listed in ml.client.schedules.list()], "the enabled ones by default"
    assert name in [listed.name for listed in ml.client.schedules.list(list_view_type="DisabledOnly")]
    assert ml.client.schedules.begin_enable(name).result().is_enabled is True
    ml.client.schedules.begin_disable(name).result()
    ml.client.schedules.begin_delete(name).result()
    with pytest.raises(ResourceNotFoundError):
        ml.client.schedules.get(name)


def test_a_put_is_answered_with_an_operation(ml: MlWorkspace, component: Component, name: str) -> None:
    body = {"properties": schedule(component, name, is_enabled=False)._to_rest_object().as_dict()["properties"]}
    created = ml.azure.arm("PUT", f"{ml.id}/schedules/{name}", ML, copy.deepcopy(body))
    assert created.status_code == 201, created.text
    assert "Azure-AsyncOperation" in created.headers
    assert created.json()["properties"]["provisioningState"] == "Creating"
    ml.azure.finish(created)
    assert ml.azure.arm("PUT", f"{ml.id}/schedules/{name}", ML, body).status_code == 200
    view = ml.azure.arm("GET", f"{ml.id}/schedules", ML, listViewType="Some")
    assert error_of(view)[:2] == (400, "UserError")


def test_a_schedule_runs_at_its_time_and_never_while_it_is_disabled(
    ml: MlWorkspace, component: Component, name: str, clock: MovedClock
) -> None:
    put(ml, schedule(component, name, word="${{creation_context.trigger_time}}", is_enabled=False))
    clock.set(at_dawn(2) + timedelta(hours=1))
    ml.client.schedules.begin_enable(name).result()
    assert jobs(ml, name) == [], "what passed while it was disabled is not made up for"
    clock.set(at_dawn(3) - timedelta(seconds=1))
    job = wait_for(lambda: jobs(ml, name), bool)[0]
    stamp = at_dawn(3).strftime("%Y%m%dT%H%M%SZ")
    assert job.display_name == f"{name}-{stamp}"
    assert ml.finished(job.name).status == "Completed"
    properties = ml.azure.arm("GET", f"{ml.id}/jobs/{job.name}", ML).json()["properties"]
    assert properties["inputs"]["word"]["value"] == at_dawn(3).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert set(steps(ml, job.name).values()) == {"Completed"}
    listed = ml.azure.arm("GET", f"{ml.id}/jobs", ML, scheduled="false").json()["value"]
    assert job.name not in [other["name"] for other in listed]

    ml.client.schedules.begin_disable(name).result()
    clock.set(at_dawn(5))
    ml.client.schedules.begin_enable(name).result()
    assert [run.name for run in jobs(ml, name)] == [job.name]


def test_a_schedule_without_a_start_time_runs_at_once(ml: MlWorkspace, component: Component, name: str) -> None:
    put(ml, schedule(component, name, CronTrigger(expression="0 3 * * *")))
    job = wait_for(lambda: jobs(ml, name), bool)[0]
    assert ml.finished(job.name).status == "Completed"
    put(ml, schedule(component, name, CronTrigger(expression="0 4 * * *")))
    assert len(jobs(ml, name)) == 1, "an update is no beginning"


def test_an_enabled_schedule_is_triggered_by_hand(ml: MlWorkspace, component: Component, name: str) -> None:
    put(ml, schedule(component, name))
    result = ml.client.schedules.trigger(name)
    assert result.schedule_action_type == "CreateJob"
    assert ml.finished(result.job_name).status == "Completed"
    ml.client.schedules.begin_disable(name).result()
    answer = ml.azure.arm("POST", f"{ml.id}/schedules/{name}/trigger", TRIGGER_VERSION, {})
    assert error_of(answer)[:2] == (400, "UserError")
    assert "is disabled" in error_of(answer)[2]


def test_an_existing_job_is_scheduled_by_its_id(ml: MlWorkspace, component: Component, name: str) -> None:
    source = ml.client.jobs.create_or_update(pipeline_job(str(component.id), "again"))
    put(ml, JobSchedule(name=name, trigger=CronTrigger(**DAWN), create_job=source.id))
    definition = ml.azure.arm("GET", f"{ml.id}/schedules/{name}", ML).json()["properties"]["action"]["jobDefinition"]
    assert definition["inputs"]["word"]["value"] == "again"
    assert ml.finished(ml.client.schedules.trigger(name).job_name).status == "Completed"
    with pytest.raises(HttpResponseError, match=r"The job '.*/jobs/nothing' of the schedule was not found"):
        put(ml, JobSchedule(name=name, trigger=CronTrigger(**DAWN), create_job=f"{ml.id}/jobs/nothing"))


def test_a_deleted_target_starts_nothing_and_the_schedule_can_still_be_disabled(
    ml: MlWorkspace, component: Component, name: str
) -> None:
    body = schedule(component, name)._to_rest_object().as_dict()
    body["properties"]["action"]["jobDefinition"]["componentId"] = f"{ml.id}/components/nothing/versions/1"
    ml.azure.finish(ml.azure.arm("PUT", f"{ml.id}/schedules/{name}", ML, body))
    answer = ml.azure.arm("POST", f"{ml.id}/schedules/{name}/trigger", TRIGGER_VERSION, {})
    assert error_of(answer)[:2] == (400, "UserError")
    assert "/components/nothing/versions/1' was not found" in error_of(answer)[2]
    assert ml.client.schedules.begin_disable(name).result().is_enabled is False


def test_a_schedule_has_its_writer_s_current_rights(
    ml: MlWorkspace, component: Component, name: str, cloud: Cloud
) -> None:
    identity = f"{ml.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id')}"
    writer = ml.azure.put(identity, "2023-01-31", {"location": "westeurope"})["properties"]["principalId"]
    session, path = session_as(cloud, writer), f"{ml.id}/schedules/{name}"
    body = schedule(component, name)._to_rest_object().as_dict()
    refused = session.arm("PUT", path, ML, copy.deepcopy(body))
    assert error_of(refused)[:2] == (403, "AuthorizationFailed")
    assert "workspaces/schedules/write" in error_of(refused)[2]

    assignment = f"{ml.id}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    role = f"{ml.azure.subscription}/providers/Microsoft.Authorization/roleDefinitions/{DATA_SCIENTIST}"
    assignment_properties: Json = {"principalId": writer, "roleDefinitionId": role, "principalType": "ServicePrincipal"}
    ml.azure.put(assignment, "2022-04-01", {"properties": assignment_properties})
    wait_for(lambda: session.arm("PUT", path, ML, copy.deepcopy(body)).status_code, {200, 201}.__contains__)
    assert ml.finished(ml.client.schedules.trigger(name).job_name).status == "Completed"

    assert ml.azure.arm("DELETE", assignment, "2022-04-01").status_code == 200
    answer = wait_for(
        lambda: ml.azure.arm("POST", f"{path}/trigger", TRIGGER_VERSION, {}), lambda response: not response.ok
    )
    assert error_of(answer)[:2] == (403, "AuthorizationFailed")
    assert f"object id '{writer}'" in error_of(answer)[2]
    assert "workspaces/jobs/write" in error_of(answer)[2]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"trigger": {"triggerType": "Cron", "expression": "0 3 * *"}}, 400, "The cron expression '0 3 * *'"),
        (
            {"trigger": {"triggerType": "Cron", "expression": "0 3 * * *", "timeZone": "Mars Standard Time"}},
            400,
            "The timeZone 'Mars Standard Time'",
        ),
        (
            {"trigger": {"triggerType": "Cron", "expression": "0 3 * * *", "endTime": "2020-01-01T00:00:00"}},
            400,
            "is in the past: it would never run",
        ),
        ({"action": {"actionType": "InvokeBatchEndpoint"}}, 501, "InvokeBatchEndpoint"),
        ({"action": {"actionType": "CreateJob"}}, 400, "The jobDefinition of a schedule's action is required"),
        ({"action": {"actionType": "CreateJob", "jobDefinition": {"jobType": "Sweep"}}}, 501, "Sweep"),
        ({"isEnabled": "yes"}, 400, "properties.isEnabled must be true or false, not 'yes'"),
    ],
)  # fmt: skip
def test_an_impossible_schedule_is_refused(
    ml: MlWorkspace, component: Component, change: Json, status: int, message: str
) -> None:
    name = unique("schedule")
    body = schedule(component, name)._to_rest_object().as_dict()
    body["properties"] |= change
    answer = ml.azure.arm("PUT", f"{ml.id}/schedules/{name}", ML, body)
    assert error_of(answer)[0] == status, answer.text
    assert message in error_of(answer)[2]
    assert ml.azure.arm("GET", f"{ml.id}/schedules/{name}", ML).status_code == 404


def test_patch_is_not_offered(ml: MlWorkspace) -> None:
    assert ml.azure.arm("PATCH", f"{ml.id}/schedules/any", ML, {}).status_code == 501


def test_only_the_deployer_moves_the_clock(ml: MlWorkspace, clock: MovedClock, cloud: Cloud) -> None:
    later = {"now": "2027-01-04T03:00:00Z"}
    assert requests.post(clock.address, json=later, timeout=30).status_code == 401
    token = session_as(cloud, ml.identity["principalId"]).credential.get_token("https://management.azure.com/.default")
    headers = {"Authorization": f"Bearer {token.token}"}
    assert requests.post(clock.address, json=later, headers=headers, timeout=30).status_code == 403
    own = ml.azure.credential.get_token("https://management.azure.com/.default").token
    bad = requests.post(clock.address, json={"now": "dawn"}, headers={"Authorization": f"Bearer {own}"}, timeout=30)
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "InvalidTime")
