"""The Azure Databricks workspace: premium, its clusters without public addresses. Its content: infra.notebook_runs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import databricks

from infra.naming import Names
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class DatabricksWorkspaceArgs:
    names: Names
    placement: Placement


class DatabricksWorkspace(pulumi.ComponentResource):
    """`host` is the workspace's URL, with https://."""

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
                "/subscriptions/", place.subscription_id, "/resourceGroups/", args.names.databricks_managed_group
            ),
            parameters=databricks.WorkspaceCustomParametersArgs(
                enable_no_public_ip=databricks.WorkspaceNoPublicIPBooleanParameterArgs(value=True),
            ),
            public_network_access=databricks.PublicNetworkAccess.ENABLED,
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.workspace_id = workspace.id
        self.host = pulumi.Output.concat("https://", workspace.workspace_url)
        self.register_outputs({"workspace_id": self.workspace_id, "host": self.host})
