"""The Key Vault of the ML workspace. Access is by roles only; the stack itself puts no secret into it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import keyvault

from infra.naming import Names
from infra.network import Link, Network
from infra.placement import Placement
from infra.settings import KeyVaultSettings


@dataclass(frozen=True, kw_only=True)
class KeyVaultArgs:
    """`protect`: Pulumi refuses to delete the vault."""

    names: Names
    placement: Placement
    network: Network
    settings: KeyVaultSettings
    protect: bool


class KeyVault(pulumi.ComponentResource):
    """A vault with soft delete and, unless switched off, purge protection."""

    vault_id: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(self, name: str, args: KeyVaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:keyvault:KeyVault", name, None, opts)
        place = args.placement
        vault = keyvault.Vault(
            f"{name}-vault",
            vault_name=args.names.key_vault,
            resource_group_name=place.resource_group_name,
            location=place.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=place.tenant_id,
                sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=args.settings.soft_delete_days,
                # Azure refuses `false`: protection that is not wanted has to be left out.
                enable_purge_protection=True if args.settings.purge_protection else None,
                public_network_access=args.network.public_access,
                network_acls=_firewall(args.network),
            ),
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        args.network.connect("keyvault", vault.id, Link.VAULT)
        self.vault_id = vault.id
        self.uri = vault.properties.apply(lambda properties: properties.vault_uri or "")
        self.register_outputs({"vault_id": self.vault_id, "uri": self.uri})


def _firewall(network: Network) -> keyvault.NetworkRuleSetArgs:
    return keyvault.NetworkRuleSetArgs(
        default_action=keyvault.NetworkRuleAction.DENY if network.isolated else keyvault.NetworkRuleAction.ALLOW,
        bypass=keyvault.NetworkRuleBypassOptions.AZURE_SERVICES,
        ip_rules=[keyvault.IPRuleArgs(value=address) for address in network.allowed_addresses],
        virtual_network_rules=[keyvault.VirtualNetworkRuleArgs(id=subnet) for subnet in network.service_subnet_ids],
    )
