"""The Azure ML registry through which models go from one environment to the next.

One stack makes it and its settings list the other users; other stacks only name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from declarations.roles import Grantee, Role, RoleAssigner, RoleScope
from infra.diagnostics import Source
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class ModelRegistryArgs:
    """`users` copy models into the registry and out of it: the deploying identities of the other stacks."""

    registry_name: str
    placement: Placement
    assigner: RoleAssigner
    users: Sequence[Grantee]
    protect: bool


class ModelRegistry(pulumi.ComponentResource):
    """A registry in the stack's own group and region."""

    registry_name: pulumi.Output[str]
    registry_id: pulumi.Output[str]

    def __init__(self, name: str, args: ModelRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:machinelearning:ModelRegistry", name, None, opts)
        place = args.placement
        registry = ml.Registry(
            f"{name}-registry",
            registry_name=args.registry_name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(type=ml.ManagedServiceIdentityType.SYSTEM_ASSIGNED),
            public_network_access="Enabled",
            region_details=[
                ml.RegistryRegionArmDetailsArgs(
                    location=place.location,
                    acr_details=[
                        ml.AcrDetailsArgs(
                            system_created_acr_account=ml.SystemCreatedAcrAccountArgs(acr_account_sku="Premium")
                        )
                    ],
                    storage_account_details=[
                        ml.StorageAccountDetailsArgs(
                            system_created_storage_account=ml.SystemCreatedStorageAccountArgs(
                                storage_account_type="Standard_LRS",
                                storage_account_hns_enabled=False,
                                allow_blob_public_access=False,
                            )
                        )
                    ],
                )
            ],
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        for user in args.users:
            args.assigner.assign(self, Role.ML_REGISTRY_USER, user, RoleScope(label="model-registry", id=registry.id))
        self.sources = [Source(label="model-registry", id=registry.id, metrics=False)]
        self.registry_name = registry.name
        self.registry_id = registry.id
        self.register_outputs({"registry_id": self.registry_id})
