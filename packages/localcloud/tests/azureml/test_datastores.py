"""Datastores by azure-ai-ml."""

from __future__ import annotations

import pytest
from azure.ai.ml.entities import (
    AccountKeyConfiguration,
    AzureBlobDatastore,
    AzureDataLakeGen2Datastore,
    AzureFileDatastore,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml


def test_a_workspace_comes_with_a_default_datastore_in_its_account(ml: MlWorkspace) -> None:
    default = ml.client.datastores.get_default()
    number = ml.azure.arm("GET", ml.id, ML).json()["properties"]["workspaceId"]
    assert (default.name, default.account_name) == ("workspaceblobstore", ml.account)
    assert default.container_name == f"azureml-blobstore-{number}"
    assert ml.blobs().get_container_client(default.container_name).exists()
    assert {datastore.name for datastore in ml.client.datastores.list()} >= {
        "workspaceblobstore",
        "workspaceartifactstore",
    }


def test_a_datastore_without_credentials_has_no_secrets(ml: MlWorkspace) -> None:
    datastore = ml.client.datastores.create_or_update(
        AzureBlobDatastore(name=unique("d"), account_name=ml.account, container_name="trainingdata")
    )
    assert datastore.credentials.type == "None"
    answer = ml.azure.arm("POST", f"{ml.id}/datastores/{datastore.name}/listSecrets", ML)
    assert error_of(answer)[:2] == (400, "UserError")


def test_secrets_are_kept_and_shown_only_on_request(ml: MlWorkspace) -> None:
    name = unique("d")
    ml.client.datastores.create_or_update(
        AzureBlobDatastore(
            name=name, account_name=ml.account, container_name="x",
            credentials=AccountKeyConfiguration(account_key="c2VjcmV0"),
        )
    )  # fmt: skip
    assert "c2VjcmV0" not in ml.azure.arm("GET", f"{ml.id}/datastores/{name}", ML).text
    assert ml.client.datastores.get(name, include_secrets=True).credentials.account_key == "c2VjcmV0"


def test_a_data_lake_datastore_keeps_its_filesystem(ml: MlWorkspace) -> None:
    name = unique("d")
    ml.client.datastores.create_or_update(
        AzureDataLakeGen2Datastore(name=name, account_name=ml.account, filesystem="lake")
    )
    assert ml.client.datastores.get(name).filesystem == "lake"


def test_with_access_keys_the_default_datastore_has_the_accounts_key_unless_keys_are_off(
    ml: MlWorkspace,
) -> None:
    shared = ml.azure.arm("GET", ml.id, ML).json()["properties"]
    id_ = f"{ml.group}/providers/Microsoft.MachineLearningServices/workspaces/{unique('w')}"
    body = {
        "location": "westeurope", "identity": {"type": "SystemAssigned"},
        "properties": {
            "storageAccount": shared["storageAccount"], "keyVault": shared["keyVault"],
            "systemDatastoresAuthMode": "AccessKey",
        },
    }  # fmt: skip
    ml.azure.put(id_, ML, body)
    store = f"{id_}/datastores/workspaceblobstore"
    properties = ml.azure.arm("GET", store, ML).json()["properties"]
    assert properties["credentials"] == {"credentialsType": "AccountKey"}
    answer = ml.azure.arm("POST", f"{store}/listSecrets", ML)
    assert error_of(answer)[:2] == (403, "KeyBasedAuthenticationNotPermitted")
    ml.azure.finish(ml.azure.arm("DELETE", id_, ML, forceToPurge="true"))


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        ({"datastoreType": "Floppy"}, "'Floppy'"),
        ({"datastoreType": "AzureBlob", "accountName": "a"}, "'containerName'"),
        (
            {"datastoreType": "AzureBlob", "accountName": "a", "containerName": "c",
             "credentials": {"credentialsType": "Luck"}},
            "'Luck'",
        ),
    ],
)  # fmt: skip
def test_an_invalid_datastore_is_refused(ml: MlWorkspace, properties: dict[str, object], names: str) -> None:
    answer = ml.azure.arm("PUT", f"{ml.id}/datastores/bad", ML, {"properties": properties})
    status, code, message = error_of(answer)
    assert (status, code) == (400, "UserError")
    assert names in message


def test_a_file_share_is_recorded_and_other_stores_are_not_emulated(ml: MlWorkspace) -> None:
    name = unique("f")
    ml.client.datastores.create_or_update(AzureFileDatastore(name=name, account_name=ml.account, file_share_name="s"))
    assert ml.client.datastores.get(name).file_share_name == "s"
    body = {"properties": {"datastoreType": "OneLake"}}
    status, code, message = error_of(ml.azure.arm("PUT", f"{ml.id}/datastores/{name}x", ML, body))
    assert (status, code) == (501, "NotImplemented") and "OneLake" in message


def test_a_deleted_datastore_is_not_found(ml: MlWorkspace) -> None:
    name = unique("d")
    ml.client.datastores.create_or_update(AzureBlobDatastore(name=name, account_name=ml.account, container_name="x"))
    ml.client.datastores.delete(name)
    with pytest.raises((ResourceNotFoundError, HttpResponseError), match=name):
        ml.client.datastores.get(name)
