"""Keys by azure-keyvault-keys, by ARM, and as the secrets provider of a Pulumi stack."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from azure.mgmt.keyvault import KeyVaultManagementClient
from localcloud.testing.azure_session import AzureSession, error_of, unique

OFFICER = "Key Vault Crypto Officer"
USER = "Key Vault Crypto User"


@pytest.fixture
def vault(azure: AzureSession, group: str) -> str:
    """Return the id of a vault with role-based access; no principal has a role yet."""
    id_ = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv-')}"
    properties = {
        "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
    }  # fmt: skip
    azure.put(id_, "2024-11-01", {"location": "westeurope", "properties": properties})
    return id_


def _url(vault: str) -> str:
    return f"https://{vault.rsplit('/', 1)[-1]}.vault.azure.net"


def _client(azure: AzureSession, vault: str) -> KeyClient:
    return KeyClient(_url(vault), azure.credential, retry_total=0)


def _arm_key(azure: AzureSession, vault: str, name: str) -> dict[str, Any]:
    return azure.put(f"{vault}/keys/{name}", "2024-11-01", {"properties": {"kty": "RSA", "keySize": 2048}})


def test_arm_makes_a_key_once_and_neither_changes_nor_deletes_it(azure: AzureSession, vault: str) -> None:
    properties = _arm_key(azure, vault, "pulumi")["properties"]
    assert properties["keyUriWithVersion"].startswith(f"{_url(vault)}/keys/pulumi/")
    body = {"properties": {"kty": "RSA", "keySize": 4096}}
    again = azure.arm("PUT", f"{vault}/keys/pulumi", "2024-11-01", body)
    assert (
        again.status_code == 200 and again.json()["properties"]["keyUriWithVersion"] == properties["keyUriWithVersion"]
    )
    assert azure.arm("DELETE", f"{vault}/keys/pulumi", "2024-11-01").status_code == 405
    name = vault.split("/")
    keys = KeyVaultManagementClient(azure.credential, azure.subscription_id).keys.list(name[4], name[8])
    assert [key.name for key in keys] == ["pulumi"]


def test_without_a_role_the_key_is_closed_to_its_maker(azure: AzureSession, vault: str) -> None:
    _arm_key(azure, vault, "pulumi")
    with pytest.raises(HttpResponseError) as caught:
        _client(azure, vault).get_key("pulumi")
    assert caught.value.status_code == 403 and "vaults/keys/read" in str(caught.value.message)


def test_a_key_decrypts_unwraps_and_verifies_only_its_own_results(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, OFFICER, azure.object_id)
    client = _client(azure, vault)
    key = client.create_rsa_key("own", size=2048)
    crypto = CryptographyClient(key, azure.credential)
    for algorithm in (EncryptionAlgorithm.rsa_oaep_256, EncryptionAlgorithm.rsa_oaep, EncryptionAlgorithm.rsa1_5):
        sealed = crypto.encrypt(algorithm, b"state").ciphertext
        assert crypto.decrypt(algorithm, sealed).plaintext == b"state"
    wrapped = crypto.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, b"0" * 32).encrypted_key
    assert crypto.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == b"0" * 32
    digest = hashlib.sha256(b"message").digest()
    for signing in (SignatureAlgorithm.rs256, SignatureAlgorithm.ps256):
        signature = crypto.sign(signing, digest).signature
        assert crypto.verify(signing, digest, signature).is_valid
        assert not crypto.verify(signing, hashlib.sha256(b"other").digest(), signature).is_valid
    other = CryptographyClient(client.create_rsa_key("other", size=2048), azure.credential)
    with pytest.raises(HttpResponseError) as caught:
        other.decrypt(
            EncryptionAlgorithm.rsa_oaep_256, crypto.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"x").ciphertext
        )
    assert caught.value.status_code == 400


def test_crypto_users_use_keys_and_do_not_make_them(azure: AzureSession, vault: str) -> None:
    _arm_key(azure, vault, "pulumi")
    azure.assign(vault, USER, azure.object_id)
    client = _client(azure, vault)
    crypto = CryptographyClient(client.get_key("pulumi"), azure.credential)
    sealed = crypto.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"state").ciphertext
    assert crypto.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed).plaintext == b"state"
    with pytest.raises(HttpResponseError) as caught:
        client.create_rsa_key("more")
    assert caught.value.status_code == 403 and "vaults/keys/create/action" in str(caught.value.message)


def test_a_new_version_is_current_and_the_old_one_still_decrypts_its_own_results(
    azure: AzureSession, vault: str
) -> None:
    azure.assign(vault, OFFICER, azure.object_id)
    client = _client(azure, vault)
    first = client.create_rsa_key("turning")
    sealed = CryptographyClient(first, azure.credential).encrypt(EncryptionAlgorithm.rsa_oaep, b"old").ciphertext
    second = client.create_rsa_key("turning")
    assert client.get_key("turning").id == second.id != first.id
    assert len(list(client.list_properties_of_key_versions("turning"))) == 2
    old = CryptographyClient(client.get_key("turning", first.properties.version), azure.credential)
    assert old.decrypt(EncryptionAlgorithm.rsa_oaep, sealed).plaintext == b"old"


def test_a_disabled_key_and_a_missing_operation_are_refused(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, OFFICER, azure.object_id)
    client = _client(azure, vault)
    key = client.create_rsa_key("narrow", key_operations=["sign"])
    token = azure.credential.get_token("https://vault.azure.net/.default").token

    def post(operation: str) -> requests.Response:
        return requests.post(
            f"{_url(vault)}/keys/narrow/{key.properties.version}/{operation}",
            params={"api-version": "7.4"}, json={"alg": "RSA-OAEP", "value": "AA"},
            headers={"Authorization": f"Bearer {token}"}, timeout=30,
        )  # fmt: skip

    assert error_of(post("encrypt")) == (403, "Forbidden", "Operation encrypt is not permitted on this key.")
    client.update_key_properties("narrow", enabled=False)
    assert error_of(post("sign")) == (403, "Forbidden", "Operation sign is not allowed on a disabled key.")


def test_a_deleted_key_holds_its_name_until_it_is_recovered_or_purged(azure: AzureSession, vault: str) -> None:
    azure.assign(vault, OFFICER, azure.object_id)
    client = _client(azure, vault)
    client.create_rsa_key("gone")
    client.begin_delete_key("gone").result()
    with pytest.raises(ResourceNotFoundError):
        client.get_key("gone")
    with pytest.raises(HttpResponseError) as caught:
        client.create_rsa_key("gone")
    assert caught.value.status_code == 409 and "recovered or purged" in str(caught.value.message)
    assert error_of(azure.arm("PUT", f"{vault}/keys/gone", "2024-11-01", {"properties": {"kty": "RSA"}}))[0] == 409
    client.begin_recover_deleted_key("gone").result()
    assert client.get_key("gone").name == "gone"
    client.begin_delete_key("gone").result()
    client.purge_deleted_key("gone")
    assert client.create_rsa_key("gone").name == "gone"


@pytest.mark.parametrize(
    ("properties", "status"),
    [({"kty": "RSA", "keySize": 1024}, 400), ({"kty": "RSA", "keyOps": ["bake"]}, 400), ({"kty": "tin"}, 400),
     ({"kty": "RSA-HSM"}, 403), ({"kty": "EC", "curveName": "P-256"}, 501)],
)  # fmt: skip
def test_keys_that_the_vault_cannot_make_are_refused(
    azure: AzureSession, vault: str, properties: dict[str, Any], status: int
) -> None:
    answer = azure.arm("PUT", f"{vault}/keys/wrong", "2024-11-01", {"properties": properties})
    assert answer.status_code == status
    assert azure.arm("GET", f"{vault}/keys/wrong", "2024-11-01").status_code == 404


def test_a_stacks_secrets_are_sealed_by_the_vaults_key(
    azure: AzureSession, cloud: Any, vault: str, tmp_path: Path
) -> None:
    _arm_key(azure, vault, "pulumi")
    (tmp_path / "Pulumi.yaml").write_text("name: sealed\nruntime: python\n")
    (tmp_path / "state").mkdir()
    environment = {**cloud.environment, "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}"}
    provider = f"azurekeyvault://{_url(vault).removeprefix('https://')}/keys/pulumi"

    def pulumi(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *words, "--non-interactive"], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    refused = pulumi("stack", "init", "dev", "--secrets-provider", provider)
    assert refused.returncode != 0 and "403" in refused.stderr, refused.stderr
    azure.assign(vault, USER, azure.object_id)
    init = pulumi("stack", "init", "dev", "--secrets-provider", provider)
    assert init.returncode == 0, init.stderr
    assert pulumi("config", "set", "--secret", "password", "hunter2").returncode == 0
    settings = (tmp_path / "Pulumi.dev.yaml").read_text()
    assert "hunter2" not in settings and "encryptedkey" in settings
    config = pulumi("config", "--show-secrets", "--json")
    assert json.loads(config.stdout)["sealed:password"]["value"] == "hunter2", config.stderr


def test_a_rotation_policy_is_not_read_as_a_version(azure: AzureSession, vault: str) -> None:
    with pytest.raises(HttpResponseError, match="does not emulate Key Vault's GET /keys/one/rotationpolicy") as caught:
        _client(azure, vault).get_key_rotation_policy("one")
    assert caught.value.status_code == 501
