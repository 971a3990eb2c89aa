"""The Azure ML workspace, whose system datastores sign in with identities; infra.training_resources has its compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from infra.managed_network import isolation
from infra.naming import Names
from infra.network import Link, Network
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class MachineLearningArgs:
    """Ids are ARM ids.

    `depends_on`: the roles that the workspace needs first, and resources that take as long as roles to have effect.
    """

    names: Names
    placement: Placement
    network: Network
    storage_account_id: pulumi.Input[str]
    key_vault_id: pulumi.Input[str]
    application_insights_id: pulumi.Input[str]
    container_registry_id: pulumi.Input[str]
    workspace_identity_id: pulumi.Input[str]
    pipeline_identity_id: pulumi.Input[str]
    depends_on: Sequence[pulumi.Resource]
    protect: bool


class MachineLearning(pulumi.ComponentResource):
    """The workspace and its private endpoint."""

    workspace_id: pulumi.Output[str]
    workspace_name: pulumi.Output[str]

    def __init__(self, name: str, args: MachineLearningArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:machinelearning:MachineLearning", name, None, opts)
        self._args = args
        workspace = self._workspace(f"{name}-workspace")
        args.network.connect("workspace", workspace.id, Link.ML_WORKSPACE)
        self.workspace_id = workspace.id
        self.workspace_name = workspace.name
        self.register_outputs({"workspace_id": self.workspace_id})

    def _workspace(self, name: str) -> ml.Workspace:
        args, place = self._args, self._args.placement
        return ml.Workspace(
            name,
            workspace_name=args.names.workspace,
            resource_group_name=place.resource_group_name,
            location=place.location,
            friendly_name=args.names.workspace,
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[args.workspace_identity_id, args.pipeline_identity_id],
            ),
            primary_user_assigned_identity=args.workspace_identity_id,
            storage_account=args.storage_account_id,
            key_vault=args.key_vault_id,
            application_insights=args.application_insights_id,
            container_registry=args.container_registry_id,
            system_datastores_auth_mode=ml.SystemDatastoresAuthMode.IDENTITY,
            v1_legacy_mode=False,
            public_network_access=args.network.public_access,
            managed_network=isolation(args.network),
            # Behind a firewall the registry cannot build images by itself.
            image_build_compute=args.names.compute if args.network.isolated else None,
            tags=place.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=args.depends_on,
                protect=args.protect,
                # A workspace that the stack adopts shows it as false: leaving the input out would replace the
                # workspace.
                ignore_changes=["hbiWorkspace"],
            ),
        )
