"""The container registry that holds the images of Azure ML's environments.

It has no admin user and no anonymous pull.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from infra.naming import Names
from infra.network import Link, Network
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class ContainerRegistryArgs:
    """Arguments of the component."""

    names: Names
    placement: Placement
    network: Network


class ContainerRegistry(pulumi.ComponentResource):
    """A registry that identities with AcrPull read from. Its type token and names are older than the class's name."""

    registry_id: pulumi.Output[str]
    login_server: pulumi.Output[str]

    def __init__(self, name: str, args: ContainerRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:registry:Registry", name, None, opts)
        place, network = args.placement, args.network
        # Firewalls and private endpoints are the premium tier's.
        tier = containerregistry.SkuName.PREMIUM if network.isolated else containerregistry.SkuName.STANDARD
        registry = containerregistry.Registry(
            f"{name}-registry",
            registry_name=args.names.container_registry,
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=containerregistry.SkuArgs(name=tier),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            public_network_access=network.public_access,
            network_rule_bypass_options=containerregistry.NetworkRuleBypassOptions.AZURE_SERVICES,
            network_rule_set=_firewall(network),
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        network.connect("registry", registry.id, Link.REGISTRY)
        self.registry_id = registry.id
        self.login_server = registry.login_server
        self.register_outputs({"registry_id": self.registry_id, "login_server": self.login_server})


def _firewall(network: Network) -> containerregistry.NetworkRuleSetArgs | None:
    """Return the firewall; None in the public profile, whose tier has no firewall."""
    if not network.isolated:
        return None
    return containerregistry.NetworkRuleSetArgs(
        default_action=containerregistry.DefaultAction.DENY,
        ip_rules=[
            containerregistry.IPRuleArgs(i_p_address_or_range=address, action=containerregistry.Action.ALLOW)
            for address in network.allowed_addresses
        ],
    )
