"""Secrets by azure-keyvault-secrets."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from tests.localcloud.azure_session import AzureSession, unique


@pytest.fixture
def vault(azure: AzureSession, group: str) -> str:
    """The id of a vault with role-based access."""
    id_ = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv-')}"
    properties = {
        "tenantId": azure.tenant_id,
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
    }
    azure.put(id_, "2024-11-01", {"location": "westeurope", "properties": properties})
    return id_


def _client(azure: AzureSession, vault: str) -> SecretClient:
    return SecretClient(f"https://{vault.rsplit('/', 1)[-1]}.vault.azure.net", azure.credential)


def test_secrets_need_a_role_and_keep_their_versions(azure: AzureSession, vault: str) -> None:
    client = _client(azure, vault)
    with pytest.raises(HttpResponseError) as caught:
        client.set_secret("token", "one")
    assert caught.value.status_code == 403 and "setSecret/action" in str(caught.value)
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    first = client.set_secret("token", "one", content_type="text/plain", tags={"a": "b"})
    client.set_secret("token", "two")
    assert client.get_secret("token").value == "two"
    assert client.get_secret("token", first.properties.version).value == "one"
    assert len(list(client.list_properties_of_secret_versions("token"))) == 2
    assert [one.name for one in client.list_properties_of_secrets()] == ["token"]


def test_a_secrets_user_reads_and_no_more(azure: AzureSession, vault: str) -> None:
    officer = azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    client = _client(azure, vault)
    client.set_secret("token", "one")
    azure.arm("DELETE", officer, "2022-04-01")
    azure.assign(vault, "Key Vault Secrets User", azure.object_id)
    assert client.get_secret("token").value == "one"
    with pytest.raises(HttpResponseError) as caught:
        client.set_secret("token", "two")
    assert caught.value.status_code == 403


def test_a_deleted_secret_comes_back_or_is_purged(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    client = _client(azure, vault)
    client.set_secret("token", "one")
    client.begin_delete_secret("token").result()
    with pytest.raises(ResourceNotFoundError) as missing:
        client.get_secret("token")
    assert missing.value.error is not None and missing.value.error.code == "SecretNotFound"
    with pytest.raises(HttpResponseError) as caught:
        client.set_secret("token", "two")
    assert caught.value.status_code == 409
    client.begin_recover_deleted_secret("token").result()
    assert client.get_secret("token").value == "one"
    client.begin_delete_secret("token").result()
    client.purge_deleted_secret("token")
    assert [one.name for one in client.list_deleted_secrets()] == []
