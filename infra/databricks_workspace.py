"""The Azure Databricks workspace: premium, its clusters without public addresses. Its content: infra.notebook_runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import databricks

from infra.naming import Names
from infra.network import Link, Network
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class DatabricksWorkspaceArgs:
    """`managed_group`: name of the group that the service makes and owns; None for the name of the naming scheme.

    `depends_on`: the role assignments that take effect while the workspace is made (infra.access).
    """

    names: Names
    placement: Placement
    network: Network
    managed_group: str | None
    depends_on: Sequence[pulumi.Resource] = ()


class DatabricksWorkspace(pulumi.ComponentResource):
    """`host` is the workspace's URL, with https://. `workspace`: its contents are made and deleted with it."""

    workspace: pulumi.Resource
    workspace_id: pulumi.Output[str]
    host: pulumi.Output[str]

    def __init__(self, name: str, args: DatabricksWorkspaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:databricks:DatabricksWorkspace", name, None, opts)
        place = args.placement
        workspace = databricks.Workspace(
            f"{name}-workspace",
            workspace_name=args.names.databricks,
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=databricks.SkuArgs(name="premium"),
            compute_mode=databricks.ComputeMode.HYBRID,
            managed_resource_group_id=pulumi.Output.concat(
                "/subscriptions/",
                place.subscription_id,
                "/resourceGroups/",
                args.managed_group or args.names.databricks_managed_group,
            ),
            parameters=_parameters(args.network),
            public_network_access=args.network.public_access,
            required_nsg_rules=(
                databricks.RequiredNsgRules.ALL_RULES
                if args.network.public
                else databricks.RequiredNsgRules.NO_AZURE_DATABRICKS_RULES
            ),
            tags=place.tags,
            # A workspace does not move: into a network, into another, or out of one.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.depends_on),
                replace_on_changes=["parameters.customVirtualNetworkId"],
                # Azure fills these in. A workspace that the stack adopts shows them, and a program without them would
                # replace it.
                ignore_changes=["parameters.requireInfrastructureEncryption", "parameters.storageAccountName"],
                delete_before_replace=True,
            ),
        )
        # In this order: the endpoint for browsers conflicts with the other one, unless that is there already
        # (microsoft/terraform-provider-azuredevops#106).
        args.network.connect("databricks", workspace.id, Link.DATABRICKS)
        args.network.connect("databricks", workspace.id, Link.DATABRICKS_SIGN_IN)
        self.workspace = workspace
        self.workspace_id = workspace.id
        self.host = pulumi.Output.concat("https://", workspace.workspace_url)
        self.register_outputs({"workspace_id": self.workspace_id, "host": self.host})


def _parameters(network: Network) -> databricks.WorkspaceCustomParametersArgs:
    """Clusters have no public addresses in any profile; they run in the platform's own network where there is one."""
    no_public_ip = databricks.WorkspaceNoPublicIPBooleanParameterArgs(value=True)
    if network.injection is None:
        return databricks.WorkspaceCustomParametersArgs(enable_no_public_ip=no_public_ip)
    text = databricks.WorkspaceCustomStringParameterArgs
    return databricks.WorkspaceCustomParametersArgs(
        enable_no_public_ip=no_public_ip,
        custom_virtual_network_id=text(value=network.injection.network_id),
        custom_public_subnet_name=text(value=network.injection.host_subnet),
        custom_private_subnet_name=text(value=network.injection.container_subnet),
    )
