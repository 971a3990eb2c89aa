"""Log Analytics and Application Insights. This module makes the destination of logs; alerts are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import applicationinsights, operationalinsights

from infra.naming import Names
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """`retention_days`: days until logs are deleted."""

    names: Names
    placement: Placement
    retention_days: int


class Monitoring(pulumi.ComponentResource):
    """A workspace for logs, and Application Insights over it."""

    workspace_id: pulumi.Output[str]
    application_insights_id: pulumi.Output[str]
    connection_string: pulumi.Output[str]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:monitoring:Monitoring", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        place = args.placement
        workspace = operationalinsights.Workspace(
            f"{name}-logs",
            workspace_name=args.names.log_workspace,
            resource_group_name=place.resource_group_name,
            location=place.location,
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=args.retention_days,
            features=operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
            tags=place.tags,
            opts=child,
        )
        insights = applicationinsights.Component(
            f"{name}-insights",
            resource_name_=args.names.application_insights,
            resource_group_name=place.resource_group_name,
            location=place.location,
            kind="web",
            application_type="web",
            ingestion_mode="LogAnalytics",
            workspace_resource_id=workspace.id,
            disable_local_auth=True,
            tags=place.tags,
            # The key allows writing telemetry where local sign-in is on: the state does not show it.
            opts=pulumi.ResourceOptions(
                parent=self, additional_secret_outputs=["instrumentationKey", "connectionString"]
            ),
        )
        self.workspace_id = workspace.id
        self.application_insights_id = insights.id
        # Local sign-in is off, so that the key alone does not allow writing: "Ikey unique identifiers aren't security
        # tokens or security keys, and aren't considered secrets" (learn.microsoft.com/azure/azure-monitor/app/
        # connection-strings).
        self.connection_string = pulumi.Output.unsecret(insights.connection_string)
        self.register_outputs(
            {"workspace_id": self.workspace_id, "application_insights_id": self.application_insights_id}
        )
