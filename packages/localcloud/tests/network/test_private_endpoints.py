"""Private endpoints, their DNS and their connections, by the vendor's clients; and the service's refusals."""

from __future__ import annotations

import pytest
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.storage import StorageManagementClient
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

ZONE = "privatelink.blob.core.windows.net"


def test_an_endpoint_gets_an_address_a_record_and_an_approved_connection(azure: AzureSession, group: str) -> None:
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    account = make_account(azure, group)
    ids = make_private_path(azure, group, f"{network}/subnets/endpoints", account, "blob", ZONE)
    name = group.rsplit("/", 1)[-1]
    client = NetworkManagementClient(azure.credential, azure.subscription_id)
    endpoint = client.private_endpoints.get(name, ids["endpoint"].rsplit("/", 1)[-1])
    assert endpoint.private_link_service_connections is not None
    state = endpoint.private_link_service_connections[0].private_link_service_connection_state
    assert state is not None and state.status == "Approved"
    records = PrivateDnsManagementClient(azure.credential, azure.subscription_id).record_sets.list(name, ZONE)
    addresses = {record.fqdn: record.a_records[0].ipv4_address for record in records if record.a_records}
    short = account.rsplit("/", 1)[-1]
    assert addresses == {f"{short}.{ZONE}.": "10.20.1.4"}, "the first four addresses of a subnet are Azure's"
    storage = StorageManagementClient(azure.credential, azure.subscription_id)
    connections = list(storage.private_endpoint_connections.list(name, short))
    assert [connection.private_endpoint.id for connection in connections if connection.private_endpoint] == [
        ids["endpoint"]
    ]
    kinds = [link.group_id for link in storage.private_link_resources.list_by_storage_account(name, short).value or []]
    assert {"blob", "dfs"} <= set(kinds)


def test_a_deleted_endpoint_deletes_its_connection_records_and_interface(azure: AzureSession, group: str) -> None:
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    account = make_account(azure, group)
    ids = make_private_path(azure, group, f"{network}/subnets/endpoints", account, "blob", ZONE)
    nic = azure.arm("GET", ids["endpoint"], NETWORK).json()["properties"]["networkInterfaces"][0]["id"]
    assert error_of(azure.arm("DELETE", nic, NETWORK))[:2] == (400, "NicInUseWithPrivateEndpoint")
    assert error_of(azure.arm("DELETE", network, NETWORK))[:2] == (400, "InUseSubnetCannotBeDeleted")
    azure.finish(azure.arm("DELETE", ids["endpoint"], NETWORK))
    assert azure.arm("GET", nic, NETWORK).status_code == 404
    assert azure.arm("GET", f"{ids['zone']}/ALL", DNS).json()["value"] == []
    assert azure.arm("GET", account, "2024-01-01").json()["properties"]["privateEndpointConnections"] == []
    azure.finish(azure.arm("DELETE", network, NETWORK))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"group_id": "vault"}, "BadRequest"),
        ({"target": "/subscriptions/x/resourceGroups/y/providers/Microsoft.Storage/storageAccounts/no"},
         "InvalidResourceReference"),
        ({"subnet": "delegated"}, "PrivateEndpointCreationNotAllowedAsSubnetIsDelegated"),
        ({"subnet": "missing"}, "InvalidResourceReference"),
    ],
)  # fmt: skip
def test_an_invalid_endpoint_is_refused(azure: AzureSession, group: str, changes: dict[str, str], code: str) -> None:
    delegation = {"name": "d", "properties": {"serviceName": "Microsoft.Databricks/workspaces"}}
    network = make_network(
        azure, group, subnet("endpoints", "10.20.1.0/24"), subnet("delegated", "10.20.2.0/24", delegations=[delegation])
    )
    body = endpoint_body(
        f"{network}/subnets/{changes.get('subnet', 'endpoints')}",
        changes.get("target") or make_account(azure, group),
        changes.get("group_id", "blob"),
    )
    answer = azure.arm("PUT", path(group, "privateEndpoints", "pe"), NETWORK, body)
    assert error_of(answer)[:2] == (400, code), answer.text


def test_an_endpoint_has_one_connection_with_one_group(azure: AzureSession, group: str) -> None:
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    account = make_account(azure, group)
    body = endpoint_body(f"{network}/subnets/endpoints", account, "blob")
    id_ = path(group, "privateEndpoints", "pe")
    properties = body["properties"]["privateLinkServiceConnections"][0]["properties"]
    properties["groupIds"] = ["blob", "dfs"]
    assert error_of(azure.arm("PUT", id_, NETWORK, body))[:2] == (400, "OnlyOneGroupIdPermitted")
    properties["groupIds"] = []
    missing = error_of(azure.arm("PUT", id_, NETWORK, body))
    assert missing[:2] == (400, "MissingParameterOnPrivateLinkServiceConnection")
    body["properties"]["privateLinkServiceConnections"] = []
    assert error_of(azure.arm("PUT", id_, NETWORK, body))[:2] == (400, "InvalidRequestFormat")


def test_a_zone_is_global_linked_once_and_kept_while_linked(azure: AzureSession, group: str) -> None:
    zone = path(group, "privateDnsZones", ZONE)
    regional = azure.arm("PUT", zone, DNS, {"location": REGION})
    assert error_of(regional)[:2] == (400, "LocationNotAvailableForResourceType")
    azure.put(zone, DNS, {"location": "global"})
    network = make_network(azure, group)
    link = {"location": "global", "properties": {"virtualNetwork": {"id": network}}}
    azure.put(f"{zone}/virtualNetworkLinks/one", DNS, link)
    again = azure.arm("PUT", f"{zone}/virtualNetworkLinks/two", DNS, link)
    status, code, message = error_of(again)
    assert (status, code) == (400, "BadRequest") and "overlapping namespaces" in message
    status, code, message = error_of(azure.arm("DELETE", zone, DNS))
    assert (status, code) == (409, "CannotDeleteResource") and "virtualNetworkLinks/one" in message


def test_a_connection_can_be_rejected_and_the_endpoint_shows_it(azure: AzureSession, group: str) -> None:
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    account = make_account(azure, group)
    id_ = path(group, "privateEndpoints", unique("pe"))
    azure.put(id_, NETWORK, endpoint_body(f"{network}/subnets/endpoints", account, "blob"))
    connections = azure.arm("GET", f"{account}/privateEndpointConnections", "2024-01-01").json()["value"]
    state = {"status": "Rejected", "description": "not ours"}
    azure.put(connections[0]["id"], "2024-01-01", {"properties": {"privateLinkServiceConnectionState": state}})
    connection = azure.arm("GET", id_, NETWORK).json()["properties"]["privateLinkServiceConnections"][0]["properties"]
    assert connection["privateLinkServiceConnectionState"]["status"] == "Rejected"
