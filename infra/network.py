"""The network, the only module that interprets the network profile: other components take it as an argument.

public: no network of its own; every service answers signed-in callers on the internet. restricted: Databricks clusters
run in a virtual network and leave it by one address; storage, vault and registry answer to that network, to Azure ML's
managed network and to named addresses. private: nothing answers on the internet. Services are reached through private
endpoints, whose names private DNS zones resolve. The deploying identity has to be inside as well.

Application Insights and Log Analytics stay public in every profile: closing them needs an Azure Monitor private link
scope, which belongs to a whole company's network rather than to one stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import pulumi
from pulumi_azure_native import network, privatedns

from infra.diagnostics import Source
from infra.naming import Names
from infra.network_settings import NetworkSettings
from infra.peerings import Peerings, PeeringsArgs
from infra.placement import Placement

_CONTROL_PLANE_PORTS = ("3306", "6666", "8443-8451")
"""Ports that clusters reach at the workspace's private endpoint besides 443, where a security group guards it
(learn.microsoft.com/azure/databricks/security/network/concepts/private-link, "Key considerations")."""


class Link(Enum):
    """Target of a private endpoint: the group id and the DNS zones of its names."""

    BLOB = ("blob", ("privatelink.blob.core.windows.net",))
    DFS = ("dfs", ("privatelink.dfs.core.windows.net",))
    FILE = ("file", ("privatelink.file.core.windows.net",))
    QUEUE = ("queue", ("privatelink.queue.core.windows.net",))
    TABLE = ("table", ("privatelink.table.core.windows.net",))
    VAULT = ("vault", ("privatelink.vaultcore.azure.net",))
    REGISTRY = ("registry", ("privatelink.azurecr.io",))
    ML_WORKSPACE = ("amlworkspace", ("privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"))
    DATABRICKS = ("databricks_ui_api", ("privatelink.azuredatabricks.net",))
    DATABRICKS_SIGN_IN = ("browser_authentication", ("privatelink.azuredatabricks.net",))

    def __init__(self, group: str, zones: tuple[str, ...]) -> None:
        self.group = group
        self.zones = zones


@dataclass(frozen=True, kw_only=True)
class Injection:
    """Network of the Databricks clusters: a virtual network's id and the names of two of its subnets."""

    network_id: pulumi.Output[str]
    host_subnet: pulumi.Output[str]
    container_subnet: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Arguments of Network."""

    names: Names
    placement: Placement
    settings: NetworkSettings


class Network(pulumi.ComponentResource):
    """`injection` is None without a virtual network; `service_subnet_ids` are let through firewalls (restricted).

    `endpoints` are the private endpoints and `links` their names: resources that use these depend on them. `sources`
    are resources that log.
    """

    profile: Literal["public", "restricted", "private"]
    injection: Injection | None
    service_subnet_ids: Sequence[pulumi.Output[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:network:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.profile = args.settings.profile
        self.injection, self.service_subnet_ids = None, []
        self.sources: list[Source] = []
        self.endpoints: list[pulumi.Resource] = []
        self.links: list[pulumi.Resource] = []
        self._newest: dict[str, pulumi.Resource] = {}
        self._zones: dict[str, pulumi.Output[str]] = {}
        self._zone_links: list[pulumi.Resource] = []
        self._peerings: Peerings | None = None
        if self.profile != "public":
            self._virtual_network()
        self.register_outputs({})

    @property
    def public(self) -> bool:
        """Whether the internet reaches the services, at least from named addresses."""
        return self.profile != "private"

    @property
    def public_access(self) -> str:
        """Return the value of `publicNetworkAccess` for Azure's services."""
        return "Enabled" if self.public else "Disabled"

    @property
    def isolated(self) -> bool:
        """Whether there is a network of the platform's own."""
        return self.profile != "public"

    @property
    def own_zones(self) -> bool:
        """Whether the names of private endpoints are the stack's own, and not of a hub that others share."""
        return self.profile == "private" and self._args.settings.dns_zone_group is None

    @property
    def endpoints_implied(self) -> bool:
        """Whether the managed network of Azure ML reaches the workspace's own storage, vault and registry by itself.

        It makes private endpoints to services that keep the internet out altogether and, where jobs may go to named
        hosts only, to all of them; not to services that let some addresses in
        (learn.microsoft.com/azure/machine-learning/how-to-managed-network, "List of required rules").
        """
        return self.profile == "private" or bool(self.outbound_hosts)

    @property
    def allowed_addresses(self) -> Sequence[str]:
        return self._args.settings.allowed_ips

    @property
    def outbound_hosts(self) -> Sequence[str]:
        """Hosts that Azure ML's managed network may reach; empty allows the internet."""
        return self._args.settings.outbound_hosts

    def connect(self, label: str, target: pulumi.Input[str], link: Link, after: Sequence[pulumi.Resource] = ()) -> None:
        """Make a private endpoint to `target`, an ARM id, with its DNS names. Do nothing in the other profiles.

        Azure changes a target for one endpoint at a time. The loser of two fails inside its long-running operation,
        which the provider does not repeat (storage: Azure/bicep-registry-modules#6001; Databricks:
        databricks/terraform-databricks-examples#177; pulumi/pulumi-azure-native#4497 repeats direct answers alone).
        Endpoints of the same `label` are therefore made one after another, in the order of the calls, and the first
        one after the resources in `after`, which are the other changes of the target.

        A region has one endpoint through which browsers come back from Entra to Databricks, by one name for all of its
        workspaces: the stack makes it where the zone is its own (learn.microsoft.com/azure/databricks/security/network/
        classic/private-link, "Web authentication").
        """
        if self.profile != "private" or (link is Link.DATABRICKS_SIGN_IN and not self.own_zones):
            return
        place, suffix = self._args.placement, f"{label}-{link.group.replace('_', '-')}"
        endpoint = network.PrivateEndpoint(
            f"{self._name}-{suffix}",
            private_endpoint_name=self._args.names.network_part("pe", suffix),
            resource_group_name=place.resource_group_name,
            location=place.location,
            subnet=network.SubnetArgs(id=self._endpoint_subnet.id),
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(
                    name=suffix, private_link_service_id=target, group_ids=[link.group]
                )
            ],
            tags=place.tags,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self._newest[label]] if label in self._newest else list(after)
            ),
        )
        self._newest[label] = endpoint
        self.endpoints.append(endpoint)
        names = network.PrivateDnsZoneGroup(
            f"{self._name}-{suffix}-names",
            private_dns_zone_group_name="default",
            private_endpoint_name=endpoint.name,
            resource_group_name=place.resource_group_name,
            private_dns_zone_configs=[
                network.PrivateDnsZoneConfigArgs(name=zone.replace(".", "-"), private_dns_zone_id=self._zone(zone))
                for zone in link.zones
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._zone_links),
        )
        self.links.append(names)

    def _virtual_network(self) -> None:
        place, names, settings = self._args.placement, self._args.names, self._args.settings
        self._vnet = network.VirtualNetwork(
            f"{self._name}-vnet",
            virtual_network_name=names.network,
            resource_group_name=place.resource_group_name,
            location=place.location,
            address_space=network.AddressSpaceArgs(address_prefixes=[settings.address_space]),
            tags=place.tags,
            opts=self._child,
        )
        self.sources.append(Source(label="network", id=self._vnet.id))
        if settings.peered_networks:
            self._peerings = Peerings(
                f"{self._name}-peerings",
                PeeringsArgs(names=names, placement=place, settings=settings, network=self._vnet),
                self._child,
            )
            self.links += self._peerings.peerings
        gateway = self._way_out()
        # Azure changes one subnet of a network at a time, and refuses a second one meanwhile.
        host = self._databricks_subnet("host", settings.databricks_host_subnet, gateway, after=None)
        container = self._databricks_subnet("container", settings.databricks_container_subnet, gateway, after=host)
        self.injection = Injection(network_id=self._vnet.id, host_subnet=_name(host), container_subnet=_name(container))
        if self.profile == "restricted":
            self.service_subnet_ids = [host.id, container.id]
        else:
            self._endpoint_subnet = self._private_subnet(settings.endpoint_subnet, after=container)

    def _way_out(self) -> network.NatGateway:
        """Clusters without public addresses reach Databricks' control plane through one gateway."""
        place, names = self._args.placement, self._args.names
        address = network.PublicIPAddress(
            f"{self._name}-egress-address",
            public_ip_address_name=names.network_part("pip", "egress"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=network.PublicIPAddressSkuArgs(name=network.PublicIPAddressSkuName.STANDARD),
            public_ip_allocation_method=network.IPAllocationMethod.STATIC,
            tags=place.tags,
            opts=self._child,
        )
        self.sources.append(Source(label="egress-address", id=address.id))
        return network.NatGateway(
            f"{self._name}-egress",
            nat_gateway_name=names.network_part("nat"),
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=network.NatGatewaySkuArgs(name=network.NatGatewaySkuName.STANDARD),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            tags=place.tags,
            opts=self._child,
        )

    def _security_group(self, purpose: str) -> network.NetworkSecurityGroup:
        """Declare a group without rules in line: Databricks adds its own, which rules in line would remove."""
        place = self._args.placement
        group = network.NetworkSecurityGroup(
            f"{self._name}-{purpose}-security",
            network_security_group_name=self._args.names.network_part("nsg", purpose),
            resource_group_name=place.resource_group_name,
            location=place.location,
            tags=place.tags,
            opts=self._child,
        )
        self.sources.append(Source(label=f"{purpose}-security", id=group.id, metrics=False))
        return group

    def _databricks_subnet(
        self, purpose: str, prefix: str, gateway: network.NatGateway, after: network.Subnet | None
    ) -> network.Subnet:
        group = self._security_group(f"databricks-{purpose}")
        services = ("Microsoft.Storage", "Microsoft.KeyVault") if self.profile == "restricted" else ()
        return network.Subnet(
            f"{self._name}-databricks-{purpose}",
            subnet_name=f"databricks-{purpose}",
            virtual_network_name=self._vnet.name,
            resource_group_name=self._args.placement.resource_group_name,
            address_prefix=prefix,
            default_outbound_access=False,
            network_security_group=network.NetworkSecurityGroupArgs(id=group.id),
            nat_gateway=network.SubResourceArgs(id=gateway.id),
            delegations=[network.DelegationArgs(name="databricks", service_name="Microsoft.Databricks/workspaces")],
            service_endpoints=[network.ServiceEndpointPropertiesFormatArgs(service=service) for service in services],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[] if after is None else [after],
                # Databricks puts its own actions into the delegation.
                ignore_changes=["delegations"],
            ),
        )

    def _private_subnet(self, prefix: str, after: network.Subnet) -> network.Subnet:
        group = self._security_group("endpoints")
        clusters = (self._args.settings.databricks_host_subnet, self._args.settings.databricks_container_subnet)
        for priority, rule, access, sources, ports in (
            (100, "allow-https-from-the-network", "Allow", ("VirtualNetwork",), ("443",)),
            (110, "allow-clusters-to-databricks", "Allow", clusters, _CONTROL_PLANE_PORTS),
            (4096, "deny-the-rest", "Deny", ("*",), ("*",)),
        ):
            network.SecurityRule(
                f"{self._name}-{rule}",
                security_rule_name=rule,
                network_security_group_name=group.name,
                resource_group_name=self._args.placement.resource_group_name,
                priority=priority,
                direction=network.SecurityRuleDirection.INBOUND,
                access=access,
                protocol=network.SecurityRuleProtocol.ASTERISK if "*" in ports else network.SecurityRuleProtocol.TCP,
                source_port_range="*",
                destination_address_prefix="*",
                # A single source has another property than several: Azure accepts no tags and no * among several.
                source_address_prefix=sources[0] if len(sources) == 1 else None,
                source_address_prefixes=list(sources) if len(sources) > 1 else None,
                destination_port_range=ports[0] if len(ports) == 1 else None,
                destination_port_ranges=list(ports) if len(ports) > 1 else None,
                opts=self._child,
            )
        return network.Subnet(
            f"{self._name}-endpoints",
            subnet_name="endpoints",
            virtual_network_name=self._vnet.name,
            resource_group_name=self._args.placement.resource_group_name,
            address_prefix=prefix,
            default_outbound_access=False,
            network_security_group=network.NetworkSecurityGroupArgs(id=group.id),
            private_endpoint_network_policies=network.VirtualNetworkPrivateEndpointNetworkPolicies.ENABLED,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[after]),
        )

    def _zone(self, zone: str) -> pulumi.Output[str]:
        """Return the id of a private DNS zone: a hub's, or the stack's own, declared and linked at the first call."""
        hub = self._args.settings.dns_zone_group
        if hub is not None:
            return pulumi.Output.from_input(f"{hub}/providers/Microsoft.Network/privateDnsZones/{zone}")
        if zone not in self._zones:
            place, label = self._args.placement, zone.removeprefix("privatelink.").replace(".", "-")
            private_zone = privatedns.PrivateZone(
                f"{self._name}-zone-{label}",
                private_zone_name=zone,
                resource_group_name=place.resource_group_name,
                location="global",
                tags=place.tags,
                opts=self._child,
            )
            link = privatedns.VirtualNetworkLink(
                f"{self._name}-zone-{label}-link",
                virtual_network_link_name=self._args.names.network,
                private_zone_name=private_zone.name,
                resource_group_name=place.resource_group_name,
                location="global",
                registration_enabled=False,
                virtual_network=privatedns.SubResourceArgs(id=self._vnet.id),
                tags=place.tags,
                opts=self._child,
            )
            self._zones[zone] = private_zone.id
            self._zone_links.append(link)
            if self._peerings is not None:
                self._zone_links += self._peerings.link(label, private_zone)
        return self._zones[zone]


def _name(subnet: network.Subnet) -> pulumi.Output[str]:
    return subnet.name.apply(lambda value: value or "")
