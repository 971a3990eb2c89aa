"""New data start a training: the engine, the events of an account, a Logic App and an endpoint, one after another.

The workspace is made by mlops' helpers for tests, whose published pipeline has a step that trains nothing.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from localcloud.testing.workspace_session import wait_for

from declarations import invoker_role
from infra.stack_file import ROOT
from tests.integration.infra.project import PARTS, Project
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack

LOGIC, ROLES = "2019-05-01", "2022-04-01"
ENDED = {"Succeeded", "Failed", "Cancelled"}
STACK = "new"


@dataclass
class Starting:
    """A stack whose `incoming/` starts trainings. `seen` are the Logic App's runs of earlier tests."""

    stack: Stack
    project: Project
    workflow: str
    principal: str
    seen: set[str] = field(default_factory=set)

    @property
    def azure(self) -> AzureSession:
        return self.stack.workspace.azure

    @property
    def blobs(self) -> ContainerClient:
        return self.stack.clients.training

    def leave(self, name: str) -> None:
        self.blobs.upload_blob(name, b"a,b\n1,2\n")

    def runs(self) -> list[dict[str, Any]]:
        """Return the Logic App's runs since the last test, the newest first."""
        listed = self.azure.arm("GET", f"{self.workflow}/runs", LOGIC).json()["value"]
        return [run for run in listed if run["name"] not in self.seen]

    def ended(self) -> list[dict[str, Any]]:
        """Return the Logic App's runs once there are some, and all of them have ended."""
        runs: list[dict[str, Any]] = wait_for(
            self.runs, lambda runs: runs != [] and all(run["properties"]["status"] in ENDED for run in runs)
        )
        self.seen |= {run["name"] for run in runs}
        return runs

    def actions(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return the properties of a run's actions by name."""
        listed = self.azure.arm("GET", f"{run['id']}/actions", LOGIC).json()["value"]
        return {action["name"]: action["properties"] for action in listed}

    def trainings(self) -> list[dict[str, Any]]:
        """Return the inputs of the training runs that new data started."""
        clients = self.stack.clients
        listed = clients.arm.list(f"{clients.workspace_id}/jobs", jobType="Pipeline")
        inputs = [
            {name: value["value"] for name, value in job["properties"]["inputs"].items()}
            for job in listed
            if job["properties"]["experimentName"] == clients.pipeline.experiment
        ]
        return [training for training in inputs if str(training["reuse_key"]).startswith("new-data-")]


@pytest.fixture(scope="module")
def starting(azure: AzureSession, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starting]:
    stack = make_stack(azure, "dev", None)
    stack.publish("1", "commit-1")
    endpoint = f"{stack.workspace.id}/batchEndpoints/{stack.clients.endpoint}"
    parts = {
        "base": f"t{secrets.token_hex(4)}", "group": stack.workspace.group, "workspace": stack.workspace.id,
        "account_id": stack.workspace.account_id, "endpoint_id": endpoint,
    }  # fmt: skip
    environment = {**cloud.environment, "NEW_DATA": json.dumps(parts)}
    project = _project(tmp_path_factory.mktemp("project") / "it", environment)
    for words in (("stack", "init"), ("up", "--yes", "--skip-preview")):
        done = project.pulumi(*words, stack=STACK)
        assert done.code == 0, done.text
    outputs = json.loads(project.pulumi("stack", "output", "--json", stack=STACK).text)
    yield Starting(stack, project, outputs["workflow"], outputs["principal"])
    destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack=STACK)
    assert destroyed.code == 0, destroyed.text
    remove_stack(stack)


def _project(folder: Path, environment: dict[str, str]) -> Project:
    folder.mkdir()
    for part in PARTS:
        program = Path(__file__).with_name("new_data_program.py")
        (folder / part).symlink_to(program if part == "__main__.py" else ROOT / part)
    project = Project(folder, environment)
    project.settings(STACK, {})
    return project


@pytest.mark.nightly
def test_files_that_come_together_start_one_training_on_the_newest(starting: Starting) -> None:
    for name in ("data/a.csv", "incoming/notes.txt", "incoming/breast_cancer/other.csv"):
        starting.leave(name)
    for name in ("incoming/first.csv", "incoming/second.csv", "incoming/the newest.csv"):
        starting.leave(name)
    runs = starting.ended()
    assert {run["properties"]["status"] for run in runs} == {"Succeeded"}, runs
    started = [run for run in runs if starting.actions(run).get("Start_training", {}).get("status") == "Succeeded"]
    assert started == runs[:1], "a run that sees another one waiting leaves the work to it"
    (inputs,) = starting.trainings()
    account = starting.stack.workspace.account
    newest = starting.blobs.get_blob_client("incoming/the newest.csv").get_blob_properties()
    assert inputs["data_uri"] == f"abfss://trainingdata@{account}.dfs.core.windows.net/incoming/the newest.csv"
    assert inputs["data_version"] == newest.etag.strip('"')
    assert inputs["code_version"] == "1", "what serves is trained"


def test_a_name_that_spark_takes_for_a_pattern_starts_nothing(starting: Starting) -> None:
    before = len(starting.trainings())
    starting.leave("incoming/all*.csv")
    (run,) = starting.ended()
    assert run["properties"]["status"] == "Failed"
    assert run["properties"]["error"] == {
        "code": "FileNameNotUsable",
        "message": "The name of incoming/all*.csv has one of the characters * ? { } [ ] \\ % # : in it: give the file "
        "another name. Until then no training is started on it, nor on files that came together with it.",
    }
    assert len(starting.trainings()) == before


def test_without_its_role_it_starts_nothing_and_the_history_has_azure_s_words(starting: Starting) -> None:
    before = len(starting.trainings())
    endpoint = f"{starting.stack.workspace.id}/batchEndpoints/{starting.stack.clients.endpoint}"
    listed = starting.azure.arm(
        "GET", f"{endpoint}/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()", ROLES
    ).json()["value"]
    (own,) = [
        assignment
        for assignment in listed
        if assignment["properties"]["principalId"] == starting.principal
        and assignment["properties"]["scope"].lower() == endpoint.lower()
    ]
    assert starting.azure.arm("DELETE", own["id"], ROLES).status_code == 200
    try:
        starting.leave("incoming/later.csv")
        (run,) = starting.ended()
    finally:
        kept = {key: own["properties"][key] for key in ("principalId", "principalType", "roleDefinitionId")}
        starting.azure.put(own["id"], ROLES, {"properties": kept})
    assert run["properties"]["status"] == "Failed"
    assert run["properties"]["error"]["code"] == "ActionFailed"
    action = starting.actions(run)["Start_training"]
    assert (action["status"], action["code"]) == ("Failed", "Forbidden")
    answer = requests.get(action["outputsLink"]["uri"], timeout=60).json()
    error = answer["body"]["error"]
    assert (answer["statusCode"], error["code"]) == (403, "AuthorizationFailed")
    assert f"does not have authorization to perform action '{invoker_role.ENDPOINT_ACTIONS[2]}'" in error["message"]
    assert len(starting.trainings()) == before


def test_the_address_is_in_no_clear_text_and_nothing_changes_when_deployed_again(starting: Starting) -> None:
    exported = starting.project.pulumi("stack", "export", stack=STACK).text
    assert "/paths/invoke" in exported, "the address without its signature is there"
    assert not re.search(r"[?&]sig=", exported)
    for words in (("preview",), ("refresh", "--yes", "--skip-preview")):
        done = starting.project.pulumi(*words, "--expect-no-changes", stack=STACK)
        assert done.code == 0, done.text


def test_an_address_with_another_signature_starts_nothing(starting: Starting) -> None:
    path = f"{starting.workflow}/triggers/new_data/listCallbackUrl"
    url = starting.azure.arm("POST", path, LOGIC).json()["value"]
    answer = requests.post(re.sub("sig=.*", f"sig={uuid.uuid4()}", url), json=[], timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AuthorizationFailed")
    assert starting.runs() == []
