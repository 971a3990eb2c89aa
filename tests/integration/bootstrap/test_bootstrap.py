"""The bootstrap on localcloud with the real engine: dry run, once, twice, interrupted; and its roles."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm
from azure.storage.blob import BlobServiceClient, ContainerClient
from localcloud.arm.globally_unique_names import PATH
from localcloud.arm.private_link import client_address
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID
from localcloud.testing.azure_session import ROLES, AzureSession, error_of
from localcloud.testing.principals import session_as

ROOT = Path(__file__).resolve().parents[3]
_STATE = ".pulumi/stacks/dataopsml-bootstrap/main.json"


@dataclass(frozen=True)
class Checkout:
    """A copy of bootstrap/ with settings of its own: the bootstrap's files must not land in the repository."""

    folder: Path
    base: str
    environment: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bootstrap", *words], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip

    @property
    def settings(self) -> Path:
        return self.folder / "bootstrap" / "Pulumi.main.yaml"


def _checkout(folder: Path, environment: dict[str, str], **changes: Any) -> Checkout:
    for package in ("bootstrap", "contract", "declarations"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", ".state"))
    (folder / ".venv").symlink_to(sys.prefix)
    checkout = Checkout(folder, f"b{uuid.uuid4().hex[:8]}", {**os.environ, **environment, "COLUMNS": "200"})
    config = yaml.safe_load(checkout.settings.read_text())["config"]
    prefix = "dataopsml-bootstrap:"
    config |= {f"{prefix}base_name": checkout.base, f"{prefix}operator_type": "ServicePrincipal", **changes}
    checkout.settings.write_text(yaml.safe_dump({"config": config}, sort_keys=False))
    return checkout


def _account(checkout: Checkout) -> str:
    return f"st{checkout.base}state"


@pytest.fixture(scope="module")
def checkout(azure: AzureSession, cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Behind firewalls that let this machine in."""
    addresses = {"dataopsml-bootstrap:allowed_ips": [client_address()]}
    return _checkout(tmp_path_factory.mktemp("bootstrap"), cloud.environment, **addresses)


@pytest.fixture(scope="module")
def outputs(checkout: Checkout, azure: AzureSession) -> dict[str, Any]:
    """Return the outputs after a dry run, which leaves nothing behind, and a first run."""
    before = checkout.settings.read_bytes()
    dry = checkout.run("up", "--dry-run")
    assert dry.returncode == 0, dry.stderr + dry.stdout
    assert "to create" in dry.stdout
    assert f"Resource providers of subscription {azure.subscription_id}, to register: none is missing." in dry.stdout
    assert checkout.settings.read_bytes() == before, "a dry run leaves no trace in the settings"
    assert not (checkout.folder / "bootstrap" / ".state").exists()
    group = f"{azure.subscription}/resourceGroups/rg-{checkout.base}-bootstrap"
    assert azure.arm("GET", group, "2024-03-01").status_code == 404, "a dry run makes nothing"
    first = checkout.run("up")
    assert first.returncode == 0, first.stderr + first.stdout
    blob = BlobServiceClient(f"https://{_account(checkout)}.blob.core.windows.net", credential=azure.credential)
    state = json.loads(blob.get_blob_client("state-bootstrap", _STATE).download_blob().readall())
    resources = state["checkpoint"]["latest"]["resources"]
    outputs: dict[str, Any] = next(
        resource["outputs"] for resource in resources if resource["type"] == "pulumi:pulumi:Stack"
    )
    return outputs


def test_the_state_moves_encrypted_by_the_vaults_key_and_leaves_no_local_copy(
    checkout: Checkout, outputs: dict[str, Any]
) -> None:
    assert not (checkout.folder / "bootstrap" / ".state").exists()
    settings = yaml.safe_load(checkout.settings.read_text())
    assert settings["secretsprovider"] == outputs["own_secrets_provider"]
    assert "encryptionsalt" not in settings and settings["encryptedkey"]


def test_states_and_keys_are_closed_to_other_addresses(
    azure: AzureSession, checkout: Checkout, outputs: dict[str, Any]
) -> None:
    group = f"{azure.subscription}/resourceGroups/rg-{checkout.base}-bootstrap/providers"
    account = azure.arm("GET", f"{group}/Microsoft.Storage/storageAccounts/{_account(checkout)}", "2024-01-01").json()
    vault = azure.arm("GET", f"{group}/Microsoft.KeyVault/vaults/kv-{checkout.base}-state", "2023-07-01").json()
    for acls in (account["properties"]["networkAcls"], vault["properties"]["networkAcls"]):
        assert acls["defaultAction"] == "Deny"
        assert [rule["value"].removesuffix("/32") for rule in acls["ipRules"]] == [client_address()]


@pytest.mark.nightly
def test_a_second_run_changes_nothing(checkout: Checkout, outputs: dict[str, Any]) -> None:
    before = checkout.settings.read_bytes()
    again = checkout.run("up")
    assert again.returncode == 0, again.stderr + again.stdout
    assert "unchanged" in again.stdout and "created" not in again.stdout, again.stdout
    assert checkout.settings.read_bytes() == before


def test_stacks_are_made_once_in_their_containers_by_their_keys(
    checkout: Checkout, outputs: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    creation = checkout.run("stacks", "--project", str(tmp_path))
    assert creation.returncode == 0, creation.stderr + creation.stdout
    for name, environment in outputs["environments"].items():
        settings = yaml.safe_load((tmp_path / f"Pulumi.{name}.yaml").read_text())
        assert settings["secretsprovider"] == environment["secrets_provider"]
    again = checkout.run("stacks", "--project", str(tmp_path))
    assert again.stdout.count("is there already") == len(outputs["environments"]), again.stdout


@pytest.fixture
def deployer(cloud: Any, outputs: dict[str, Any]) -> AzureSession:
    """Signed in as the identity that deploys to dev."""
    return session_as(cloud, outputs["environments"]["dev"]["deployer_object_id"])


@pytest.fixture
def stack_group(deployer: AzureSession, checkout: Checkout) -> Iterator[str]:
    """Create a resource group as the deployer, as a stack does."""
    id_ = f"{deployer.subscription}/resourceGroups/rg-{checkout.base}-dev"
    deployer.put(id_, "2024-03-01", {"location": "westeurope"})
    yield id_
    deployer.finish(deployer.arm("DELETE", id_, "2024-03-01"))


def _assign(session: AzureSession, scope: str, role: str, principal: str) -> requests.Response:
    definition = f"{session.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    properties = {"principalId": principal, "roleDefinitionId": definition, "principalType": "ServicePrincipal"}
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    return session.arm("PUT", path, "2022-04-01", {"properties": properties})


def test_a_deployer_creates_a_stack_and_assigns_its_roles_without_being_an_owner(
    deployer: AzureSession, stack_group: str, outputs: dict[str, Any]
) -> None:
    identity = f"{stack_group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-pipeline"
    principal = deployer.put(identity, "2023-01-31", {"location": "westeurope"})["properties"]["principalId"]
    assert _assign(deployer, stack_group, ROLES["Storage Blob Data Contributor"], principal).status_code == 201
    for role in (ROLES["Owner"], ROLES["Role Based Access Control Administrator"]):
        for principal_id in (principal, deployer.object_id):
            assert error_of(_assign(deployer, deployer.subscription, role, principal_id))[:2] == (
                403,
                "AuthorizationFailed",
            )
    lock = f"{stack_group}/providers/Microsoft.Authorization/locks/keep"
    deployer.put(lock, "2020-05-01", {"properties": {"level": "CanNotDelete"}})
    assert deployer.arm("DELETE", lock, "2020-05-01").status_code == 200


def test_a_deployer_reads_and_decrypts_only_its_own_state(
    deployer: AzureSession, checkout: Checkout, outputs: dict[str, Any]
) -> None:
    credential: Any = deployer.credential
    url = f"https://{_account(checkout)}.blob.core.windows.net"
    own = ContainerClient(url, "state-dev", credential=credential, retry_total=0)
    own.upload_blob(".pulumi/meta.yaml", b"version: 1", overwrite=True)
    for other in ("state-prod", "state-bootstrap"):
        with pytest.raises(HttpResponseError) as refused:
            list(ContainerClient(url, other, credential=credential, retry_total=0).list_blobs())
        assert refused.value.status_code == 403
    keys = f"https://kv-{checkout.base}-state.vault.azure.net/keys"

    def sealed(environment: str) -> None:
        token = credential.get_token("https://vault.azure.net/.default").token
        answer = requests.post(
            f"{keys}/pulumi-{environment}/encrypt", params={"api-version": "7.4"},
            json={"alg": "RSA-OAEP-256", "value": "c3RhdGU"}, headers={"Authorization": f"Bearer {token}"}, timeout=30,
        )  # fmt: skip
        if answer.status_code != 200:
            raise PermissionError(answer.text)
        crypto = CryptographyClient(answer.json()["kid"], credential)
        value = answer.json()["value"]
        opened = crypto.decrypt(EncryptionAlgorithm.rsa_oaep_256, _raw(value)).plaintext
        assert opened == b"state"

    sealed("dev")
    with pytest.raises(PermissionError, match="ForbiddenByRbac"):
        sealed("prod")


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_previewing_identity_reads_states_and_writes_none(
    cloud: Any, azure: AzureSession, checkout: Checkout, outputs: dict[str, Any]
) -> None:
    identity = f"rg-{checkout.base}-bootstrap/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    path = f"{azure.subscription}/resourceGroups/{identity}/id-{checkout.base}-preview"
    preview = session_as(cloud, azure.arm("GET", path, "2023-01-31").json()["properties"]["principalId"])
    credential: Any = preview.credential
    url = f"https://{_account(checkout)}.blob.core.windows.net"
    container = ContainerClient(url, "state-prod", credential=credential, retry_total=0)
    list(container.list_blobs())
    with pytest.raises(HttpResponseError) as refused:
        container.upload_blob("mine", b"1")
    assert refused.value.status_code == 403
    group = f"{azure.subscription}/resourceGroups/rg-mine"
    written = preview.arm("PUT", group, "2024-03-01", {"location": "westeurope"})
    assert error_of(written)[:2] == (403, "AuthorizationFailed")


def test_states_are_locked(azure: AzureSession, checkout: Checkout, outputs: dict[str, Any]) -> None:
    group = f"{azure.subscription}/resourceGroups/rg-{checkout.base}-bootstrap"
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{_account(checkout)}"
    container = f"{account}/blobServices/default/containers/state-prod"
    for path, version in ((container, "2024-01-01"), (account, "2024-01-01"), (group, "2024-03-01")):
        assert error_of(azure.arm("DELETE", path, version))[:2] == (409, "ScopeLocked")


@pytest.mark.nightly
def test_manually_made_connections_sign_in_once_the_settings_have_their_subjects(
    azure: AzureSession, checkout: Checkout, outputs: dict[str, Any]
) -> None:
    connection = "DataOpsML ARM Connection - prod"
    refused = checkout.run("up")
    assert "save them as drafts" in refused.stdout
    client = outputs["environments"]["prod"]["deployer_client_id"]
    assert f"{connection}: client {client}, subscription {SUBSCRIPTION_ID}" in refused.stdout

    settings = yaml.safe_load(checkout.settings.read_text())
    presented = {
        "issuer": f"https://login.microsoftonline.com/{TENANT_ID}/v2.0",
        "subject": "/eid1/c/pub/t/fh88XaBkDk-dHCwbepDA3g/a/A/sc/O/1",
    }
    settings["config"]["dataopsml-bootstrap:azure_devops"]["connections"] = {connection: presented}
    checkout.settings.write_text(yaml.safe_dump(settings, sort_keys=False))
    again = checkout.run("up")

    assert again.returncode == 0, again.stderr + again.stdout
    assert f"{connection}: client" not in again.stdout
    assert "DataOpsML ARM Connection - dev: client" in again.stdout, "the others are still missing"
    identities = f"rg-{checkout.base}-bootstrap/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    path = f"{azure.subscription}/resourceGroups/{identities}/id-{checkout.base}"
    for identity, expected in (("deploy-prod", [presented]), ("deploy-dev", [])):
        credentials = azure.arm("GET", f"{path}-{identity}/federatedIdentityCredentials", "2023-01-31").json()["value"]
        trusts = [{key: credential["properties"][key] for key in ("issuer", "subject")} for credential in credentials]
        assert trusts == expected, "a token of another connection stands for nobody"


@pytest.mark.nightly
def test_an_interrupted_bootstrap_continues(azure: AzureSession, cloud: Any, tmp_path: Path) -> None:
    """Everything is made, and the machine stops before the state is moved."""
    checkout = _checkout(tmp_path, cloud.environment)
    state = checkout.folder / "bootstrap" / ".state"
    state.mkdir()
    (state / "passphrase").write_text("stopped in the middle")
    environment = {
        **checkout.environment, "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(state / "passphrase"),
    }  # fmt: skip
    for words in (("stack", "init", "main"), ("up", "--yes", "--skip-preview")):
        ran = subprocess.run(
            ["pulumi", *words, "--non-interactive"], cwd=checkout.folder / "bootstrap", env=environment,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr + ran.stdout
    again = checkout.run("up")
    assert again.returncode == 0, again.stderr + again.stdout
    assert "unchanged" in again.stdout and "Moving the state" in again.stdout
    assert not state.exists()
    url = f"https://{_account(checkout)}.blob.core.windows.net"
    assert ContainerClient(url, "state-bootstrap", credential=azure.credential).get_blob_client(_STATE).exists()


@pytest.mark.nightly
def test_a_taken_base_name_is_reported_before_the_state_is_moved(
    azure: AzureSession, cloud: Any, tmp_path: Path
) -> None:
    checkout = _checkout(tmp_path, cloud.environment)
    token = azure.credential.get_token("https://management.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{cloud.settings.gateway_url}{PATH}"
    body = {"type": "Microsoft.Storage/storageAccounts", "name": _account(checkout)}
    assert requests.post(url, json=body, headers=headers, timeout=30).status_code == 200
    ran = checkout.run("up")
    assert ran.returncode == 1
    assert "StorageAccountAlreadyTaken" in ran.stdout + ran.stderr
    assert "it goes on from here" in ran.stderr
    assert (checkout.folder / "bootstrap" / ".state").exists(), "what was made is remembered"
    requests.delete(url, headers=headers, timeout=30)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataopsml-bootstrap:base_name": "Not A Name"}, "'Not A Name'"),
        ({"dataopsml-bootstrap:colour": "red"}, "colour: there is no such setting"),
    ],
)
def test_invalid_settings_stop_the_bootstrap_before_the_engine_starts(
    cloud: Any, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    ran = _checkout(tmp_path, cloud.environment, **changes).run("up")
    assert ran.returncode == 1 and message in ran.stderr
    assert not (tmp_path / "bootstrap" / ".state").exists()


def test_a_closed_container_is_not_taken_for_a_missing_one(azure: AzureSession, cloud: Any, tmp_path: Path) -> None:
    checkout = _checkout(tmp_path, cloud.environment)
    group = f"{azure.subscription}/resourceGroups/rg-{checkout.base}"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{_account(checkout)}"
    azure.put(account, "2024-01-01", {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    with pytest.raises((ResourceNotFoundError, HttpResponseError)):
        ContainerClient(
            f"https://{_account(checkout)}.blob.core.windows.net", "state-bootstrap", credential=azure.credential
        ).get_container_properties()
    ran = checkout.run("up")
    assert ran.returncode == 1 and "you may not read state-bootstrap" in ran.stderr, ran.stderr + ran.stdout
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))
