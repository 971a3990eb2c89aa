"""Data planes behind firewalls and private endpoints: admitted callers, and the words of refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied
from localcloud.arm.private_link import client_address
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.networks import (
    DNS,
    NETWORK,
    REGION,
    endpoint_body,
    make_account,
    make_network,
    make_private_path,
    path,
    subnet,
)

from mlops.arm import Arm
from mlops.history import History

_CLOSED = {"publicNetworkAccess": "Disabled", "allowSharedKeyAccess": False}


def _blobs(azure: AzureSession, account: str) -> BlobServiceClient:
    """Return a client of the account with the right to read and write in it."""
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    name = account.rsplit("/", 1)[-1]
    return BlobServiceClient(f"https://{name}.blob.core.windows.net", credential=azure.credential, retry_total=0)


def _refused(client: BlobServiceClient) -> str:
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_containers())
    assert caught.value.status_code == 403
    return str(getattr(caught.value.error_code, "value", caught.value.error_code))  # type: ignore[attr-defined]


def test_a_closed_account_opens_with_endpoint_zone_and_link_and_closes_without_any(
    azure: AzureSession, group: str
) -> None:
    account = make_account(azure, group, **_CLOSED)
    client = _blobs(azure, account)
    assert _refused(client) == "AuthorizationFailure"
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    zone = "privatelink.blob.core.windows.net"
    ids = make_private_path(azure, group, f"{network}/subnets/endpoints", account, "blob", zone)
    assert list(client.list_containers()) == []
    azure.finish(azure.arm("DELETE", ids["link"], DNS))
    assert _refused(client) == "AuthorizationFailure", "without the link the name resolves to the public address"
    link = {"location": "global", "properties": {"virtualNetwork": {"id": network}}}
    azure.put(ids["link"], DNS, link)
    assert list(client.list_containers()) == []
    azure.finish(azure.arm("DELETE", ids["zone_group"], NETWORK))
    assert _refused(client) == "AuthorizationFailure", "without the zone group there is no record"


def test_an_endpoint_for_another_sub_resource_opens_nothing(azure: AzureSession, group: str) -> None:
    account = make_account(azure, group, **_CLOSED)
    client = _blobs(azure, account)
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    zone = "privatelink.dfs.core.windows.net"
    make_private_path(azure, group, f"{network}/subnets/endpoints", account, "dfs", zone)
    assert _refused(client) == "AuthorizationFailure"


@pytest.mark.nightly
def test_a_connection_that_waits_for_approval_opens_nothing_yet(azure: AzureSession, group: str) -> None:
    account = make_account(azure, group, **_CLOSED)
    client = _blobs(azure, account)
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    ids = make_private_path(
        azure, group, f"{network}/subnets/endpoints", make_account(azure, group), "blob",
        "privatelink.blob.core.windows.net",
    )  # fmt: skip
    body = endpoint_body(f"{network}/subnets/endpoints", account, "blob")
    body["properties"]["manualPrivateLinkServiceConnections"] = body["properties"].pop("privateLinkServiceConnections")
    endpoint = path(group, "privateEndpoints", unique("pe"))
    azure.put(endpoint, NETWORK, body)
    config = {"name": "zone", "properties": {"privateDnsZoneId": ids["zone"]}}
    group_body = {"properties": {"privateDnsZoneConfigs": [config]}}
    azure.put(f"{endpoint}/privateDnsZoneGroups/default", NETWORK, group_body)
    assert _refused(client) == "AuthorizationFailure"
    connection = azure.arm("GET", f"{account}/privateEndpointConnections", "2024-01-01").json()["value"][0]
    assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Pending"
    state = {"privateLinkServiceConnectionState": {"status": "Approved"}}
    azure.put(connection["id"], "2024-01-01", {"properties": state})
    assert list(client.list_containers()) == []


@pytest.mark.parametrize(("rule", "enters"), [(client_address(), True), ("203.0.113.0/28", True), ("8.8.8.8", False)])
def test_a_firewall_admits_the_addresses_of_its_rules(azure: AzureSession, group: str, rule: str, enters: bool) -> None:
    acls = {"defaultAction": "Deny", "ipRules": [{"value": rule, "action": "Allow"}]}
    client = _blobs(azure, make_account(azure, group, networkAcls=acls))
    if enters:
        assert list(client.list_containers()) == []
    else:
        assert _refused(client) == "AuthorizationFailure"


@pytest.mark.parametrize("rule", ["10.0.0.4", "192.168.0.0/16", "203.0.113.9/32", "not-an-address"])
def test_a_firewall_takes_public_addresses_only(azure: AzureSession, group: str, rule: str) -> None:
    body = {
        "location": REGION, "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
        "properties": {"networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": rule}]}},
    }  # fmt: skip
    answer = azure.arm("PUT", f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}", "2024-01-01", body)
    assert answer.status_code == 400 and rule in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"] == "InvalidValuesForRequestParameters"


def _vault(azure: AzureSession, group: str, **properties: Any) -> tuple[str, SecretClient]:
    name = unique("kv-")
    id_ = f"{group}/providers/Microsoft.KeyVault/vaults/{name}"
    body = {
        "location": REGION,
        "properties": {
            "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
            **properties,
        },
    }  # fmt: skip
    azure.put(id_, "2024-11-01", body)
    azure.assign(id_, "Key Vault Secrets Officer", azure.object_id)
    return id_, SecretClient(f"https://{name}.vault.azure.net", azure.credential, retry_total=0)


def _forbidden(client: SecretClient) -> str:
    with pytest.raises(HttpResponseError) as caught:
        client.set_secret("a", "b")
    assert caught.value.status_code == 403
    return str(caught.value.message)


def test_a_closed_vault_names_the_private_link_that_is_missing(azure: AzureSession, group: str) -> None:
    id_, client = _vault(azure, group, publicNetworkAccess="Disabled")
    assert "Public network access is disabled" in _forbidden(client)
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    zone = "privatelink.vaultcore.azure.net"
    make_private_path(azure, group, f"{network}/subnets/endpoints", id_, "vault", zone)
    assert client.set_secret("a", "b").value == "b"


def test_a_vaults_firewall_names_the_address_it_saw(azure: AzureSession, group: str) -> None:
    _, client = _vault(azure, group, networkAcls={"defaultAction": "Deny", "bypass": "None", "ipRules": []})
    message = _forbidden(client)
    assert "Client address is not authorized" in message and client_address() in message
    rules = [{"value": f"{client_address()}/32"}]
    _, client = _vault(azure, group, networkAcls={"defaultAction": "Deny", "bypass": "None", "ipRules": rules})
    assert client.set_secret("a", "b").value == "b"


def test_a_vault_that_is_closed_takes_no_address_of_its_firewall(azure: AzureSession, group: str) -> None:
    rules = [{"value": f"{client_address()}/32"}]
    acls = {"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": rules}
    _, client = _vault(azure, group, publicNetworkAccess="Disabled", networkAcls=acls)
    assert "Public network access is disabled" in _forbidden(client)


def test_a_firewalls_bypass_is_only_for_azures_own_services(azure: AzureSession, group: str) -> None:
    acls = {"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": []}
    _, vault = _vault(azure, group, networkAcls=acls)
    assert "caller is not a trusted service" in _forbidden(vault)
    assert _refused(_blobs(azure, make_account(azure, group, networkAcls=acls))) == "AuthorizationFailure"


def _registry(azure: AzureSession, group: str, tier: str, **properties: Any) -> requests.Response:
    id_ = f"{group}/providers/Microsoft.ContainerRegistry/registries/{unique('acr')}"
    body = {"location": REGION, "sku": {"name": tier}, "properties": properties}
    return azure.arm("PUT", id_, "2023-07-01", body)


def _challenged(host: str) -> tuple[int, str, str]:
    """Request a registry's challenge without sign-in; return status, code and message."""
    answer = requests.get(f"https://{host}/v2/", timeout=60)
    (error,) = answer.json()["errors"]
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
    return answer.status_code, error["code"], error["message"]


@pytest.mark.nightly
def test_a_closed_registry_answers_only_at_its_private_endpoint(azure: AzureSession, group: str) -> None:
    response = _registry(azure, group, "Premium", publicNetworkAccess="Disabled")
    azure.finish(response)
    registry = response.json()
    host = registry["properties"]["loginServer"]
    status, code, message = _challenged(host)
    assert (status, code) == (403, "DENIED")
    assert message.startswith(f"client with IP '{client_address()}' is not allowed access."), message
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    ids = make_private_path(
        azure, group, f"{network}/subnets/endpoints", registry["id"], "registry", "privatelink.azurecr.io"
    )
    assert _challenged(host)[:2] == (401, "UNAUTHORIZED")
    azure.finish(azure.arm("DELETE", ids["zone_group"], NETWORK))
    assert _challenged(host)[:2] == (403, "DENIED")


@pytest.mark.parametrize(("rule", "status"), [(f"{client_address()}/32", 401), ("8.8.8.8", 403)])
def test_a_registrys_firewall_admits_the_addresses_of_its_rules(
    azure: AzureSession, group: str, rule: str, status: int
) -> None:
    rules = {"defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": rule}]}
    response = _registry(azure, group, "Premium", networkRuleSet=rules)
    azure.finish(response)
    assert _challenged(response.json()["properties"]["loginServer"])[0] == status


def test_images_are_not_emulated_behind_the_challenge(azure: AzureSession, group: str) -> None:
    response = _registry(azure, group, "Basic")
    azure.finish(response)
    answer = requests.get(f"https://{response.json()['properties']['loginServer']}/v2/_catalog", timeout=60)
    assert answer.status_code == 501 and "GET /v2/_catalog" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"publicNetworkAccess": "Disabled"}, "DisablingPublicNetworkAccessNotSupported"),
        ({"networkRuleSet": {"defaultAction": "Deny"}}, "NetworkRuleNotSupported"),
    ],
)
def test_a_registry_below_premium_has_no_firewall(
    azure: AzureSession, group: str, properties: dict[str, Any], code: str
) -> None:
    status, error_code, message = error_of(_registry(azure, group, "Standard", **properties))
    assert (status, error_code) == (400, code) and "is not supported for the SKU Standard" in message


@pytest.mark.nightly
def test_a_closed_databricks_workspace_is_a_private_link_error_to_its_client(azure: AzureSession, group: str) -> None:
    id_ = f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}"
    body = {
        "location": REGION, "sku": {"name": "premium"},
        "properties": {
            "computeMode": "Hybrid", "managedResourceGroupId": f"{group}-managed", "publicNetworkAccess": "Disabled",
            "requiredNsgRules": "NoAzureDatabricksRules",
        },
    }  # fmt: skip
    content = azure.put(id_, "2026-01-01", body)
    host = f"https://{content['properties']['workspaceUrl']}"
    client = WorkspaceClient(host=host, auth_type="azure-client-secret", azure_workspace_resource_id=id_)
    with pytest.raises(PermissionDenied, match="Azure Private Link enabled and is not accessible"):
        client.current_user.me()
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    zone = "privatelink.azuredatabricks.net"
    make_private_path(azure, group, f"{network}/subnets/endpoints", id_, "databricks_ui_api", zone)
    assert client.current_user.me().user_name


def test_without_the_role_the_network_does_not_help(azure: AzureSession, group: str) -> None:
    account = make_account(azure, group)
    client = _blobs(azure, account)
    client.create_container("data")
    client.get_blob_client("data", "a").upload_blob(b"1")
    scope = f"{account}/providers/Microsoft.Authorization/roleAssignments"
    mine = azure.arm("GET", scope, "2022-04-01", None, **{"$filter": "atScope()"}).json()["value"]
    for assignment in mine:
        if assignment["properties"]["scope"].lower() == account.lower():
            assert azure.arm("DELETE", assignment["id"], "2022-04-01").status_code == 200
    with pytest.raises(HttpResponseError) as completed:
        client.get_blob_client("data", "a").download_blob().readall()
    assert completed.value.status_code == 403
    assert completed.value.error_code == "AuthorizationPermissionMismatch"  # type: ignore[attr-defined]


def test_a_shared_key_is_refused_where_it_is_off_though_it_can_be_listed(azure: AzureSession, group: str) -> None:
    account = make_account(azure, group, allowSharedKeyAccess=False)
    key = azure.arm("POST", f"{account}/listKeys", "2024-01-01").json()["keys"][0]["value"]
    name = account.rsplit("/", 1)[-1]
    client = BlobServiceClient(f"https://{name}.blob.core.windows.net", credential=key, retry_total=0)
    assert _refused(client) == "KeyBasedAuthenticationNotPermitted"


def _batch_endpoint(azure: AzureSession, workspace: str) -> str:
    """Return the scoring address of a workspace's batch endpoint `be`, which is made if it is missing."""
    body = {"location": REGION, "properties": {"authMode": "AADToken"}}
    endpoint = azure.put(f"{workspace}/batchEndpoints/be-{workspace[-10:]}", "2025-12-01", body)
    return str(endpoint["properties"]["scoringUri"])


def _clients(azure: AzureSession, workspace: str) -> Any:
    """Return the part of a stack's clients that mlops' run history needs."""
    outputs = SimpleNamespace(location=REGION)
    return SimpleNamespace(
        credential=azure.credential, arm=Arm(azure.credential), workspace_id=workspace, outputs=outputs
    )


@pytest.mark.nightly
def test_a_closed_azure_ml_workspace_answers_only_at_its_private_endpoint(azure: AzureSession, group: str) -> None:
    vault, _ = _vault(azure, group)
    id_ = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{unique('aml-')}"
    properties = {"storageAccount": make_account(azure, group), "keyVault": vault, "publicNetworkAccess": "Disabled"}
    body = {"location": REGION, "identity": {"type": "SystemAssigned"}, "properties": properties}
    azure.put(id_, "2025-12-01", body)
    token = azure.credential.get_token("https://ml.azure.com/.default").token
    region = f"{REGION}.api.azureml.ms"

    def search(host: str = region) -> requests.Response:
        url = f"https://{host}/mlflow/v1.0{id_}/api/2.0/mlflow/experiments/search"
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(url, json={"max_results": 1}, headers=headers, timeout=60)

    def addresses() -> tuple[str, str]:
        properties = azure.arm("GET", id_, "2025-12-01").json()["properties"]
        return properties["discoveryUrl"], properties["mlFlowTrackingUri"]

    def invoke() -> tuple[int, str, str]:
        """Send a body that the endpoint refuses once the caller is through."""
        headers = {"Authorization": f"Bearer {token}"}
        return error_of(requests.post(_batch_endpoint(azure, id_), data="{", headers=headers, timeout=60))

    closed = search()
    assert closed.status_code == 403 and "private link configuration" in closed.text, closed.text
    number = azure.arm("GET", id_, "2025-12-01").json()["properties"]["workspaceId"]
    own = f"{number}.workspace.{region}"
    assert search(own).status_code == 403, "there is no way to it yet"
    assert addresses() == (f"https://{region}/discovery", f"azureml://{region}/mlflow/v1.0{id_}")
    assert azure.arm("GET", id_, "2025-12-01").ok, "the control plane stays where it is"
    status, code, message = invoke()
    assert (status, code) == (403, "UserError") and "private link configuration" in message
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    zone = "privatelink.api.azureml.ms"
    ids = make_private_path(azure, group, f"{network}/subnets/endpoints", id_, "amlworkspace", zone)
    assert addresses() == (f"https://{own}/discovery", f"azureml://{own}/mlflow/v1.0{id_}")
    assert search(own).status_code == 403, "the workspace's names stand in two zones"
    notebooks = path(group, "privateDnsZones", "privatelink.notebooks.azure.net")
    azure.put(notebooks, DNS, {"location": "global"})
    link = {"location": "global", "properties": {"virtualNetwork": {"id": network}}}
    azure.put(f"{notebooks}/virtualNetworkLinks/link", DNS, link)
    configs = [
        {"name": f"zone-{index}", "properties": {"privateDnsZoneId": zone_id}}
        for index, zone_id in enumerate((ids["zone"], notebooks))
    ]
    azure.put(ids["zone_group"], NETWORK, {"properties": {"privateDnsZoneConfigs": configs}})
    assert search(own).status_code == 200
    public = search()
    assert public.status_code == 403 and "private link configuration" in public.text, "the region's host is public"
    assert requests.get(f"https://{own}/discovery", timeout=60).json()["api"] == f"https://{own}"
    with pytest.raises(HttpResponseError) as caught:
        History(_clients(azure, id_)).run("no-such-run")
    assert caught.value.status_code == 404, "the run history that mlops reads is at the workspace's host"
    assert invoke()[::2] != (status, message), "its endpoints are as open as the workspace"
