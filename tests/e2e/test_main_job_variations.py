"""The main job without a role, with incoming files, after a stop, with other bad data: the nightly part."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Machine
from tests.e2e.main_job import DATA, assert_refused_by_contract, data_file, registered_versions

pytestmark = [pytest.mark.e2e, pytest.mark.nightly]
_REVOKE = """
import json, subprocess
from azure.identity import DefaultAzureCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
outputs = json.loads(subprocess.check_output(["pulumi", "stack", "output", "--json", "-s", "local"]))
credential, subscription, group = DefaultAzureCredential(), outputs["subscription_id"], outputs["resource_group"]
identities = ManagedServiceIdentityClient(credential, subscription).user_assigned_identities
principal = identities.get(group, outputs["identity_id"].rsplit("/", 1)[-1]).principal_id
container = (
    f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts"
    f"/{outputs['training_account']}/blobServices/default/containers/{outputs['training_container']}"
)
assignments = AuthorizationManagementClient(credential, subscription).role_assignments
for one in list(assignments.list_for_scope(container, filter=f"principalId eq '{principal}'")):
    if one.scope.lower() == container.lower():
        assignments.delete_by_id(one.id)
        print("revoked", one.role_definition_id.rsplit("/", 1)[-1])
"""
_LEAVE = """
import json, subprocess, sys
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient
outputs = json.loads(subprocess.check_output(["pulumi", "stack", "output", "--json", "-s", "local"]))
account = f"https://{outputs['training_account']}.blob.core.windows.net"
container = ContainerClient(account, outputs["training_container"], credential=DefaultAzureCredential())
with open(sys.argv[1], "rb") as stream:
    container.upload_blob("scoring/in/diabetes/march.csv", stream, overwrite=True)
    stream.seek(0)
    lines = stream.readlines()
container.upload_blob("scoring/in/diabetes/april.csv", b"".join(lines[:11]), overwrite=True)
container.upload_blob("scoring/in/diabetes/bad.csv", b"age,colour\\n59,red\\n", overwrite=True)
"""
_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"


@pytest.fixture(scope="module")
def trained(machine: Machine) -> Machine:
    """Bring the platform up and train once."""
    up = machine.make("up", timeout=1500)
    assert up.code == 0, up.text
    return machine


def test_without_its_role_assignment_the_pipeline_fails_with_azure_s_403(trained: Machine) -> None:
    """The role is deleted behind Pulumi's back: the run names the missing role, and a refreshing update restores it."""
    before = registered_versions(trained)
    revoked = trained.python(_REVOKE)
    assert revoked.code == 0, revoked.text
    assert f"revoked {_BLOB_DATA_CONTRIBUTOR}" in revoked.text

    run = trained.make("run")

    assert run.code != 0, run.text
    assert re.search(r"feature_engineering\b.*Failed", run.text), run.text
    assert "AuthorizationPermissionMismatch" in run.text and "403" in run.text, run.text
    assert registered_versions(trained) == before

    repaired = trained.in_shell("pulumi", "up", "--refresh", "--stack", "local", "--yes", "--skip-preview")
    assert repaired.code == 0, repaired.text
    assert re.search(r"1 created", repaired.text), repaired.text
    assert trained.make("run").code == 0


def test_incoming_files_are_scored_once_and_a_bad_one_is_refused_once(trained: Machine) -> None:
    left = trained.python(_LEAVE, str(DATA))
    assert left.code == 0, left.text

    scored = trained.make("score")
    again = trained.make("score")

    refused = "scoring/in/diabetes/bad.csv: the header lacks sex, bmi, bp"
    assert scored.code != 0 and f"Refused:\n{refused}" in scored.text, scored.text
    assert "2 files scored, 1 refused." in scored.text, scored.text
    version = registered_versions(trained)[-1]
    numbers = r"(\d+) rows read, (\d+) scored, (\d+) refused"
    counts = re.search(rf"scoring/in/diabetes/march\.csv: {numbers}, by version {version} of diabetes", scored.text)
    assert counts and int(counts[1]) == int(counts[2]) + int(counts[3]) > 400, scored.text
    assert re.search(r"scoring/in/diabetes/april\.csv: 10 rows read, \d+ scored, \d+ refused", scored.text), scored.text
    runs = set(re.findall(r"\(run ([\w-]+), ", scored.text))
    assert len(runs) == 1, "one run, and one Spark session, for all files"
    assert "scoring/out/diabetes/date=" in scored.text and "scoring/quarantine/diabetes/date=" in scored.text
    assert again.code == 0 and "march.csv was scored already: --again scores it again." in again.text, again.text
    assert "bad.csv was refused by run" in again.text, "it fails no later run"


def test_stop_and_start_lose_nothing(trained: Machine) -> None:
    before = registered_versions(trained)
    assert trained.make("down").code == 0
    stopped = trained.make("status")
    assert stopped.code != 0, "status must say with its exit code that localcloud is down"

    up = trained.make("up")

    assert up.code == 0, up.text
    assert not re.search(r"\d+ (created|updated|replaced|deleted)", up.text), up.text
    assert set(before) <= set(registered_versions(trained))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [(0, "there is not a single row"), (20, "there are 20 rows, and at least 100 are needed")],
)
def test_too_few_rows_stop_the_run_and_keep_the_model(trained: Machine, tmp_path: Path, rows: int, reason: str) -> None:
    before = registered_versions(trained)
    few = "".join(DATA.read_text(encoding="utf-8").splitlines(keepends=True)[: rows + 1])

    up = trained.make("up", f"DATA={data_file(tmp_path, 'few', few)}")

    assert_refused_by_contract(up, reason)
    assert registered_versions(trained) == before


def test_other_data_train_another_model(trained: Machine, tmp_path: Path) -> None:
    rows = list(csv.reader(DATA.read_text(encoding="utf-8").splitlines()))
    other = tmp_path / "mine.csv"
    with other.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([rows[0], *rows[1:300]])

    up = trained.make("up", f"DATA={other}")

    assert up.code == 0, up.text
    assert not re.search(r"\d+ (created|updated|replaced|deleted)", up.text), up.text
    assert re.search(r"feature_engineering\b.*Completed", up.text), up.text


def _with_text_in_a_number() -> str:
    lines = DATA.read_text(encoding="utf-8").splitlines()
    lines[5] = ",".join(["abc", *lines[5].split(",")[1:]])
    return "\n".join(lines) + "\n"


def test_data_that_break_the_contract_stop_the_run_and_a_file_s_name_is_text(trained: Machine, tmp_path: Path) -> None:
    before = registered_versions(trained)
    name = "odd $(touch made-by-a-name)`touch made-by-a-name`';\""  # shell code, wherever it is not taken as text

    up = trained.make("up", f"DATA={data_file(tmp_path, name, _with_text_in_a_number())}")

    assert_refused_by_contract(up, "age has 1 value that is not a whole number, such as 'abc'")
    assert not (ROOT / "made-by-a-name").exists()
    assert registered_versions(trained) == before


def test_up_after_destroy_works_again(trained: Machine) -> None:
    destroyed = trained.make("destroy")
    assert destroyed.code == 0, destroyed.text

    up = trained.make("up", timeout=900)

    assert up.code == 0, up.text
    assert "Nothing that `pulumi up` reads has changed" not in up.text
