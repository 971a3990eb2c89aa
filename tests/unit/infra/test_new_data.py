"""Trainings that start on new data: the topic, the Logic Apps, their subscriptions, and their identity's rights."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pulumi.runtime import rpc

from declarations import invoker_role
from declarations.roles import Role
from infra.configuration import SettingsError
from infra.new_data import _address
from infra.new_data_workflow import TRIGGER
from tests.unit.infra.recorder import Deployment, deploy, pipelines_of
from tests.unit.infra.test_settings import read

IDENTITY = "principal-of-id-dataops-dev-newdata"
BLOBS = "/blobServices/default/containers/trainingdata/blobs/"


@pytest.fixture(scope="module")
def both() -> Deployment:
    return deploy(new_data=json.dumps({"train": ["breast_cancer", "diabetes"], "quiet_seconds": 30}))


def _subscription(deployment: Deployment, pipeline: str) -> dict[str, Any]:
    return dict(deployment.resource("SystemTopicEventSubscription", f"new-data-files-{pipeline}").inputs)


def _definition(deployment: Deployment, pipeline: str) -> dict[str, Any]:
    definition: dict[str, Any] = deployment.resource("Workflow", f"new-data-workflow-{pipeline}").inputs["definition"]
    return definition


def test_without_the_setting_there_is_nothing_of_it() -> None:
    deployment = deploy()
    for type_ in ("SystemTopic", "SystemTopicEventSubscription", "logic:Workflow", "NewDataAlerts"):
        assert deployment.of(type_) == [], type_
    assert "azure-native:logic:listWorkflowTriggerCallbackUrl" not in deployment.invokes


def test_each_pipeline_has_the_files_of_its_own_folder(both: Deployment) -> None:
    (topic,) = both.of("SystemTopic")
    assert str(topic.inputs["source"]).endswith("/StorageAccount/stdataopsdevtr")
    default, other = (_subscription(both, name)["filter"] for name in ("diabetes", "breast_cancer"))
    committed = {
        "operatorType": "StringIn", "key": "data.api",
        "values": ["PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose"],
    }  # fmt: skip
    assert default["subjectBeginsWith"] == f"{BLOBS}incoming/"
    assert other["subjectBeginsWith"] == f"{BLOBS}incoming/breast_cancer/"
    below = {"operatorType": "StringNotBeginsWith", "key": "subject", "values": [f"{BLOBS}incoming/breast_cancer/"]}
    assert default["advancedFilters"] == [committed, below]
    assert other["advancedFilters"] == [committed]
    for files in (default, other):
        assert files["subjectEndsWith"] == ".csv" and files["includedEventTypes"] == ["Microsoft.Storage.BlobCreated"]


def test_the_signed_address_is_a_secret(both: Deployment) -> None:
    destination = both.resource("SystemTopicEventSubscription", "new-data-files-diabetes").inputs["destination"]
    assert destination[rpc._special_sig_key] == rpc._special_secret_sig, "the engine seals the whole destination"
    assert destination["value"]["endpointUrl"].endswith("/paths/invoke?sig=signature")


def test_the_identity_invokes_these_endpoints_and_reads_its_own_runs(both: Deployment) -> None:
    invoker, submitter = (invoker_role.custom_role(name, "dataops").value for name in invoker_role.ROLES)
    granted = {
        (str(assignment.inputs["roleDefinitionId"]).rpartition("/")[2], assignment.inputs["scope"].split("/")[-2])
        for assignment in both.of("RoleAssignment")
        if assignment.inputs["principalId"] == IDENTITY
    }
    assert granted == {
        (submitter, "Workspace"), (invoker, "BatchEndpoint"), (Role.READER.value, "Workflow")
    }  # fmt: skip
    roles = {assignment.urn for assignment in both.of("RoleAssignment") if assignment.inputs["principalId"] == IDENTITY}
    subscription = both.resource("SystemTopicEventSubscription", "new-data-files-diabetes")
    assert len(roles & set(subscription.depends_on)) == 4, "the first file is not lost for a role that is missing"


def test_notebooks_may_read_the_files_where_they_are(both: Deployment) -> None:
    location = both.resource("ExternalLocation", "catalog-incoming-location").inputs
    assert location["url"] == "abfss://trainingdata@stdataopsdevtr.dfs.core.windows.net/incoming/"
    (grant,) = both.resource("Grants", "catalog-incoming-location-grants").inputs["grants"]
    assert grant["privileges"] == ["READ_FILES"]
    assert "catalog-incoming-location" not in {assignment.name for assignment in deploy()}


def test_files_that_come_together_start_one_run(both: Deployment) -> None:
    definition = _definition(both, "diabetes")
    assert definition["triggers"][TRIGGER]["runtimeConfiguration"]["concurrency"]["runs"] == 1
    inner = definition["actions"]["If_none_waits"]["actions"]
    assert inner["Wait_for_more_files"]["inputs"]["interval"] == {"count": 30, "unit": "Second"}
    assert inner["If_none_came"]["expression"] == "@equals(length(body('Look_again')?['value']), 0)"


def test_a_request_that_starts_a_training_is_not_sent_again(both: Deployment) -> None:
    for pipeline, experiment in (("diabetes", "diabetes-training"), ("breast_cancer", "breast-cancer-training")):
        inner = _definition(both, pipeline)["actions"]["If_none_waits"]["actions"]["If_none_came"]["actions"]
        start = inner["If_the_name_is_usable"]["actions"]["Start_training"]
        assert start["inputs"]["retryPolicy"] == {"type": "none"}
        assert start["operationOptions"] == "DisableAsyncPattern"
        assert start["inputs"]["authentication"]["audience"] == "https://ml.azure.com"
        assert start["inputs"]["body"]["properties"]["experimentName"] == experiment
        assert start["inputs"]["uri"].endswith(".westeurope.inference.ml.azure.com/jobs")


def test_a_failed_start_is_logged_and_raises_an_alert(both: Deployment) -> None:
    alert = both.resource("MetricAlert", "new-data-alerts-diabetes").inputs
    (workflow,) = alert["scopes"]
    assert workflow.split("/")[-2] == "Workflow"
    logged = {setting.inputs["resourceUri"] for setting in both.of("DiagnosticSetting")}
    assert workflow in logged and both.resource("SystemTopic").inputs["source"] in logged


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"new_data": {"train": ["diabetes"]}, "network": {"profile": "private"}},
            'new_data.train = ["diabetes"]: cannot work with network.profile private: a Logic App (Consumption) '
            "reaches no private endpoint.",
        ),
        (
            {"new_data": {"train": ["houses"]}},
            'new_data.train = ["houses"]: there is no training pipeline houses in mlops/pipelines; there are: '
            "breast_cancer, diabetes.",
        ),
        ({"new_data": {"train": ["diabetes", "diabetes"]}}, "has diabetes more than once"),
        ({"new_data": {"quiet_seconds": 0}}, "new_data.quiet_seconds = 0: input should be greater than or equal to 1"),
        ({"new_data": {"start": "train"}}, "new_data.start = train: there is no such setting."),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pipelines_of(), pytest.raises(SettingsError) as refusal:
        read("dev", **settings)
    assert message in str(refusal.value)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_preview_goes_on_where_the_address_is_refused_and_a_deployment_does_not(
    dry_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reader, which previews of pull requests have, does not have the action listCallbackUrl."""

    async def refuse(*_: object) -> None:
        raise RuntimeError("AuthorizationFailed: listCallbackUrl")

    monkeypatch.setattr("pulumi.runtime.invoke_async", refuse)
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: dry_run)
    monkeypatch.setattr("pulumi.log.info", lambda text: None)
    if dry_run:
        assert asyncio.run(_address("rg", "logic")) == "https://logic.azure.com/"
        return
    with pytest.raises(RuntimeError, match="AuthorizationFailed"):
        asyncio.run(_address("rg", "logic"))
