"""Retraining after breaches, against an endpoint: once, also when the step is killed or runs twice at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml.entities import BatchEndpoint
from azure.core.exceptions import HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.principals import IdentityCredential, session_as
from localcloud.testing.workspace_session import ML, wait_for

from declarations import invoker_role
from mlops.components.watch.src import training_endpoint
from mlops.components.watch.src.retraining_requests import Requests
from steps import retraining
from tests.integration.mlops.stacks import PIPELINE, Stack, make_stack, remove_stack
from tests.unit.mlops import forked_steps

ROOT = Path(__file__).resolve().parents[3]
_PATHS = os.pathsep.join([str(ROOT), str(ROOT / "mlops/components/score/src")])
DRIVER = Path(__file__).with_name("retraining_step.py")
NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
HOSTS = "inference.ml.azure.com"


@dataclass
class Model:
    """A model with an input folder of its own, whose scored files drift."""

    stack: Stack
    processes: forked_steps.Steps
    environment: dict[str, str]
    folder: Path
    name: str = field(default_factory=lambda: unique("drifting"))

    @property
    def blobs(self) -> ContainerClient:
        return self.stack.clients.training

    @property
    def requests(self) -> Requests:
        return Requests(self.blobs, self.name)

    def leave(self, text: str) -> None:
        self.blobs.upload_blob(f"incoming/{self.name}/new.csv", text.encode(), overwrite=True)

    def variables(self, windows: list[str], now: datetime, mode: str) -> dict[str, str]:
        clients = self.stack.clients
        endpoint = clients.ml.batch_endpoints.get(clients.endpoint)
        arguments = {
            "account": f"https://{clients.outputs.training_account}.blob.core.windows.net",
            "uri": endpoint.scoring_uri, "component": PIPELINE.component, "model": self.name, "mode": mode,
            "windows": windows, "now": now.isoformat(),
        }  # fmt: skip
        own = self.stack.workspace.id.split("/")
        return {
            "RETRAINING": json.dumps(arguments), "AZUREML_ARM_SUBSCRIPTION": own[2],
            "AZUREML_ARM_RESOURCEGROUP": own[4], "AZUREML_ARM_WORKSPACE_NAME": own[-1], "KILL_HOSTS": HOSTS,
            "REQUESTS_FILE": str(self.folder / "requests"),
        }  # fmt: skip

    def follow(
        self, windows: list[str], now: datetime = NOW, mode: str = "on_drift", kill_at: str = "0"
    ) -> subprocess.CompletedProcess[str]:
        wrapper = Path(__file__).with_name("killed_step.py")
        variables = self.variables(windows, now, mode) | {"KILL_AT": kill_at}
        return self.processes.run(wrapper, [str(DRIVER)], variables)

    def follow_up(self, windows: list[str], now: datetime = NOW, mode: str = "on_drift") -> str:
        outcome = self.follow(windows, now, mode)
        assert outcome.returncode == 0, outcome.stderr
        return outcome.stdout.strip()

    def runs(self) -> list[dict[str, Any]]:
        """Return the training runs that this model's requests started."""
        clients = self.stack.clients
        listed = clients.arm.list(f"{clients.workspace_id}/jobs", jobType="Pipeline")
        keys = (f"retraining-{self.name}-",)
        return [job for job in listed if str(_input(job, "reuse_key")).startswith(keys)]

    def ended(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = wait_for(
            self.runs, lambda runs: all(job["properties"]["status"] == "Completed" for job in runs)
        )
        return runs


def _input(job: dict[str, Any], name: str) -> Any:
    return (job["properties"]["inputs"].get(name) or {}).get("value")


@pytest.fixture(scope="module")
def stack(azure: AzureSession) -> Iterator[Stack]:
    stack = make_stack(azure, "staging", None)
    stack.publish("1", "commit-1")
    yield stack
    remove_stack(stack)


@pytest.fixture(scope="module")
def processes(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[forked_steps.Steps]:
    environment = {**os.environ, **cloud.environment, "PYTHONPATH": _PATHS}
    modules = ("azure.identity", "azure.storage.blob")
    steps = forked_steps.Steps(environment, tmp_path_factory.mktemp("r"), modules, mlflow=False)
    yield steps
    steps.close()


@pytest.fixture
def model(stack: Stack, processes: forked_steps.Steps, cloud: Cloud, tmp_path: Path) -> Model:
    return Model(stack, processes, {**os.environ, **cloud.environment, "PYTHONPATH": _PATHS}, tmp_path)


@pytest.mark.nightly
def test_breaches_in_a_row_start_one_training_on_new_data_and_the_next_after_the_period(model: Model) -> None:
    assert model.follow_up(["01"]) == "", "two in a row are asked for"
    assert model.follow_up(["01", "02"]) == (
        f"A retraining is due, and there are no new data in incoming/{model.name}/ to train on"
    )
    model.leave("a,b\n1,2\n")
    started = model.follow_up(["01", "02"])
    (job,) = model.ended()
    assert started == f"retraining-{model.name}-000001 started run {job['name']} on incoming/{model.name}/new.csv"
    assert _input(job, "data_uri").startswith("abfss://trainingdata@x/data/")
    assert model.blobs.download_blob(f"data/{_input(job, 'data_version')}/data.csv").readall() == b"a,b\n1,2\n"

    assert model.follow_up(["01", "02", "03"]) == "", "a file leads to one request"
    more = ["01", "02", "03", "04"]
    assert model.follow_up(more).startswith("2 files in a row breach a limit; retraining-"), (
        "not before a week has passed"
    )
    later = NOW + timedelta(days=7)
    assert "there are no new data" in model.follow_up(more, later), "the same data give the same model"
    model.leave("a,b\n3,4\n")
    assert model.follow_up(more, later).startswith(f"retraining-{model.name}-000002 started run ")
    assert len(model.ended()) == 2
    assert [request.windows for request in model.requests.all()] == [("01", "02"), ("03", "04")]


def test_a_work_item_is_asked_for_without_a_training(model: Model) -> None:
    assert model.follow_up(["01", "02"], mode="work_item") == f"retraining-{model.name}-000001 asks for a work item"
    assert model.follow_up(["01", "02"], mode="work_item") == ""
    assert model.runs() == []


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a step that starts a retraining")
def test_a_step_killed_at_any_request_leaves_one_training(model: Model) -> None:
    model.leave("a\n")
    assert " started run " in model.follow_up(["01", "02"])
    model.ended()
    requests = int((model.folder / "requests").read_text())
    assert requests >= 6, "look for requests, list new data, read, copy, request, invoke, note the run"
    # A kill before a request leaves the same state as a kill after the request before.
    for moment in (f"{number}:after" for number in range(1, requests + 1)):
        drifting = replace(model, name=unique("killed"))
        drifting.leave("a\n")
        killed = drifting.follow(["01", "02"], kill_at=moment)
        assert killed.returncode == -9, (moment, killed.stderr)
        drifting.ended()
        soon = drifting.follow_up(["01", "02"], NOW + timedelta(minutes=1))
        drifting.ended()
        drifting.follow_up(["01", "02"], NOW + timedelta(minutes=16))
        assert len(drifting.ended()) == 1, (moment, soon)
        (request,) = drifting.requests.all()
        assert request.run == drifting.runs()[0]["name"], moment


@pytest.mark.nightly
def test_of_steps_at_once_one_starts_a_training(model: Model) -> None:
    model.leave("a\n")
    variables = model.environment | model.variables(["01", "02"], NOW, "on_drift")

    def run(_: int) -> str:
        completed = subprocess.run([sys.executable, DRIVER], env=variables, capture_output=True, text=True, check=False)
        assert completed.returncode == 0, completed.stderr
        return completed.stdout.strip()

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(run, range(3)))

    assert len(model.ended()) == 1, outcomes
    assert len(model.requests.all()) == 1


@pytest.mark.nightly
def test_nothing_is_started_while_a_training_is_under_way(model: Model, azure: AzureSession) -> None:
    slow = make_stack(azure, "staging", None, command="sleep 20")
    slow.publish("1", "commit-1")
    try:
        busy = replace(model, stack=slow)
        busy.leave("a\n")
        first = busy.follow_up(["01", "02"])
        (job,) = busy.runs()
        other = replace(busy, name=unique("waiting"))
        other.leave("b\n")
        assert " started run " in first
        assert (
            other.follow_up(["01", "02"])
            == f"A retraining is due and waits: the training run {job['name']} is under way"
        )
        assert other.requests.all() == [], "the next scored file asks again"
    finally:
        remove_stack(slow)


@pytest.fixture
def invoker(azure: AzureSession, cloud: Cloud, stack: Stack) -> str:
    """Return the object id of an identity with the roles that infra/retraining.py gives, on the stack's endpoint."""
    workspace = stack.workspace
    id_ = f"{workspace.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('retraining')}"
    object_id = str(azure.put(id_, "2023-01-31", {"location": "westeurope"})["properties"]["principalId"])
    endpoint = f"{workspace.id}/batchEndpoints/{stack.clients.endpoint}"
    owner_id = f"{workspace.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('owner')}"
    owner = str(azure.put(owner_id, "2023-01-31", {"location": "westeurope"})["properties"]["principalId"])
    azure.assign(workspace.group, "Owner", owner)
    for scope, actions in (
        (endpoint, invoker_role.ENDPOINT_ACTIONS), (workspace.id, invoker_role.WORKSPACE_ACTIONS)
    ):  # fmt: skip
        path = f"{workspace.group}/providers/Microsoft.Authorization/roleDefinitions/{uuid.uuid4()}"
        body = {"properties": {"roleName": unique("invoker"), "permissions": [{"actions": list(actions)}]}}
        response = session_as(cloud, owner).arm("PUT", path, "2022-04-01", body)
        assert response.status_code == 201, response.text
        properties = {
            "principalId": object_id, "principalType": "ServicePrincipal", "roleDefinitionId": response.json()["id"]
        }  # fmt: skip
        name = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        assert azure.arm("PUT", name, "2022-04-01", {"properties": properties}).status_code == 201
    return object_id


def test_the_identity_that_starts_a_training_can_neither_promote_nor_register(
    model: Model, invoker: str, cloud: Cloud
) -> None:
    stack, endpoint = model.stack, f"{model.stack.workspace.id}/batchEndpoints/{model.stack.clients.endpoint}"
    uri = stack.clients.ml.batch_endpoints.get(stack.clients.endpoint).scoring_uri
    reader, own = DefaultAzureCredential(), IdentityCredential(cloud, invoker)
    training = training_endpoint.TrainingEndpoint(uri, PIPELINE.component, "retrained", reader, own)
    data = retraining.TrainingInput(uri="abfss://none", version="v", name="new.csv")
    request = retraining.make(model.name, "on_drift", [], None, "me", NOW, data)

    name = training.start(request)

    assert stack.workspace.finished(name).status == "Completed"
    assert [job["name"] for job in model.runs()] == [name]
    principal = session_as(cloud, invoker)
    body = {"location": "westeurope", "properties": {"authMode": "AADToken", "defaults": {"deploymentName": "v-1"}}}
    refused = [
        principal.arm("PUT", endpoint, ML, body),
        principal.arm("DELETE", f"{endpoint}/deployments/v-1", ML),
        principal.arm("PUT", f"{stack.workspace.id}/models/diabetes/versions/9", ML, {"properties": {}}),
        principal.arm("PUT", f"{stack.workspace.id}/jobs/own", ML, {"properties": {}}),
        principal.arm("PUT", f"{stack.workspace.id}/schedules/own", ML, {"properties": {}}),
        principal.arm("GET", f"{stack.workspace.id}/jobs", ML),
    ]
    assert [error_of(answer)[:2] for answer in refused] == [(403, "AuthorizationFailed")] * len(refused)
    other = unique("bep")
    stack.workspace.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=other)).result()
    elsewhere = stack.workspace.client.batch_endpoints.get(other).scoring_uri
    with pytest.raises(HttpResponseError, match=r"403 AuthorizationFailed: .*batchEndpoints/jobs/write' over scope"):
        replace(training, uri=elsewhere).start(request)
