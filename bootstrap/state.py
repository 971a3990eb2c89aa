"""The states of all stacks: one account, one container an environment, versions and soft delete, a lock.

Pulumi overwrites a state in place and keeps one copy: only versions and soft delete can restore an older one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, storage

from bootstrap.placement import Placement


@dataclass(frozen=True, kw_only=True)
class StateArgs:
    """`containers` by name; `replication` is such as ZRS."""

    placement: Placement
    containers: Sequence[str]
    replication: str


class State(pulumi.ComponentResource):
    """`container_ids` by container."""

    account_id: pulumi.Output[str]
    account_name: pulumi.Output[str]
    container_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: StateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:bootstrap:State", name, None, opts)
        place = args.placement
        kept = pulumi.ResourceOptions(parent=self, protect=place.protect)
        account = storage.StorageAccount(
            f"{name}-account",
            account_name=place.names.account,
            resource_group_name=place.resource_group_name,
            location=place.location,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=f"Standard_{args.replication}"),
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            is_local_user_enabled=False,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            enable_https_traffic_only=True,
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action=storage.DefaultAction.DENY if place.allowed_ips else storage.DefaultAction.ALLOW,
                bypass=storage.Bypass.AZURE_SERVICES,
                ip_rules=[
                    storage.IPRuleArgs(i_p_address_or_range=address, action=storage.Action.ALLOW)
                    for address in place.allowed_ips
                ],
            ),
            tags=place.tags,
            opts=kept,
        )
        retention = storage.DeleteRetentionPolicyArgs(enabled=True, days=place.soft_delete_days)
        service = storage.BlobServiceProperties(
            f"{name}-blobs",
            blob_services_name="default",
            account_name=account.name,
            resource_group_name=place.resource_group_name,
            is_versioning_enabled=True,
            delete_retention_policy=retention,
            container_delete_retention_policy=retention,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.container_ids = {}
        for container in args.containers:
            blob_container = storage.BlobContainer(
                f"{name}-{container}",
                container_name=container,
                account_name=account.name,
                resource_group_name=place.resource_group_name,
                public_access=storage.PublicAccess.NONE,
                opts=pulumi.ResourceOptions(parent=self, protect=place.protect, depends_on=[service]),
            )
            self.container_ids[container] = blob_container.id
        if place.protect:
            authorization.ManagementLockByScope(
                f"{name}-lock",
                lock_name="dataopsml-holds-state",
                scope=account.id,
                level=authorization.LockLevel.CAN_NOT_DELETE,
                notes="Holds the state of every stack.",
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.account_id = account.id
        self.account_name = account.name
        self.register_outputs({"account_id": self.account_id, "account_name": self.account_name})
