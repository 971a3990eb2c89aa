"""The requests of azureml-fsspec 1.4 and mltable 1.7, replayed: by them the two packages find storage.

Both packages stand on azureml-dataprep-rslex 2.26, which does not fit the lock's fsspec. It was used once against
localcloud (list, open, upload, download, tables by path and by asset), and these are its requests.
"""

from __future__ import annotations

import pytest
import requests
from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore, Data
from azure.storage.blob import ContainerClient
from localcloud.core.json import Json
from localcloud.testing.azure_session import unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.workspace_session import MlWorkspace
from localcloud.testing.workspace_session import ml as ml


def read(ml: MlWorkspace, service: str, path: str, token: str = "") -> tuple[int, Json]:
    address = f"{ml.data_plane}/{service}/v1.0{ml.id}/{path}"
    answer = requests.get(address, headers={"Authorization": f"Bearer {token or ml.token()}"}, timeout=30)
    return answer.status_code, answer.json()


def test_a_datastore_leads_to_its_container(ml: MlWorkspace) -> None:
    """AzureMachineLearningFileSystem.ls() reads it first.

    So do AzureMachineLearningFileSystem.open(), AzureMachineLearningFileSystem.upload(),
    AzureMachineLearningFileSystem.download(), and mltable.load() with a path.
    """
    status, store = read(ml, "datastore", "datastores/workspaceblobstore")

    assert (status, store["name"], store["dataStoreType"]) == (200, "workspaceblobstore", "AzureBlob")
    account = store["azureStorageSection"]
    assert (account["credentialType"], account["credential"]) == ("None", None), "access is by identity"
    assert (account["protocol"], account["endpoint"]) == ("https", "core.windows.net")
    container = ContainerClient(
        f"https://{account['accountName']}.blob.{account['endpoint']}", account["containerName"],
        credential=ml.azure.credential,
    )  # fmt: skip
    assert container.exists()
    assert read(ml, "datastore", "default") == (200, store)
    listed = read(ml, "datastore", "datastores")[1]["value"]
    assert {item["name"] for item in listed} >= {"workspaceblobstore", "workspaceartifactstore"}


def test_a_datastore_s_key_is_shown_with_the_right_to_list_secrets(ml: MlWorkspace) -> None:
    name = unique("keyed")
    ml.client.datastores.create_or_update(
        AzureBlobDatastore(
            name=name,
            account_name=ml.account,
            container_name="c",
            credentials=AccountKeyConfiguration(account_key="a2V5"),
        )
    )

    account = read(ml, "datastore", f"datastores/{name}")[1]["azureStorageSection"]

    assert (account["credentialType"], account["accountKey"], account["credential"]) == ("AccountKey", "a2V5", "a2V5")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("datastores/nothing", 404, "Could not find datastore: nothing."),
        ("datastores/workspaceblobstore/usages", 404, "Could not find datastore: workspaceblobstore/usages."),
        ("other", 501, "does not emulate GET /datastore/v1.0/"),
    ],
)
def test_other_reads_of_datastores_are_refused(ml: MlWorkspace, path: str, status: int, message: str) -> None:
    answered, body = read(ml, "datastore", path)

    assert (answered, message in body["error"]["message"]) == (status, True), body


def test_datastores_need_a_sign_in(ml: MlWorkspace) -> None:
    status, body = read(ml, "datastore", "datastores/workspaceblobstore", token="guess")

    assert (status, body["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_a_table_s_asset_leads_to_its_files(ml: MlWorkspace) -> None:
    """mltable.load("azureml://…/data/NAME/versions/VERSION") reads these fields of MLTable.save()'s file."""
    name, place = unique("table"), "azureml://datastores/workspaceblobstore/paths/table"
    container = ml.client.datastores.get_default().container_name
    ml.blobs().get_blob_client(container, "table/MLTable").upload_blob(b"paths: [{file: ./a.csv}]", overwrite=True)
    asset = ml.client.data.create_or_update(Data(name=name, version="1", type="mltable", path=place))

    status, entity = read(ml, "data", f"dataversion/{name}/versions/1")
    missing, _ = read(ml, "data", f"dataversion/{name}/versions/2")

    assert (status, entity["isV2"], missing) == (200, True, 404)
    assert (entity["dataVersion"]["dataType"], entity["dataVersion"]["dataUri"]) == ("MLTable", asset.path)


def test_no_proxy_of_a_shell_has_no_address_with_a_colon(ml: MlWorkspace, cloud: Cloud) -> None:
    """azureml-dataprep-rslex reads the text behind a colon as a port and panics: InvalidNoProxyPort."""
    for name in ("NO_PROXY", "no_proxy"):
        assert ":" not in cloud.environment[name]


def test_a_shell_has_the_deployer_s_tokens_without_a_browser(ml: MlWorkspace, cloud: Cloud) -> None:
    environment = cloud.environment
    assert environment["AZUREML_OBO_ENABLED"] == "True"

    answer = requests.get(
        environment["OBO_ENDPOINT"], params={"resource": "https://storage.azure.com/"},
        headers={"secret": environment["MSI_SECRET"]}, timeout=30,
    )  # fmt: skip

    assert answer.status_code == 200, answer.text
    blobs = requests.get(
        f"https://{ml.account}.blob.core.windows.net/?comp=list",
        headers={"Authorization": f"Bearer {answer.json()['access_token']}", "x-ms-version": "2023-11-03"}, timeout=30,
    )  # fmt: skip
    assert blobs.status_code == 200, blobs.text
