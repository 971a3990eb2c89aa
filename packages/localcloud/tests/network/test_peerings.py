"""Peerings of virtual networks by azure-mgmt-network: their states, and the service's refusals."""

from __future__ import annotations

import os
from typing import Any

import jwt
import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.network import NetworkManagementClient
from azure.storage.blob import BlobServiceClient
from localcloud.cli.env import variables
from localcloud.core.settings import Settings
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.cloud import RESOURCE_PROVIDERS, free_port
from localcloud.testing.networks import NETWORK, REGION, make_account, make_network, make_private_path, subnet
from localcloud.testing.principals import session_as


def peer(azure: AzureSession, network: str, remote: str, name: str = "peer") -> Any:
    """PUT one direction and return ARM's first answer."""
    body = {"properties": {"remoteVirtualNetwork": {"id": remote}, "allowVirtualNetworkAccess": True}}
    return azure.arm("PUT", f"{network}/virtualNetworkPeerings/{name}", NETWORK, body)


def state(azure: AzureSession, network: str, name: str = "peer") -> str:
    peering = azure.arm("GET", f"{network}/virtualNetworkPeerings/{name}", NETWORK).json()
    return str(peering["properties"]["peeringState"])


def test_one_direction_is_initiated_both_are_connected_and_the_rest_is_disconnected(
    azure: AzureSession, group: str
) -> None:
    client, name = NetworkManagementClient(azure.credential, azure.subscription_id), group.rsplit("/", 1)[-1]
    hub, spoke = make_network(azure, group), make_network(azure, group, space="10.30.0.0/16")
    hub_name, spoke_name = hub.rsplit("/", 1)[-1], spoke.rsplit("/", 1)[-1]
    body: Any = {"properties": {"remoteVirtualNetwork": {"id": hub}}}
    created = client.virtual_network_peerings.begin_create_or_update(name, spoke_name, "peer", body).result()
    assert (created.peering_state, created.provisioning_state) == ("Initiated", "Succeeded")
    assert created.remote_address_space is not None and created.remote_address_space.address_prefixes == [
        "10.20.0.0/16"
    ]
    azure.finish(peer(azure, hub, spoke))
    assert [state(azure, hub), state(azure, spoke)] == ["Connected"] * 2
    peerings = client.virtual_networks.get(name, hub_name).virtual_network_peerings
    assert peerings is not None and [peering.peering_state for peering in peerings] == ["Connected"]
    client.virtual_network_peerings.begin_delete(name, hub_name, "peer").result()
    assert state(azure, spoke) == "Disconnected"


def test_networks_that_overlap_are_not_peered(azure: AzureSession, group: str) -> None:
    network, twin = make_network(azure, group), make_network(azure, group, space="10.20.128.0/17")
    status, code, message = error_of(peer(azure, network, twin))
    assert (status, code) == (400, "VnetAddressSpacesOverlap")
    assert message.startswith(f"Cannot create or update peering {network}/virtualNetworkPeerings/peer. Virtual")
    assert "Overlapping address prefixes: 10.20.0.0/16, 10.20.128.0/17." in message


def test_a_network_that_overlaps_with_another_spoke_of_the_hub_is_not_peered(azure: AzureSession, group: str) -> None:
    hub = make_network(azure, group, space="10.40.0.0/16")
    first, second = make_network(azure, group), make_network(azure, group)
    azure.finish(peer(azure, hub, first))
    status, code, message = error_of(peer(azure, second, hub))
    assert (status, code) == (400, "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet")
    assert f"overlaps with address space of virtual network {first} already peered with the second" in message


def test_two_networks_are_peered_once_and_a_peering_keeps_its_remote(azure: AzureSession, group: str) -> None:
    hub, spoke = make_network(azure, group), make_network(azure, group, space="10.30.0.0/16")
    other = make_network(azure, group, space="10.31.0.0/16")
    azure.finish(peer(azure, spoke, hub))
    assert error_of(peer(azure, spoke, hub, "again"))[:2] == (400, "AnotherPeeringAlreadyReferencesRemoteVnet")
    assert error_of(peer(azure, spoke, other))[:2] == (400, "ChangingRemoteVnetNotAllowed")
    missing = peer(azure, other, f"{hub}-gone")
    assert error_of(missing)[:2] == (400, "InvalidResourceReference")


def test_peering_needs_a_right_on_the_other_network(azure: AzureSession, cloud: Any, group: str) -> None:
    network, remote = make_network(azure, group), make_network(azure, group, space="10.30.0.0/16")
    path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id')}"
    identity = azure.put(path, "2023-01-31", {"location": REGION})["properties"]["principalId"]
    azure.assign(network, "Contributor", identity)
    stranger = session_as(cloud, identity)
    client = NetworkManagementClient(stranger.credential, azure.subscription_id)
    body: Any = {"properties": {"remoteVirtualNetwork": {"id": remote}}}
    name = group.rsplit("/", 1)[-1]
    with pytest.raises(HttpResponseError, match=r"action\(s\) 'Microsoft.Network/virtualNetworks/peer/action'") as no:
        client.virtual_network_peerings.begin_create_or_update(name, network.rsplit("/", 1)[-1], "peer", body).result()
    assert no.value.error is not None and no.value.error.code == "LinkedAuthorizationFailed"


def test_a_network_that_is_put_again_keeps_its_peerings(azure: AzureSession, group: str) -> None:
    network, remote = make_network(azure, group), make_network(azure, group, space="10.30.0.0/16")
    azure.finish(peer(azure, network, remote))
    current = azure.arm("GET", network, NETWORK).json()
    again = azure.put(network, NETWORK, {"location": REGION, "properties": current["properties"]})
    assert [peering["name"] for peering in again["properties"]["virtualNetworkPeerings"]] == ["peer"]
    dropped = {"location": REGION, "properties": current["properties"] | {"virtualNetworkPeerings": []}}
    assert error_of(azure.arm("PUT", network, NETWORK, dropped))[:2] == (501, "NotImplemented")
    sent = current["properties"]["virtualNetworkPeerings"][0]
    for change in ({"allowForwardedTraffic": True}, {"remoteVirtualNetwork": {"id": network}}):
        changed = [sent | {"properties": sent["properties"] | change}]
        body = {"location": REGION, "properties": current["properties"] | {"virtualNetworkPeerings": changed}}
        status, code, message = error_of(azure.arm("PUT", network, NETWORK, body))
        assert (status, code) == (501, "NotImplemented"), change
        assert f"virtualNetworkPeerings in the body of {network}: peer differs, put the peering itself" in message


@pytest.mark.nightly
def test_agents_in_another_network_reach_an_account_by_peering_and_by_a_link_of_the_zone(
    azure: AzureSession, cloud: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The endpoint's own network does not help callers in the agents' network."""
    home = tmp_path_factory.mktemp("agents") / "home"
    own = type(cloud)(Settings(home=home, port=free_port(), cache=cloud.settings.cache), {})
    agents = f"{azure.subscription}/resourceGroups/rg-agents/providers/Microsoft.Network/virtualNetworks/vnet-agents"
    namespaces = ",".join(RESOURCE_PROVIDERS)
    try:
        started = own.command("start", "--register", namespaces, LOCALCLOUD_CLIENT_NETWORK=agents)
        assert started.returncode == 0, started.stderr
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in variables(own.settings).items():
                patch.setenv(variable, value)
            credential = ClientSecretCredential(
                os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]
            )
            claims = jwt.decode(
                credential.get_token("https://management.azure.com/.default").token, options={"verify_signature": False}
            )
            _walk_in(AzureSession(credential, azure.subscription_id, azure.tenant_id, claims["oid"]), agents)
    finally:
        own.command("stop")


def _walk_in(azure: AzureSession, agents: str) -> None:
    group = agents.split("/providers/")[0]
    azure.put(group, "2024-03-01", {"location": REGION})
    space = {"addressSpace": {"addressPrefixes": ["10.90.0.0/24"]}}
    azure.put(agents, NETWORK, {"location": REGION, "properties": space})
    account = make_account(azure, group, publicNetworkAccess="Disabled", allowSharedKeyAccess=False)
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    zone = "privatelink.blob.core.windows.net"
    ids = make_private_path(azure, group, f"{network}/subnets/endpoints", account, "blob", zone)
    client = BlobServiceClient(
        f"https://{account.rsplit('/', 1)[-1]}.blob.core.windows.net", credential=azure.credential, retry_total=0
    )

    def refused() -> bool:
        try:
            list(client.list_containers())
        except HttpResponseError as error:
            code = error.error_code  # type: ignore[attr-defined]
            assert (error.status_code, getattr(code, "value", code)) == (403, "AuthorizationFailure")
            return True
        return False

    assert refused(), "the endpoint's network is not the agents'"
    link = {"location": "global", "properties": {"virtualNetwork": {"id": agents}}}
    azure.put(f"{ids['zone']}/virtualNetworkLinks/agents", "2024-06-01", link)
    azure.finish(peer(azure, network, agents))
    assert refused(), "one direction of a peering lets nothing through"
    azure.finish(peer(azure, agents, network))
    assert not refused()
    azure.finish(azure.arm("DELETE", f"{ids['zone']}/virtualNetworkLinks/agents", "2024-06-01"))
    assert refused(), "without the link the name resolves to the public address"
