"""Terraform's azurerm provider 5.2: its requests, as it sent them, for apply, plan, a change of tags and destroy."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from localcloud.core.json import Json
from localcloud.coverage_clients import TERRAFORM_AZURERM
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.principals import session_as
from localcloud.testing.recordings import Player, RecordedCommand, read

RECORDING = Path(__file__).parent / "terraform_azurerm.json"
COMMANDS = read(RECORDING)
LOG_ANALYTICS = "Microsoft.OperationalInsights/workspaces"


@pytest.fixture(scope="module")
def player(azure: AzureSession) -> Player:
    return Player(azure, {"group": unique("rg-"), "name": unique("x"), "uuid": str(uuid.uuid4())})


@pytest.fixture(scope="module")
def answers(player: Player) -> Sequence[tuple[RecordedCommand, list[Json]]]:
    """Play everything once in order: resources are made, read, changed and deleted."""
    return [(command, player.play(command)) for command in COMMANDS]


def test_the_coverage_page_lists_exactly_the_replayed_commands() -> None:
    assert sorted(TERRAFORM_AZURERM) == sorted({command.words for command in COMMANDS})


def test_apply_plan_change_and_destroy_read_back_their_writes(
    answers: Sequence[tuple[RecordedCommand, list[Json]]],
) -> None:
    """A plan is clean when the provider reads exactly its own writes."""
    written: dict[str, Json] = {}
    differences: list[str] = []
    compared = 0
    for command, contents in answers:
        for request, content in zip(command.requests, contents, strict=True):
            path = request.url.split("?")[0]
            if request.method in {"PUT", "PATCH"}:
                written[path] = written.get(path, {}) | request.body
            elif request.method == "GET" and request.status == [200] and path in written:
                compared += 1
                differences += [f"{command.command}: {path}: {text}" for text in _differences(written[path], content)]
    assert compared >= 25
    (workspace,) = [contents[-1] for command, contents in answers if command.words.endswith("learning_workspace")]
    assert "friendlyName" not in workspace["properties"], "the provider would want to remove a name that nobody gave"
    assert differences == []


_NOT_SHOWN = {".properties.createMode", ".identity"}
"""Values that the provider writes and does not compare: how to create a vault, and an identity of type None."""


def _differences(expected: Any, actual: Any, at: str = "") -> Iterator[str]:
    """Yield the values that the provider would not find again, by their path."""
    if at in _NOT_SHOWN or expected in (None, {}, []):
        return
    if isinstance(expected, dict):
        for key, value in expected.items():
            yield from _differences(value, actual.get(key) if isinstance(actual, dict) else None, f"{at}.{key}")
    elif isinstance(expected, list):
        if len(expected) != len(actual or []):
            yield f"{at} is {actual}, not {expected}"
    elif isinstance(expected, str) and "{" in expected:
        return  # names and ids of this run
    elif _comparable(expected) != _comparable(actual):
        yield f"{at} is {actual!r}, not {expected!r}"


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return value.lower()
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def test_a_vault_without_contacts_answers_404_to_permitted_callers(azure: AzureSession, cloud: Any, group: str) -> None:
    name = unique("kv")
    properties = {"tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "accessPolicies": []}
    azure.put(
        f"{group}/providers/Microsoft.KeyVault/vaults/{name}", "2026-02-01",
        {"location": "westeurope", "properties": properties | {"enableRbacAuthorization": True}},
    )  # fmt: skip
    identity = azure.put(
        f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}", "2023-01-31",
        {"location": "westeurope"},
    )  # fmt: skip
    session = session_as(cloud, identity["properties"]["principalId"])

    def contacts() -> requests.Response:
        token = session.credential.get_token("https://vault.azure.net/.default").token
        return requests.get(
            f"https://{name}.vault.azure.net/certificates/contacts", params={"api-version": "7.4"},
            headers={"Authorization": f"Bearer {token}"}, timeout=30,
        )  # fmt: skip

    refused = error_of(contacts())
    assert refused[:2] == (403, "Forbidden") and "certificatecontacts/write" in refused[2]
    azure.assign(f"{group}/providers/Microsoft.KeyVault/vaults/{name}", "Key Vault Administrator", session.object_id)
    assert error_of(contacts())[:2] == (404, "ContactsNotFound")


def test_keys_are_listed_behind_the_vault_s_address_with_its_slash(azure: AzureSession, group: str) -> None:
    """services/keyvault/key_vault_key_resource.go: the client puts /keys/NAME behind https://VAULT.vault.azure.net/."""
    name = unique("kv")
    permissions = {"keys": ["create", "get"], "secrets": [], "certificates": []}
    policy = {"tenantId": azure.tenant_id, "objectId": azure.object_id, "permissions": permissions}
    properties = {"tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "accessPolicies": [policy]}
    azure.put(
        f"{group}/providers/Microsoft.KeyVault/vaults/{name}", "2026-02-01",
        {"location": "westeurope", "properties": properties},
    )  # fmt: skip

    def send(method: str, path: str, body: Json | None = None) -> requests.Response:
        token = azure.credential.get_token("https://vault.azure.net/.default").token
        return requests.request(
            method, f"https://{name}.vault.azure.net{path}", params={"api-version": "7.4"}, json=body,
            headers={"Authorization": f"Bearer {token}"}, timeout=30,
        )  # fmt: skip

    assert error_of(send("GET", "//keys/signer/"))[:2] == (404, "KeyNotFound")
    created = send("POST", "//keys/signer/create", {"kty": "RSA", "key_size": 2048, "key_ops": ["sign", "verify"]})
    assert created.status_code == 200, created.text
    assert send("GET", "//keys/signer/").json()["key"] == created.json()["key"]
    assert error_of(send("GET", "///keys/signer/"))[0] == 501, "no client sends more than one"


def test_a_log_analytics_workspace_is_recovered_unless_deleted_with_force(azure: AzureSession, group: str) -> None:
    path, body = f"{group}/providers/{LOG_ANALYTICS}/{unique('log-')}", {"location": "westeurope"}
    deleted = f"{group}/providers/Microsoft.OperationalInsights/deletedWorkspaces"

    def delete(**query: str) -> list[str]:
        azure.finish(azure.arm("DELETE", path, "2020-08-01", None, **query))
        return [workspace["id"] for workspace in azure.arm("GET", deleted, "2025-07-01").json()["value"]]

    first = azure.put(path, "2025-07-01", body)["properties"]["customerId"]
    assert delete() == [path]
    assert azure.put(path, "2025-07-01", body)["properties"]["customerId"] == first, "recovered"
    assert azure.arm("GET", deleted, "2025-07-01").json()["value"] == []
    assert delete(force="true") == []
    assert azure.put(path, "2025-07-01", body)["properties"]["customerId"] != first


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"CurrentBillingFeatures": ["Everything"]}, "CurrentBillingFeatures"),
        ({"DataVolumeCap": {"Limit": 1}}, "DataVolumeCap"),
    ],
)
def test_billing_features_are_checked(azure: AzureSession, group: str, body: Json, message: str) -> None:
    component = f"{group}/providers/Microsoft.Insights/components/{unique('appi-')}"
    azure.put(component, "2020-02-02", {"location": "westeurope", "kind": "web"})
    status, code, text = error_of(azure.arm("PUT", f"{component}/currentbillingfeatures", "2015-05-01", body))
    assert (status, code) == (400, "InvalidInput") and message in text
    other = azure.arm("GET", f"{component}none/currentbillingfeatures", "2015-05-01")
    assert error_of(other)[:2] == (404, "ResourceNotFound")


def test_metadata_of_2022_09_01_is_one_cloud(azure: AzureSession) -> None:
    address = "https://management.azure.com/metadata/endpoints"
    cloud = requests.get(address, params={"api-version": "2022-09-01"}, timeout=30).json()
    assert (cloud["name"], cloud["suffixes"]["azureFrontDoorEndpointSuffix"]) == ("AzureCloud", "azurefd.net")
    clouds = requests.get(address, params={"api-version": "2020-09-01"}, timeout=30).json()
    assert [entry["name"] for entry in clouds] == ["AzureCloud"]


def test_replications_are_of_premium_registries(azure: AzureSession, group: str) -> None:
    registry = f"{group}/providers/Microsoft.ContainerRegistry/registries/{unique('acr')}"
    azure.put(registry, "2025-11-01", {"location": "westeurope", "sku": {"name": "Standard"}})
    assert azure.arm("GET", f"{registry}/replications", "2025-11-01").json() == {"value": []}
    body = {"location": "northeurope"}
    refused = azure.arm("PUT", f"{registry}/replications/northeurope", "2025-11-01", body)
    assert error_of(refused)[:2] == (400, "ReplicationNotSupported")
    azure.put(registry, "2025-11-01", {"location": "westeurope", "sku": {"name": "Premium"}})
    azure.put(f"{registry}/replications/northeurope", "2025-11-01", body)
    names = [entry["name"] for entry in azure.arm("GET", f"{registry}/replications", "2025-11-01").json()["value"]]
    assert sorted(names) == ["northeurope", "westeurope"]
    own = azure.arm("DELETE", f"{registry}/replications/westeurope", "2025-11-01")
    assert error_of(own)[:2] == (409, "Conflict")


def test_the_file_service_has_settings_where_the_account_has_files(azure: AzureSession, group: str) -> None:
    def account(kind: str, sku: str) -> str:
        id_ = f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}"
        azure.put(
            id_, "2024-01-01",
            {"location": "westeurope", "kind": kind, "sku": {"name": sku}, "properties": {"accessTier": "Hot"}},
        )  # fmt: skip
        return f"{id_}/fileServices/default"

    files = account("StorageV2", "Standard_LRS")
    policy = {"enabled": True, "days": 30}
    body: Json = {"properties": {"shareDeleteRetentionPolicy": policy}}
    assert azure.arm("PUT", files, "2024-01-01", body).status_code == 200
    service = azure.arm("GET", files, "2024-01-01").json()["properties"]
    assert (service["shareDeleteRetentionPolicy"], service["cors"]) == (policy, {"corsRules": []})
    smb: Json = {"authenticationMethods": "", "channelEncryption": "", "versions": "SMB3.1.1"}
    body = {"properties": {"cors": {}, "protocolSettings": {"smb": smb}, "shareDeleteRetentionPolicy": policy}}
    assert azure.arm("PUT", files, "2025-08-01", body).status_code == 200
    service = azure.arm("GET", files, "2025-08-01").json()["properties"]
    assert service["protocolSettings"] == {"smb": {"versions": "SMB3.1.1"}}, "an empty text stands for Azure's default"
    assert service["cors"] == {"corsRules": []}
    body = {"properties": {"protocolSettings": {"smb": {"multichannel": {"enabled": False}}}}}
    premium = azure.arm("PUT", files, "2025-08-01", body)
    assert error_of(premium)[:2] == (400, "FeatureNotSupportedForAccount") and "multichannel" in premium.text
    wrong = azure.arm("PUT", files, "2024-01-01", {"properties": {"shareDeleteRetentionPolicy": policy | {"days": 0}}})
    assert error_of(wrong)[:2] == (400, "InvalidValuesForRequestProperties")
    none = azure.arm("GET", account("BlobStorage", "Standard_LRS"), "2024-01-01")
    assert error_of(none)[:2] == (400, "FeatureNotSupportedForAccount")


def test_built_in_roles_are_listed_at_the_tenant_s_scope_for_anyone(
    azure: AzureSession, cloud: Any, group: str
) -> None:
    identity = azure.put(
        f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}", "2023-01-31",
        {"location": "westeurope"},
    )  # fmt: skip
    session = session_as(cloud, identity["properties"]["principalId"])
    path = "/providers/Microsoft.Authorization/roleDefinitions"
    roles = session.arm("GET", path, "2022-04-01", None, **dict([("$filter", "roleName eq 'Reader'")])).json()["value"]
    assert [role["id"] for role in roles] == [f"{path}/acdd72a7-3385-48ef-bd42-f606fba81ae7"]
    assert session.arm("GET", roles[0]["id"], "2022-04-01").json()["properties"]["roleName"] == "Reader"
