"""The container registry that holds the images of Azure ML's environments. No admin user, no anonymous pull."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from infra.naming import Names
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    names: Names
    placement: Placement


class Registry(pulumi.ComponentResource):
    """A registry that identities with AcrPull read from."""

    registry_id: pulumi.Output[str]
    login_server: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:registry:Registry", name, None, opts)
        place = args.placement
        registry = containerregistry.Registry(
            f"{name}-registry",
            registry_name=args.names.container_registry,
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=containerregistry.SkuArgs(name=containerregistry.SkuName.STANDARD),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.registry_id = registry.id
        self.login_server = registry.login_server
        self.register_outputs({"registry_id": self.registry_id, "login_server": self.login_server})
