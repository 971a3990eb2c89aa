"""The container registry of the image that CI jobs run in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from bootstrap.placement import Placement


@dataclass(frozen=True, kw_only=True)
class ContainerRegistryArgs:
    """Arguments of the component."""

    placement: Placement


class ContainerRegistry(pulumi.ComponentResource):
    """A registry without an admin user and without anonymous pull. Its type token is older than the class's name."""

    registry_id: pulumi.Output[str]
    login_server: pulumi.Output[str]

    def __init__(self, name: str, args: ContainerRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:bootstrap:Registry", name, None, opts)
        place = args.placement
        registry = containerregistry.Registry(
            f"{name}-registry",
            registry_name=place.names.container_registry,
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
