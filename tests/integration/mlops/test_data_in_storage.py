"""Storage as mlops and the notebook step use it: names from outside, and whether a notebook wrote anything."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from localcloud.testing.lake import Lake, make_lake
from localcloud.testing.principals import IdentityCredential

from mlops import run, specifications, training_data
from mlops.blobs import Blobs
from mlops.components.run_databricks_notebook.src.output_folder import has_files
from mlops.errors import InvalidError
from mlops.history import Step
from mlops.jobs import Job
from tests import samples

_ODD = "a $(touch made)`touch made`';\"&|##vso[task.setvariable variable=X]März%41.csv"


@pytest.fixture
def lake(azure: AzureSession, group: str) -> Lake:
    return make_lake(azure, group)


@pytest.fixture
def clients(lake: Lake) -> Any:
    options = "--stack dev --pipeline diabetes"
    return SimpleNamespace(
        training=lake.blobs, pipeline=specifications.load("diabetes", samples.PIPELINES), options=options
    )


def test_a_file_of_any_name_in_incoming_is_used_and_named_only_by_its_hash(clients: Any, tmp_path: Path) -> None:
    content = b"a,b\n1,2\n"
    clients.training.upload_blob(f"incoming/{_ODD}", content)
    clients.training.upload_blob("incoming/not-data.txt", b"x")
    clients.training.upload_blob("incoming/breast_cancer/newer.csv", b"another pipeline's")

    data = training_data.newest_incoming(clients, tmp_path)

    assert data is not None and data.file.read_bytes() == content
    assert data.file.parent == tmp_path and data.name == f"incoming/{_ODD}"
    assert training_data.upload(clients, data) and not training_data.upload(clients, data)
    blob = clients.training.get_blob_client(f"data/{hashlib.sha256(content).hexdigest()}/data.csv")
    assert blob.download_blob().readall() == content
    assert blob.get_blob_properties().metadata["name"].startswith("a%20%24%28touch%20made%29%60touch")
    assert data.uri("acct", "box").endswith(f"/{blob.blob_name}")


def test_a_failed_run_names_the_file_that_its_error_shows_as_a_blob(clients: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad ##vso[x]y.csv"
    file.write_bytes(b"a\n1\n")
    data = training_data.read(file)
    training_data.upload(clients, data)
    steps = [Step("check_data", "r1", "Failed", error=f"The file: {data.uri('acct', 'data')}.")]
    history: Any = SimpleNamespace(log=lambda step: "")
    job = Job("j1", "Failed", "1", data.sha256, "https://page")

    assert run.failure(clients, history, job, steps).splitlines() == [
        "Run j1: Failed.",
        f"check_data: Failed. The file: {data.uri('acct', 'data')}.",
        f"{data.blob} is the file bad %23%23vso%5Bx%5Dy.csv.",
        "`python -m mlops logs check_data --run j1 --stack dev --pipeline diabetes` shows its whole output.",
        "`python -m mlops resume j1 --stack dev --pipeline diabetes` continues it.",
        "Run page: https://page",
    ]
    clients.training.delete_blob(data.blob)
    assert "is the file" not in run.failure(clients, history, job, steps), "a name is not worth another error"


def test_each_pipeline_takes_its_own_folder_of_new_data(clients: Any, tmp_path: Path) -> None:
    clients.training.upload_blob("incoming/mine.csv", b"a\n1\n")
    clients.pipeline = specifications.load("breast_cancer", samples.PIPELINES)
    assert training_data.newest_incoming(clients, tmp_path) is None

    clients.training.upload_blob("incoming/breast_cancer/theirs.csv", b"b\n2\n")

    data = training_data.newest_incoming(clients, tmp_path)
    assert data is not None and data.name == "incoming/breast_cancer/theirs.csv"


def test_an_empty_file_in_incoming_is_refused_by_a_name_that_is_safe_to_print(clients: Any, tmp_path: Path) -> None:
    clients.training.upload_blob("incoming/##vso[x]y.csv", b"")

    with pytest.raises(InvalidError, match=r"^The data file incoming/%23%23vso%5Bx%5Dy\.csv is empty"):
        training_data.newest_incoming(clients, tmp_path)


def test_a_folder_has_files_when_there_is_one_below_it(azure: AzureSession, lake: Lake) -> None:
    base = f"abfss://data@{lake.name}.dfs.core.windows.net"
    lake.data.create_directory("out/run-1/deep")
    assert not has_files(azure.credential, f"{base}/out/run-1"), "folders are no files"
    assert not has_files(azure.credential, f"{base}/out/run-2/"), "it does not exist"
    for number in range(101):  # more than a page
        lake.data.create_directory(f"out/run-1/{number:03}")
    lake.data.create_file("out/run-1/deep/part-0.parquet")

    assert has_files(azure.credential, f"{base}/out/run-1")
    with pytest.raises(ValueError, match="is not abfss://"):
        has_files(azure.credential, "/dbfs/out")
    with pytest.raises(HttpResponseError, match="404 FilesystemNotFound"):
        has_files(azure.credential, base.replace("data@", "none@") + "/out")


def test_a_small_blob_is_read_without_the_library_as_with_it(
    cloud: Cloud, azure: AzureSession, clients: Any, lake: Lake, group: str
) -> None:
    content = "März\n".encode() * 3
    clients.training.upload_blob(f"reports/{_ODD}", content)

    assert Blobs(azure.credential, lake.name, "data").read(f"reports/{_ODD}") == content
    assert Blobs(azure.credential, lake.name, "data").read("reports/none.json") is None
    with pytest.raises(HttpResponseError, match=r"ContainerNotFound: reports/none\.json cannot be read"):
        Blobs(azure.credential, lake.name, "none").read("reports/none.json")
    identity_id = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-reader"
    identity = azure.put(identity_id, "2023-01-31", {"location": "westeurope"})["properties"]
    credential: Any = IdentityCredential(cloud, identity["principalId"])
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch") as error:
        Blobs(credential, lake.name, "data").read(f"reports/{_ODD}")
    assert error.value.status_code == 403


def test_a_missing_right_to_list_a_folder_is_named(cloud: Cloud, azure: AzureSession, lake: Lake, group: str) -> None:
    identity_id = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-lister"
    identity = azure.put(identity_id, "2023-01-31", {"location": "westeurope"})["properties"]
    credential: Any = IdentityCredential(cloud, identity["principalId"])

    with pytest.raises(HttpResponseError, match="403 AuthorizationPermissionMismatch"):
        has_files(credential, f"abfss://data@{lake.name}.dfs.core.windows.net/out")
