"""Two operations at once on one target: refused at once, or accepted and failed later."""

from __future__ import annotations

import pytest
import requests
from azure.mgmt.network import NetworkManagementClient
from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.networks import NETWORK, REGION, endpoint_body, make_account, make_network, path, subnet

STORAGE = "2024-01-01"
BUSY = "An operation is currently performing on this storage account that requires exclusive access."


@pytest.fixture
def endpoints(azure: AzureSession, group: str) -> str:
    """Return the id of a subnet for private endpoints."""
    return f"{make_network(azure, group, subnet('endpoints', '10.20.1.0/24'))}/subnets/endpoints"


def databricks(azure: AzureSession, group: str) -> str:
    """Return the id of a Databricks workspace."""
    name = unique("dbw")
    id_ = f"{group}/providers/Microsoft.Databricks/workspaces/{name}"
    managed = f"{azure.subscription}/resourceGroups/rg-{name}-managed"
    body = {
        "location": REGION, "sku": {"name": "premium"},
        "properties": {"managedResourceGroupId": managed, "computeMode": "Hybrid"},
    }  # fmt: skip
    azure.put(id_, "2026-01-01", body)
    return id_


def vault(azure: AzureSession, group: str) -> str:
    """Return the id of a key vault."""
    id_ = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv')}"
    properties = {
        "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
    }  # fmt: skip
    azure.put(id_, "2024-11-01", {"location": REGION, "properties": properties})
    return id_


def start(azure: AzureSession, group: str, subnet_id: str, target: str, group_id: str) -> tuple[str, requests.Response]:
    """Start to make a private endpoint; return its id and the answer."""
    id_ = path(group, "privateEndpoints", unique("pe"))
    answer = azure.arm("PUT", id_, NETWORK, endpoint_body(subnet_id, target, group_id))
    assert answer.status_code == 201, answer.text
    return id_, answer


def outcome(azure: AzureSession, answer: requests.Response) -> Json:
    """Return the operation's last state."""
    token = azure.credential.get_token("https://management.azure.com/.default").token
    while True:
        url = answer.headers["Azure-AsyncOperation"]
        content: Json = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60).json()
        if content["status"] != "InProgress":
            return content


@pytest.mark.parametrize(
    ("kind", "groups", "code", "message"),
    [
        ("storage", ("blob", "file"), "StorageAccountOperationInProgress",
         f"Call to Microsoft.Storage/storageAccounts failed. Error message: {BUSY}"),
        ("databricks", ("databricks_ui_api", "browser_authentication"), "ConcurrentUpdateError",
         "Call to Microsoft.Databricks/workspaces failed. Error message: Workspace update could not be completed "
         "because it has been updated by another process."),
        ("vault", ("vault", "vault"), "ConflictError",
         "Call to Microsoft.KeyVault/vaults failed. Error message: A conflict occurred that prevented the operation "
         "from completing."),
    ],
)  # fmt: skip
def test_the_second_of_two_endpoints_at_once_fails_inside_its_operation(
    azure: AzureSession, group: str, endpoints: str, kind: str, groups: tuple[str, str], code: str, message: str
) -> None:
    make = {"storage": make_account, "databricks": databricks, "vault": vault}[kind]
    target = make(azure, group)

    (first_id, first), (second_id, second) = (
        start(azure, group, endpoints, target, target_group) for target_group in groups
    )
    ended, failed = outcome(azure, first), outcome(azure, second)

    assert ended["status"] == "Succeeded"
    assert (failed["status"], failed["error"]["code"]) == ("Failed", code)
    assert failed["error"]["message"].startswith(message)
    states = [azure.arm("GET", id_, NETWORK).json()["properties"]["provisioningState"] for id_ in (first_id, second_id)]
    assert states == ["Succeeded", "Failed"]

    again = azure.put(second_id, NETWORK, endpoint_body(endpoints, target, groups[1]))

    connection = again["properties"]["privateLinkServiceConnections"][0]["properties"]
    assert again["properties"]["provisioningState"] == "Succeeded"
    assert connection["privateLinkServiceConnectionState"]["status"] == "Approved", "the failed one can be made again"


def test_endpoints_of_two_targets_do_not_conflict(azure: AzureSession, group: str, endpoints: str) -> None:
    accounts = [make_account(azure, group) for _ in range(2)]

    answers = [start(azure, group, endpoints, account, "blob")[1] for account in accounts]

    assert [outcome(azure, answer)["status"] for answer in answers] == ["Succeeded", "Succeeded"]


def test_a_target_refuses_changes_at_once_while_an_endpoint_is_made(
    azure: AzureSession, group: str, endpoints: str
) -> None:
    account = make_account(azure, group)
    required = {key: azure.arm("GET", account, STORAGE).json()[key] for key in ("location", "kind", "sku")}
    changes = [
        ("PUT", account, {**required, "tags": {"a": "b"}}),
        ("PATCH", account, {"tags": {"a": "b"}}),
        ("PUT", f"{account}/blobServices/default", {"properties": {}}),
        ("DELETE", account, None),
    ]

    _, answer = start(azure, group, endpoints, account, "blob")
    refused = [error_of(azure.arm(method, id_, STORAGE, body)) for method, id_, body in changes]
    listed = azure.arm("POST", f"{account}/listKeys", STORAGE)

    assert refused == [(409, "StorageAccountOperationInProgress", BUSY)] * len(changes)
    assert listed.ok, "reading is no change"
    assert outcome(azure, answer)["status"] == "Succeeded"
    assert azure.arm("PATCH", account, STORAGE, {"tags": {"a": "b"}}).ok


def test_a_databricks_workspace_refuses_a_change_while_an_endpoint_is_made(
    azure: AzureSession, group: str, endpoints: str
) -> None:
    workspace = databricks(azure, group)

    _, answer = start(azure, group, endpoints, workspace, "databricks_ui_api")
    refused = error_of(azure.arm("PATCH", workspace, "2026-01-01", {"tags": {"a": "b"}}))

    assert refused == (
        409, "ConcurrentUpdateError",
        "Workspace update could not be completed because it has been updated by another process.",
    )  # fmt: skip
    assert outcome(azure, answer)["status"] == "Succeeded"


def test_endpoints_of_one_target_are_deleted_one_after_another(azure: AzureSession, group: str, endpoints: str) -> None:
    account = make_account(azure, group)
    ids = []
    for target_group in ("blob", "dfs"):
        ids.append(path(group, "privateEndpoints", unique("pe")))
        azure.put(ids[-1], NETWORK, endpoint_body(endpoints, account, target_group))

    answers = [azure.arm("DELETE", id_, NETWORK) for id_ in ids]
    ended = [outcome(azure, answer) for answer in answers]

    assert [operation["status"] for operation in ended] == ["Succeeded", "Failed"]
    assert ended[1]["error"]["code"] == "StorageAccountOperationInProgress"
    client = NetworkManagementClient(azure.credential, azure.subscription_id)
    group_name, name = group.rsplit("/", 1)[-1], ids[1].rsplit("/", 1)[-1]
    client.private_endpoints.begin_delete(group_name, name).result()
    assert list(client.private_endpoints.list(group_name)) == []
