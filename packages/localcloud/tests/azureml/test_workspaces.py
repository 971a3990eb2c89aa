"""Workspaces by azure-ai-ml, and by ARM where the client hides the answer."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]


def _body(ml: MlWorkspace, **properties: Any) -> Json:
    """Return a workspace beside the shared one, on the same storage and vault."""
    shared = ml.azure.arm("GET", ml.id, ML).json()["properties"]
    return {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "storageAccount": shared["storageAccount"], "keyVault": shared["keyVault"],
            "systemDatastoresAuthMode": "Identity", **properties,
        },
    }  # fmt: skip


def _beside(ml: MlWorkspace, name: str) -> str:
    return f"{ml.group}/providers/Microsoft.MachineLearningServices/workspaces/{name}"


def test_the_client_reads_a_workspace_with_the_addresses_it_needs(ml: MlWorkspace) -> None:
    description = ml.client.workspaces.get(ml.name)
    assert description.discovery_url == "https://westeurope.api.azureml.ms/discovery"
    assert description.mlflow_tracking_uri == f"azureml://westeurope.api.azureml.ms/mlflow/v1.0{ml.id}"
    assert description.identity.principal_id
    assert description.name in {workspace.name for workspace in ml.client.workspaces.list()}


def test_the_discovery_address_lists_the_services_of_a_region(ml: MlWorkspace) -> None:
    addresses = requests.get("https://westeurope.api.azureml.ms/discovery", timeout=30).json()
    assert addresses["api"] == addresses["history"] == ml.data_plane


def test_a_linked_resource_that_does_not_exist_is_refused(ml: MlWorkspace) -> None:
    body = _body(ml, keyVault=f"{ml.group}/providers/Microsoft.KeyVault/vaults/nothing")
    status, _, message = error_of(ml.azure.arm("PUT", _beside(ml, unique("w")), ML, body))
    assert status == 400
    assert "vaults/nothing" in message


@pytest.mark.parametrize("missing", ["storageAccount", "keyVault"])
def test_a_workspace_needs_storage_and_a_vault(ml: MlWorkspace, missing: str) -> None:
    body = _body(ml)
    del body["properties"][missing]
    status, code, message = error_of(ml.azure.arm("PUT", _beside(ml, unique("w")), ML, body))
    assert (status, code) == (400, "ValidationError")
    assert missing in message


def test_a_name_that_is_too_short_is_refused(ml: MlWorkspace) -> None:
    status, code, message = error_of(ml.azure.arm("PUT", _beside(ml, "ab"), ML, _body(ml)))
    assert (status, code) == (400, "ValidationError")
    assert "'ab'" in message


def test_storage_of_a_workspace_never_changes(ml: MlWorkspace) -> None:
    body = _body(ml, storageAccount=ml.account_id[:-1] + "x")
    status, _, message = error_of(ml.azure.arm("PUT", ml.id, ML, body))
    assert status in {400, 409}
    assert "storageAccount" in message


def test_tags_are_patched_without_touching_the_rest(ml: MlWorkspace) -> None:
    before = ml.azure.arm("GET", ml.id, ML).json()
    ml.azure.finish(ml.azure.arm("PATCH", ml.id, ML, {"tags": {"owner": "team"}}))
    after = ml.azure.arm("GET", ml.id, ML).json()
    assert after["tags"] == {"owner": "team"}
    assert after["properties"]["workspaceId"] == before["properties"]["workspaceId"]
    assert after["properties"]["storageAccount"] == before["properties"]["storageAccount"]


def test_an_api_version_that_was_never_published_is_refused(ml: MlWorkspace) -> None:
    status, code, _ = error_of(ml.azure.arm("GET", ml.id, "2024-10-02"))
    assert (status, code) == (400, "NoRegisteredProviderFound")


def test_no_key_is_listed_where_shared_keys_are_off(ml: MlWorkspace) -> None:
    keys = ml.client.workspaces.get_keys(ml.name)
    assert keys.user_storage_key is None
    assert keys.user_storage_resource_id == ml.account_id


def test_an_operation_that_is_not_emulated_answers_501(ml: MlWorkspace) -> None:
    status, code, message = error_of(ml.azure.arm("POST", f"{ml.id}/listNotebookKeys", ML))
    assert (status, code) == (501, "NotImplemented")
    assert "listNotebookKeys" in message


def test_a_deleted_workspace_holds_its_name_until_it_is_purged(ml: MlWorkspace) -> None:
    azure, id_ = ml.azure, _beside(ml, unique("soft"))
    azure.put(id_, ML, _body(ml))
    azure.finish(azure.arm("DELETE", id_, ML))
    assert azure.arm("GET", id_, ML).status_code == 404
    status, code, message = error_of(azure.arm("PUT", id_, ML, _body(ml)))
    assert (status, code) == (400, "BadRequest")
    assert "https://aka.ms/wsoftdelete" in message
    assert azure.arm("DELETE", id_, ML, forceToPurge="true").status_code == 200
    assert azure.put(id_, ML, _body(ml))["properties"]["provisioningState"] == "Succeeded"
    azure.finish(azure.arm("DELETE", id_, ML, forceToPurge="true"))
    assert azure.put(id_, ML, _body(ml))["properties"]["provisioningState"] == "Succeeded"
    ml.client.workspaces.begin_delete(
        id_.rsplit("/", 1)[-1], delete_dependent_resources=False, permanently_delete=True
    ).result()
    assert azure.arm("GET", id_, ML).status_code == 404


def test_an_unknown_workspace_is_not_found(azure: AzureSession, ml: MlWorkspace) -> None:
    assert error_of(azure.arm("GET", _beside(ml, "nothing"), ML))[:2] == (404, "ResourceNotFound")
    assert azure.arm("GET", f"{_beside(ml, 'nothing')}/datastores", ML).status_code == 404


def test_workspaces_are_listed_by_kind(ml: MlWorkspace) -> None:
    path = f"{ml.group}/providers/Microsoft.MachineLearningServices/workspaces"
    listed = {kind: ml.azure.arm("GET", path, ML, kind=kind).json()["value"] for kind in ("hub,project", "Default")}
    assert [workspace["name"] for workspace in listed["Default"]] == [ml.name]
    assert listed["hub,project"] == []


def test_a_hub_is_not_accepted_as_a_workspace(ml: MlWorkspace) -> None:
    answer = ml.azure.arm("PUT", _beside(ml, unique("hub-")), ML, _body(ml) | {"kind": "Hub"})
    assert error_of(answer)[:2] == (501, "NotImplemented") and "kind 'Hub'" in error_of(answer)[2]
