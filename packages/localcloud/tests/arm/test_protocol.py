"""Requests that any client of ARM may send: odd paths and bodies, conditions, filters, tags, repeated deletions."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.mgmt.databricks import AzureDatabricksManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from localcloud.testing.azure_session import AzureSession, error_of, unique

ACCOUNT: Any = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
STORAGE = "providers/Microsoft.Storage/storageAccounts"


def test_a_scope_behind_a_slash_is_the_same_path(azure: AzureSession, group: str) -> None:
    """azure-mgmt-resource-locks and others write "/{scope}/providers/…" with a scope that begins with a slash."""
    lock = f"/{group}/providers/Microsoft.Authorization/locks/keep"
    response = azure.arm("PUT", lock, "2020-05-01", {"properties": {"level": "CanNotDelete"}})
    assert response.status_code == 201 and response.json()["id"] == lock[1:]
    assert azure.arm("GET", lock.replace("/locks", "//locks"), "2020-05-01").status_code == 200
    assert azure.arm("DELETE", lock, "2020-05-01").status_code == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"tags": ["a"]}, "tags"),
        ({"tags": "a"}, "tags"),
        ({"properties": "a"}, "properties"),
        ({"location": 5}, "location"),
        ({"identity": "SystemAssigned"}, "identity"),
        ({"sku": ["x"]}, "sku"),
    ],
)
def test_a_field_of_another_type_is_refused_by_its_name(azure: AzureSession, group: str, body: Any, path: str) -> None:
    status, code, message = error_of(
        azure.arm("PUT", f"{group}/{STORAGE}/{unique('st')}", "2024-01-01", ACCOUNT | body)
    )
    assert (status, code) == (400, "InvalidRequestContent")
    assert f"Path '{path}'" in message, message


def test_properties_of_another_type_cause_no_server_error(azure: AzureSession, group: str) -> None:
    body = ACCOUNT | {"properties": {"networkAcls": 5}}
    status, code, message = error_of(azure.arm("PUT", f"{group}/{STORAGE}/{unique('st')}", "2024-01-01", body))
    assert (status, code) == (400, "InvalidRequestContent") and "Microsoft.Storage/storageAccounts" in message


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (
            b'{"location": "westeurope", "tags": {"a": "' + b"x" * 4 * 1024 * 1024 + b'"}}',
            413,
            "RequestContentTooLarge",
        ),
        (b"[" * 100_000 + b"]" * 100_000, 400, "InvalidRequestContent"),
    ],
    ids=["large", "deep"],
)
def test_a_body_that_is_too_large_or_too_deep_is_refused(
    azure: AzureSession, group: str, content: bytes, status: int, code: str
) -> None:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    answer = requests.put(
        f"https://management.azure.com{group}", params={"api-version": "2024-03-01"}, data=content,
        headers={"Authorization": f"Bearer {token}"}, timeout=60,
    )  # fmt: skip
    assert error_of(answer)[:2] == (status, code)


def test_tag_names_have_reserved_characters(azure: AzureSession, group: str) -> None:
    body = {"location": "westeurope", "tags": {"cost/centre": "1"}}
    status, code, message = error_of(azure.arm("PUT", group, "2024-03-01", body))
    assert (status, code) == (400, "InvalidTagNameCharacters") and "'cost/centre'" in message


def test_tags_of_a_resource_that_azure_does_not_tag_are_text_all_the_same(azure: AzureSession, group: str) -> None:
    """Anything else in them failed the list of the subscription's tags."""
    path = f"{group}/providers/Microsoft.Authorization/locks/{unique('lock')}"
    body = {"properties": {"level": "CanNotDelete"}, "tags": {"owners": ["a", "b"]}}
    status, code, message = error_of(azure.arm("PUT", path, "2020-05-01", body))
    assert (status, code) == (400, "InvalidTagNameOrValue") and "Tag 'owners' is invalid" in message
    assert azure.arm("GET", "/subscriptions/" + group.split("/")[2] + "/tagNames", "2024-11-01").status_code == 200


def test_a_missing_parent_is_named_by_its_name(azure: AzureSession, group: str) -> None:
    path = f"{group}/{STORAGE}/stnone/blobServices/default/containers/data"
    status, code, message = error_of(azure.arm("PUT", path, "2024-01-01", {}))
    assert (status, code) == (404, "ParentResourceNotFound")
    assert message.endswith("Parent resource 'stnone/default' not found."), message


def test_a_missing_child_is_named_with_its_parents(azure: AzureSession, group: str) -> None:
    account = unique("st")
    azure.put(f"{group}/{STORAGE}/{account}", "2024-01-01", ACCOUNT)
    path = f"{group}/{STORAGE}/{account}/blobServices/default/containers/none"
    status, code, message = error_of(azure.arm("GET", path, "2024-01-01"))
    assert (status, code) == (404, "ResourceNotFound")
    named = f"Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/none"
    assert message.startswith(f"The Resource '{named}' under resource group"), message


def test_two_deletions_of_a_group_are_one(azure: AzureSession) -> None:
    name = unique("rg-")
    path = f"{azure.subscription}/resourceGroups/{name}"
    azure.put(path, "2024-03-01", {"location": "westeurope"})
    for _ in range(3):
        azure.put(f"{path}/{STORAGE}/{unique('st')}", "2024-01-01", ACCOUNT)
    answers: list[Any] = []
    callers = [
        threading.Thread(target=lambda: answers.append(azure.arm("DELETE", path, "2024-03-01"))) for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert {answer.status_code for answer in answers} <= {202, 404}
    assert len({answer.headers["Location"] for answer in answers if answer.status_code == 202}) == 1
    for answer in answers:
        if answer.status_code == 202:
            assert azure.finish(answer).status_code == 200


def test_nothing_is_put_into_a_group_that_is_being_deleted(azure: AzureSession) -> None:
    path = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(path, "2024-03-01", {"location": "westeurope"})
    for _ in range(6):
        azure.put(f"{path}/{STORAGE}/{unique('st')}", "2024-01-01", ACCOUNT)
    deletion = azure.arm("DELETE", path, "2024-03-01")
    answers = [
        azure.arm("PUT", f"{path}/{STORAGE}/{unique('st')}", "2024-01-01", ACCOUNT),
        azure.arm("PUT", path, "2024-03-01", {"location": "westeurope"}),
    ]
    azure.finish(deletion)
    for answer in answers:
        # The deletion may have been over before the second request came: then there is no group, or a new one.
        assert answer.status_code in {201, 404} or error_of(answer)[:2] == (409, "ResourceGroupBeingDeleted")
    assert error_of(answers[0])[1] in {"ResourceGroupBeingDeleted", "ResourceGroupNotFound"}
    azure.arm("DELETE", path, "2024-03-01")


def test_a_write_can_be_made_to_depend_on_the_etag(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/vnet"
    body: Any = {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}
    client = NetworkManagementClient(azure.credential, azure.subscription_id)
    network = client.virtual_networks.begin_create_or_update(group.rsplit("/", 1)[-1], "vnet", body).result()
    changed = body | {"tags": {"a": "b"}}

    def put(**headers: str) -> Any:
        token = azure.credential.get_token("https://management.azure.com/.default").token
        url = f"https://management.azure.com{path}"
        return _request("PUT", url, changed, {"Authorization": f"Bearer {token}", **headers})

    assert error_of(put(**{"If-Match": 'W/"of another"'}))[:2] == (412, "PreconditionFailed")
    assert error_of(put(**{"If-None-Match": "*"}))[:2] == (412, "PreconditionFailed")
    assert put(**{"If-Match": str(network.etag)}).status_code == 200


def _request(method: str, url: str, body: Any, headers: dict[str, str]) -> Any:
    return requests.request(method, url, params={"api-version": "2024-05-01"}, json=body, headers=headers, timeout=60)


def test_tags_are_read_and_changed_at_a_scope(azure: AzureSession, group: str) -> None:
    client = ResourceManagementClient(azure.credential, azure.subscription_id)
    account = f"{group}/{STORAGE}/{unique('st')}"
    azure.put(account, "2024-01-01", ACCOUNT | {"tags": {"owner": "me", "stage": "dev"}})
    tags: Any = client.tags
    merged = tags.begin_update_at_scope(account, {"operation": "Merge", "properties": {"tags": {"cost": "1"}}}).result()
    assert merged.properties.tags == {"owner": "me", "stage": "dev", "cost": "1"}
    patch = {"operation": "Delete", "properties": {"tags": {"stage": "dev", "owner": "another"}}}
    tags.begin_update_at_scope(account, patch).result()
    assert azure.arm("GET", account, "2024-01-01").json()["tags"] == {"owner": "me", "cost": "1"}
    tags.begin_create_or_update_at_scope(group, {"properties": {"tags": {"of": "the group"}}}).result()
    assert client.resource_groups.get(group.rsplit("/", 1)[-1]).tags == {"of": "the group"}
    tags.begin_delete_at_scope(account).result()
    assert tags.get_at_scope(account).properties.tags == {}
    with pytest.raises(HttpResponseError, match="Strange"):
        tags.begin_update_at_scope(account, {"operation": "Strange", "properties": {"tags": {}}})
    with pytest.raises(HttpResponseError, match="ResourceNotFound"):
        tags.get_at_scope(f"{account}x")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("substringof('one', name)", {"id-one"}),
        ("name ne 'id-one' and resourceType eq 'Microsoft.ManagedIdentity/userAssignedIdentities'", {"id-two"}),
        ("name eq 'id-one' or name eq 'id-two'", {"id-one", "id-two"}),
        ("tagName eq 'a' and tagValue eq '2'", {"id-two"}),
        ("startswith(tagName, 'b')", {"id-one"}),
        ("name eq 'none'", set()),
    ],
)
def test_lists_are_filtered(azure: AzureSession, group: str, text: str, names: set[str]) -> None:
    for name, tags in (("id-one", {"a": "1", "bb": "1"}), ("id-two", {"a": "2"})):
        path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
        azure.put(path, "2023-01-31", {"location": "westeurope", "tags": tags})
    client = ResourceManagementClient(azure.credential, azure.subscription_id)
    listed = list(client.resources.list_by_resource_group(group.rsplit("/", 1)[-1], filter=text, expand="createdTime"))
    assert {resource.name for resource in listed} == names
    assert all(resource.created_time for resource in listed), "$expand adds the time"


def test_an_invalid_filter_is_refused(azure: AzureSession, group: str) -> None:
    for text in ("bogus", "tagValue eq '1'", "name gt 'a'"):
        query: Any = {"$filter": text}
        answer = azure.arm("GET", f"{group}/resources", "2022-09-01", **query)
        assert error_of(answer)[:2] == (400, "InvalidFilterInQueryString"), text


def test_providers_that_azure_may_have_are_not_called_invalid(azure: AzureSession) -> None:
    path = f"{azure.subscription}/providers"
    quota = azure.arm("GET", f"{path}/Microsoft.Quota", "2022-09-01").json()
    assert (quota["registrationState"], quota["resourceTypes"]) == ("NotRegistered", [])
    unknown = azure.arm("GET", f"{path}/Microsoft.Quota/resourceTypes", "2022-09-01")
    assert error_of(unknown) == (
        501, "NotImplemented", "localcloud does not emulate the resource types of Microsoft.Quota.",
    )  # fmt: skip
    assert error_of(azure.arm("GET", f"{path}/things", "2022-09-01"))[:2] == (404, "InvalidResourceNamespace")
    types = azure.arm("GET", f"{path}/Microsoft.Storage/resourceTypes", "2022-09-01").json()["value"]
    assert "storageAccounts" in {resource_type["resourceType"] for resource_type in types}
    tenant = azure.arm("GET", "/providers", "2022-09-01").json()["value"]
    assert "Microsoft.KeyVault" in {provider["namespace"] for provider in tenant}


def test_the_group_that_databricks_manages_is_closed_to_all(azure: AzureSession, group: str) -> None:
    client = AzureDatabricksManagementClient(azure.credential, azure.subscription_id)
    managed = f"{azure.subscription}/resourceGroups/{unique('dbw-managed-')}"
    body: Any = {
        "location": "westeurope", "sku": {"name": "premium"},
        "properties": {"managedResourceGroupId": managed, "computeMode": "Hybrid"},
    }  # fmt: skip
    name = group.rsplit("/", 1)[-1]
    client.workspaces.begin_create_or_update(name, "dbw", body).result()
    for method, path, sent in (("PUT", f"{managed}/{STORAGE}/{unique('st')}", ACCOUNT), ("DELETE", managed, None)):
        version = "2024-01-01" if sent else "2024-03-01"
        status, code, message = error_of(azure.arm(method, path, version, sent))
        assert (status, code) == (403, "DenyAssignmentAuthorizationFailed")
        assert "System deny assignment created by Azure Databricks" in message
    with pytest.raises(HttpResponseError, match=r"already exists\. Please specify a new non-existent managed resource"):
        client.workspaces.begin_create_or_update(name, "other", body).result()
    body["properties"]["managedResourceGroupId"] = "no id"
    with pytest.raises(HttpResponseError, match="'no id' is not the id of a resource group"):
        client.workspaces.begin_create_or_update(name, "third", body).result()
    client.workspaces.begin_delete(name, "other").result()
    client.workspaces.begin_delete(name, "dbw").result()
    assert azure.arm("GET", managed, "2024-03-01").status_code == 404
