"""The pipelines' bad days, played against one localcloud: the message of each, and an unchanged prod.

The good day, dev to prod and one more commit, is test_release.py. These tests play the commit that is checked out, as
a build would.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.resource_providers import RESOURCE_PROVIDERS
from tests.e2e.builds import STATE, play, resource_groups, tag_group
from tests.e2e.conftest import ROOT, Machine, Result

pytestmark = pytest.mark.e2e

_LOCK = {
    "pid": 4711, "username": "somebody", "hostname": "another-agent", "timestamp": "2026-11-25T03:00:00.000000000Z",
}  # fmt: skip
_PUT_LOCK = """
import json, sys
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobClient
name = ".pulumi/locks/organization/dataopsml/dev/0b6b2d5e-0000-4000-8000-000000000001.json"
account = "https://stdataopsmlstate.blob.core.windows.net"
blob = BlobClient(account, "state-dev", name, credential=DefaultAzureCredential())
blob.upload_blob(json.dumps(LOCK), overwrite=True) if PUT else blob.delete_blob()
"""


@pytest.fixture(scope="module")
def cloud(machine: Machine) -> Iterator[Machine]:
    """Start the machine's localcloud; nothing is deployed."""
    started = machine.run(sys.executable, "-m", "localcloud", "start", "--register", ",".join(RESOURCE_PROVIDERS))
    assert started.code == 0, started.text
    yield machine


@pytest.fixture(scope="module")
def refused(cloud: Machine) -> Result:
    """Play a build of dev that lacks a variable. It has made the containers of the stacks' states."""
    return play(cloud, "--yes", "--stage", "dev", "--unset", "dataopsml-dev.BASE_NAME")


@pytest.mark.nightly
def test_a_missing_variable_is_named_and_nothing_is_deployed(cloud: Machine, refused: Result) -> None:
    assert refused.code == 1
    assert "Variable BASE_NAME is not set: add it to the environment's variable group." in refused.text
    assert "rg-dataops-dev" not in resource_groups(cloud)


@pytest.mark.nightly
def test_an_unknown_stage_parameter_or_group_is_named(cloud: Machine) -> None:
    assert "has no stage qa" in play(cloud, "--stage", "qa").text
    assert "Unexpected parameter 'flavour'" in play(cloud, "--parameter", "flavour=mild").text
    assert "Variable group dataopsml-dev has no variable NAME" in play(cloud, "--unset", "dataopsml-dev.NAME").text


@pytest.mark.nightly
def test_an_approval_is_never_assumed(cloud: Machine) -> None:
    played = play(cloud, "--stage", "prod")
    assert played.code == 1
    assert "Stage prod waits for an approval of dataopsml-prod" in played.text


@pytest.mark.nightly
def test_an_expired_approval_leaves_prod_unchanged(cloud: Machine) -> None:
    played = play(cloud, "--yes", "--stage", "prod", "--expire", "dataopsml-prod")
    assert played.code == 1
    assert "approval of dataopsml-prod expired after 4320 minutes" in played.text
    assert "rg-dataops-prod" not in resource_groups(cloud)


@pytest.mark.nightly
@pytest.mark.usefixtures("refused")
def test_a_held_state_lock_names_its_holder(cloud: Machine) -> None:
    put = cloud.python(_PUT_LOCK.replace("LOCK", json.dumps(_LOCK), 1).replace("PUT", "True"))
    assert put.code == 0, put.text
    played = play(cloud, "--yes", "--stage", "dev")
    cloud.python(_PUT_LOCK.replace("PUT", "False").replace("LOCK", "None", 1))
    assert played.code == 1
    assert "the stack is currently locked by 1 lock(s)" in played.text
    assert "somebody@another-agent (pid 4711)" in played.text


@pytest.fixture(scope="module")
def failed_smoke_run(cloud: Machine) -> Result:
    """Staging is deployed and published; its smoke run gets a file that is no training data."""
    return play(
        cloud, "--yes", "--stage", "staging", "--stage", "prod", "--variable", "dataopsml-staging.DATA=requirements.in"
    )


@pytest.mark.rehearsal
def test_a_failed_smoke_run_in_staging_leaves_prod_unchanged(cloud: Machine, failed_smoke_run: Result) -> None:
    assert failed_smoke_run.code == 1
    assert "Invoke the endpoint and wait: exit code 2" in failed_smoke_run.text.replace("\n", " ")
    groups = resource_groups(cloud)
    assert "rg-dataops-staging" in groups
    assert "rg-dataops-prod" not in groups


@pytest.mark.rehearsal
@pytest.mark.usefixtures("failed_smoke_run")
def test_a_rollback_without_an_earlier_deployment_is_refused(cloud: Machine) -> None:
    backend = {"PULUMI_BACKEND_URL": STATE.format("staging")}
    rolled = cloud.in_shell("make", "rollback", "STACK=staging", env=backend)
    assert rolled.code != 0
    assert "There is no promotion of diabetes to roll back on staging." in rolled.text


@pytest.fixture
def unrelated_target(tmp_path: Path) -> Path:
    """Write valid training data without information: each row has the target of the next."""
    with (ROOT / "data" / "diabetes.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    targets = [row["progression"] for row in rows]
    targets.append(targets.pop(0))
    file = tmp_path / "unrelated.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"progression": target} for row, target in zip(rows, targets, strict=True))
    return file


@pytest.mark.rehearsal
@pytest.mark.usefixtures("failed_smoke_run")
def test_a_model_that_fails_its_gate_does_not_reach_prod(cloud: Machine, unrelated_target: Path) -> None:
    data = f"dataopsml-staging.DATA={unrelated_target}"
    played = play(cloud, "--yes", "--stage", "staging", "--stage", "prod", "--variable", data)
    assert played.code == 1
    assert "is below its minimum" in played.text
    message = "No version of diabetes serves on staging, so that nothing can score"
    assert message in " ".join(played.text.split()), played.text
    assert "rg-dataops-prod" not in resource_groups(cloud)


@pytest.mark.rehearsal
@pytest.mark.usefixtures("failed_smoke_run")
def test_drift_fails_the_nightly_run_and_shows_the_difference(cloud: Machine) -> None:
    nightly = ("pipelines/drift.yml", "--reason", "Schedule", "--stage", "Drift_staging")
    before = play(cloud, *nightly)
    assert before.code == 0, before.text

    tag_group(cloud, "staging", owner="nobody@example.com")

    played = play(cloud, *nightly)
    assert played.code == 1
    assert "nobody@example.com" in played.text
    assert re.search(r"[1-9]\d* differences? of stack staging that should not be there\.", played.text), played.text


@pytest.mark.rehearsal
@pytest.mark.usefixtures("failed_smoke_run")
def test_a_preview_uses_the_stacks_subscription_and_not_its_connections(cloud: Machine) -> None:
    """The connection of previews is bound to another subscription, in which every resource would be replaced."""
    words = ("--reason", "PullRequest", "--branch", "refs/pull/7/merge", "--stage", "Preview_staging")

    played = play(cloud, *words)

    assert played.code == 0, played.text
    assert " to replace" not in played.text
    assert " unchanged" in played.text
