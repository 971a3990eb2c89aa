"""The keys that stacks seal their secrets with: one an environment, so that none opens another's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import keyvault

from bootstrap.placement import Placement


@dataclass(frozen=True, kw_only=True)
class VaultArgs:
    """`keys`: names of the keys by environment."""

    placement: Placement
    tenant_id: pulumi.Input[str]
    keys: Mapping[str, str]


class Vault(pulumi.ComponentResource):
    """`key_ids` are ARM ids by environment, for roles."""

    vault_id: pulumi.Output[str]
    key_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: VaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:bootstrap:Vault", name, None, opts)
        place = args.placement
        vault = keyvault.Vault(
            f"{name}-vault",
            vault_name=place.names.vault,
            resource_group_name=place.resource_group_name,
            location=place.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=args.tenant_id,
                sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=place.soft_delete_days,
                # A state without its key cannot be read: no purge is allowed. Azure refuses `false`.
                enable_purge_protection=True if place.protect else None,
                network_acls=keyvault.NetworkRuleSetArgs(
                    default_action=(
                        keyvault.NetworkRuleAction.DENY if place.allowed_ips else keyvault.NetworkRuleAction.ALLOW
                    ),
                    bypass=keyvault.NetworkRuleBypassOptions.AZURE_SERVICES,
                    ip_rules=[keyvault.IPRuleArgs(value=address) for address in place.allowed_ips],
                ),
            ),
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=place.protect),
        )
        self.key_ids = {}
        for environment, key_name in args.keys.items():
            key = keyvault.Key(
                f"{name}-{key_name}",
                key_name=key_name,
                vault_name=vault.name,
                resource_group_name=place.resource_group_name,
                properties=keyvault.KeyPropertiesArgs(
                    kty=keyvault.JsonWebKeyType.RSA,
                    key_size=3072,
                    key_ops=[keyvault.JsonWebKeyOperation.ENCRYPT, keyvault.JsonWebKeyOperation.DECRYPT],
                ),
                tags=place.tags,
                opts=pulumi.ResourceOptions(parent=self, protect=place.protect),
            )
            self.key_ids[environment] = key.id
        self.vault_id = vault.id
        self.register_outputs({"vault_id": self.vault_id})
