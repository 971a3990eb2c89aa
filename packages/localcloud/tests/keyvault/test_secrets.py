"""Secrets by azure-keyvault-secrets."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from localcloud.testing.azure_session import AzureSession, error_of, unique


@pytest.fixture
def vault(azure: AzureSession, group: str) -> str:
    """Return the id of a vault with role-based access."""
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
    assert [secret.name for secret in client.list_properties_of_secrets()] == ["token"]


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


def test_a_deleted_secret_is_recovered_or_purged(azure: AzureSession, vault: str) -> None:
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
    assert [secret.name for secret in client.list_deleted_secrets()] == []


def test_secrets_are_listed_in_pages_of_25(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    client = _client(azure, vault)
    for number in range(27):
        client.set_secret(f"s{number}", "x")
    assert [len(list(page)) for page in client.list_properties_of_secrets().by_page()] == [25, 2]
    assert [len(list(page)) for page in client.list_properties_of_secrets(max_page_size=20).by_page()] == [20, 7]
    for size in ("0", "26", "many"):
        answer = _get(azure, vault, "/secrets", {"api-version": "7.5", "maxresults": size})
        assert error_of(answer)[:2] == (400, "BadParameter")
        assert size in error_of(answer)[2]


def test_the_api_version_must_be_a_published_one(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    assert error_of(_get(azure, vault, "/secrets", {})) == (400, "BadParameter", "api-version must be specified")
    status, code, message = error_of(_get(azure, vault, "/secrets", {"api-version": "1999-01-01"}))
    assert (status, code) == (400, "BadParameter")
    assert message.startswith("The specified version (1999-01-01) is not recognized.")
    assert _get(azure, vault, "/secrets", {"api-version": "7.6-preview.2"}).status_code == 200


def test_a_value_has_at_most_25_kib(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    client = _client(azure, vault)
    assert client.set_secret("long", "x" * 25600).value == "x" * 25600
    with pytest.raises(HttpResponseError) as caught:
        client.set_secret("long", "x" * 25599 + "é")
    assert caught.value.status_code == 400 and "at most 25600 bytes" in str(caught.value)


def test_a_backup_is_sealed_and_brings_every_version_back(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    client = _client(azure, vault)
    first = client.set_secret("token", "one", tags={"a": "b"}).properties.version
    client.set_secret("token", "two")
    backup = client.backup_secret("token")
    assert b"one" not in backup
    with pytest.raises(HttpResponseError) as there:
        client.restore_secret_backup(backup)
    assert there.value.status_code == 409 and "already exists" in str(there.value)
    client.begin_delete_secret("token").wait()
    with pytest.raises(HttpResponseError) as deleted:
        client.restore_secret_backup(backup)
    assert deleted.value.status_code == 409 and "recoverable state" in str(deleted.value)
    client.purge_deleted_secret("token")
    assert client.restore_secret_backup(backup).name == "token"
    assert client.get_secret("token").value == "two"
    assert client.get_secret("token", first).properties.tags == {"a": "b"}
    with pytest.raises(HttpResponseError) as corrupt:
        client.restore_secret_backup(backup[:-9] + b"corrupted")
    assert corrupt.value.status_code == 400 and "corrupt" in str(corrupt.value)


def _get(azure: AzureSession, vault: str, path: str, query: dict[str, str]) -> requests.Response:
    token = azure.credential.get_token("https://vault.azure.net/.default").token
    return requests.get(
        f"https://{vault.rsplit('/', 1)[-1]}.vault.azure.net{path}", params=query,
        headers={"Authorization": f"Bearer {token}"}, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{bad", "deserialized"),
        ('{"value": 5}', "value is missing or not text"),
        ('{"value": "a", "tags": "b"}', "Property tags"),
        ('{"value": "a", "tags": {"b": 1}}', "Property tags"),
        ('{"value": "a", "attributes": "b"}', "Property attributes"),
        ('{"value": "a", "attributes": {"exp": "soon"}}', "Property exp"),
        ('{"value": "a", "attributes": {"enabled": 1}}', "Property enabled"),
    ],
)
def test_a_meaningless_body_is_a_bad_parameter(azure: AzureSession, vault: str, content: str, named: str) -> None:
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    token = azure.credential.get_token("https://vault.azure.net/.default").token
    answer = requests.put(
        f"https://{vault.rsplit('/', 1)[-1]}.vault.azure.net/secrets/one",
        params={"api-version": "7.4"}, data=content, headers={"Authorization": f"Bearer {token}"}, timeout=30,
    )  # fmt: skip
    status, code, message = error_of(answer)
    assert (status, code) == (400, "BadParameter") and named in message, message


def test_arm_puts_a_secret_and_never_shows_it(azure: AzureSession, vault: str) -> None:
    client: Any = KeyVaultManagementClient(azure.credential, azure.subscription_id)
    group, name = vault.split("/")[4], vault.rsplit("/", 1)[-1]
    created = client.secrets.create_or_update(
        group, name, "token", {"tags": {"a": "b"}, "properties": {"value": "one"}}
    )
    client.secrets.create_or_update(group, name, "token", {"properties": {"value": "two"}})
    client.secrets.update(group, name, "token", {"properties": {"contentType": "text"}})
    path = f"{vault}/secrets/token"
    assert "two" not in azure.arm("GET", path, "2024-11-01").text
    assert [secret.name for secret in client.secrets.list(group, name)] == ["token"]
    azure.assign(vault, "Key Vault Secrets Officer", azure.object_id)
    data = _client(azure, vault)
    assert (data.get_secret("token").value, data.get_secret("token").properties.content_type) == ("two", "text")
    assert data.get_secret("token", created.properties.secret_uri_with_version.rsplit("/", 1)[-1]).value == "one"
    assert error_of(azure.arm("DELETE", path, "2024-11-01"))[0] == 405
    assert error_of(azure.arm("PUT", f"{path}x", "2024-11-01", {"properties": {}}))[:2] == (400, "BadRequest")
    data.begin_delete_secret("token").wait()
    assert error_of(azure.arm("PUT", path, "2024-11-01", {"properties": {"value": "x"}}))[:2] == (409, "Conflict")
