"""Role assignments that take time to have effect, as on Azure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.networks import REGION, make_account
from localcloud.testing.principals import IdentityCredential

from mlops import training_data
from mlops.clients import Clients

ML = "2025-12-01"


@pytest.fixture
def delay(cloud: Cloud, azure: AzureSession) -> Iterator[Callable[[float], requests.Response]]:
    """Set the seconds until roles have effect."""
    token = azure.credential.get_token("https://management.azure.com/.default").token
    url = f"{cloud.settings.gateway_url}/_localcloud/role-propagation"

    def set_(seconds: float) -> requests.Response:
        return requests.post(url, json={"seconds": seconds}, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    yield set_
    assert set_(0).ok


def _identity(azure: AzureSession, group: str) -> tuple[str, str]:
    """Make a managed identity and return its id and its principal's id."""
    id_ = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}"
    identity = azure.put(id_, "2023-01-31", {"location": REGION})
    return id_, identity["properties"]["principalId"]


def _container(azure: AzureSession, group: str) -> tuple[str, str]:
    """Make an account with a container and return the account's id and the container's address."""
    account = make_account(azure, group)
    azure.put(f"{account}/blobServices/default/containers/data", "2024-01-01", {"properties": {}})
    return account, f"https://{account.rsplit('/', 1)[-1]}.blob.core.windows.net"


def test_a_role_is_listed_at_once_and_has_effect_later(
    azure: AzureSession, group: str, cloud: Cloud, delay: Callable[[float], requests.Response]
) -> None:
    account, url = _container(azure, group)
    _, principal = _identity(azure, group)
    container = ContainerClient(url, "data", IdentityCredential(cloud, principal))
    delay(600)

    assignment = azure.assign(account, "Storage Blob Data Contributor", principal)

    listed = azure.arm("GET", assignment, "2022-04-01").json()
    assert listed["properties"]["principalId"] == principal
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        list(container.list_blobs())
    delay(0)
    assert list(container.list_blobs()) == []


def test_uploading_data_waits_for_a_role_that_is_seconds_old(
    azure: AzureSession, group: str, cloud: Cloud, delay: Callable[[float], requests.Response], tmp_path: Path
) -> None:
    account, url = _container(azure, group)
    _, principal = _identity(azure, group)
    container = ContainerClient(url, "data", IdentityCredential(cloud, principal))
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,2\n")
    data = training_data.read(file)
    delay(2)
    azure.assign(account, "Storage Blob Data Contributor", principal)

    with pytest.raises(HttpResponseError):
        list(container.list_blobs())
    uploaded = training_data.upload(cast(Clients, SimpleNamespace(training=container)), data)

    assert uploaded and [blob.name for blob in container.list_blobs()] == [data.blob]


def test_an_ml_workspace_is_refused_while_the_roles_of_its_identity_have_no_effect(
    azure: AzureSession, group: str, delay: Callable[[float], requests.Response]
) -> None:
    identity, principal = _identity(azure, group)
    account = make_account(azure, group)
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv-')}"
    properties: Any = {
        "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
    }  # fmt: skip
    azure.put(vault, "2024-11-01", {"location": REGION, "properties": properties})
    delay(600)
    for scope in (vault, account):
        azure.assign(scope, "Contributor", principal)
    workspace = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{unique('aml-')}"
    body = {
        "location": REGION,
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}},
        "properties": {"storageAccount": account, "keyVault": vault, "primaryUserAssignedIdentity": identity},
    }

    answer = azure.arm("PUT", workspace, ML, body)

    operation = answer.headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com").split("?")[0]
    status = azure.arm("GET", operation, ML).json()
    assert (status["status"], status["error"]["code"]) == ("Failed", "BadRequest")
    message = status["error"]["message"]
    assert message.startswith("User assigned identity doesn't have enough permissions. The client ")
    assert f"perform action 'Microsoft.KeyVault/vaults/read' over scope '{vault}'" in message
    delay(0)
    assert azure.put(workspace, ML, body)["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize("seconds", [-1, 1801])
def test_a_delay_that_azure_does_not_have_is_refused(
    delay: Callable[[float], requests.Response], seconds: float
) -> None:
    answer = delay(seconds)
    assert error_of(answer)[:2] == (400, "InvalidSeconds")
