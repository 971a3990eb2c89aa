"""Access of agents and people to a private stack: peerings with their networks, and the stack's DNS zones in them.

A peering has two directions, each a resource of its own network. The deploying identity needs, on every network that is
named: peer/action and join/action (learn.microsoft.com/azure/virtual-network/virtual-network-manage-peering,
"Permissions"; private DNS: "virtual network link"), and for the direction back virtualNetworkPeerings/write.
Network Contributor on that one network has all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_azure_native
from pulumi_azure_native import network, privatedns

from infra.naming import Names
from infra.network_settings import NetworkSettings
from infra.placement import Placement


@dataclass(frozen=True)
class _Remote:
    """A network that the settings name by its ARM id."""

    id: str

    @property
    def subscription_id(self) -> str:
        return self.id.split("/")[2]

    @property
    def group(self) -> str:
        return self.id.split("/")[4]

    @property
    def name(self) -> str:
        return self.id.split("/")[8]

    @property
    def label(self) -> str:
        """Networks of several groups and subscriptions may have one name."""
        return f"{self.name}-{self.group}-{self.subscription_id[:8]}".lower()


@dataclass(frozen=True, kw_only=True)
class PeeringsArgs:
    """`network` is the stack's own."""

    names: Names
    placement: Placement
    settings: NetworkSettings
    network: network.VirtualNetwork


class Peerings(pulumi.ComponentResource):
    """Peerings with `network.peered_networks`, in one direction or both: `peerings`."""

    def __init__(self, name: str, args: PeeringsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:network:Peerings", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._remotes: Sequence[_Remote] = [_Remote(id_) for id_ in args.settings.peered_networks]
        self.peerings: list[pulumi.Resource] = []
        for remote in self._remotes:
            # Azure changes one peering of a network at a time.
            self.peerings.append(self._outward(remote, self.peerings[-1:]))
            if args.settings.peering == "both_ways":
                self.peerings.append(self._back(remote, self.peerings[-1:]))
        self.register_outputs({})

    def link(self, label: str, zone: privatedns.PrivateZone) -> list[pulumi.Resource]:
        """Let the peered networks resolve the names of one of the stack's own zones."""
        return [self._link(label, zone, remote) for remote in self._remotes]

    def _link(self, label: str, zone: privatedns.PrivateZone, remote: _Remote) -> privatedns.VirtualNetworkLink:
        return privatedns.VirtualNetworkLink(
            f"{self._name}-{label}-{remote.label}",
            virtual_network_link_name=remote.label[:80].rstrip("-."),
            private_zone_name=zone.name,
            resource_group_name=self._args.placement.resource_group_name,
            location="global",
            registration_enabled=False,
            virtual_network=privatedns.SubResourceArgs(id=remote.id),
            tags=self._args.placement.tags,
            opts=self._child,
        )

    def _outward(self, remote: _Remote, before: Sequence[pulumi.Resource]) -> network.VirtualNetworkPeering:
        return network.VirtualNetworkPeering(
            f"{self._name}-to-{remote.label}",
            virtual_network_peering_name=remote.label[:80].rstrip("-."),
            virtual_network_name=self._args.network.name,
            resource_group_name=self._args.placement.resource_group_name,
            remote_virtual_network=network.SubResourceArgs(id=remote.id),
            allow_virtual_network_access=True,
            allow_forwarded_traffic=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(before)),
        )

    def _back(self, remote: _Remote, before: Sequence[pulumi.Resource]) -> network.VirtualNetworkPeering:
        """Declare the peering from the other network to the stack's, in that network's subscription."""
        provider = pulumi_azure_native.Provider(
            f"{self._name}-{remote.label}", subscription_id=remote.subscription_id, opts=self._child
        )
        return network.VirtualNetworkPeering(
            f"{self._name}-from-{remote.label}",
            virtual_network_peering_name=self._args.names.network,
            virtual_network_name=remote.name,
            resource_group_name=remote.group,
            remote_virtual_network=network.SubResourceArgs(id=self._args.network.id),
            allow_virtual_network_access=True,
            allow_forwarded_traffic=False,
            opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=list(before)),
        )
