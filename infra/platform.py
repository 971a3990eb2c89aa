"""The whole platform: a resource group and three layers, each a function that returns its components."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization, resources

from declarations.roles import RoleAssigner
from infra.foundation import Foundation, declare_foundation
from infra.naming import Names
from infra.operations import declare_operations
from infra.placement import Placement
from infra.settings import Settings
from infra.stack_parts import StackContext
from infra.workspaces import Workspaces, declare_workspaces


class Platform(pulumi.ComponentResource):
    """Everything of one stack; `outputs` has the fields of contract.outputs."""

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:platform:Platform", name, None, opts)
        context = self._context(settings)
        foundation = declare_foundation(context)
        workspaces = declare_workspaces(context, foundation)
        declare_operations(context, foundation, workspaces)
        self.outputs = _outputs(context, foundation, workspaces)
        self.register_outputs({})

    def _context(self, settings: Settings) -> StackContext:
        """Declare the resource group. Return the values that all components share."""
        names = Names(settings.base_name, settings.environment)
        client = authorization.get_client_config_output()
        tags = settings.all_tags(pulumi.get_project())
        group = resources.ResourceGroup(
            "group",
            resource_group_name=names.resource_group,
            location=settings.location,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, protect=settings.protection.protect),
        )
        return StackContext(
            settings=settings,
            names=names,
            client=client,
            assigner=RoleAssigner(names=names, subscription_id=client.subscription_id),
            placement=Placement(
                resource_group_name=group.name,
                location=settings.location,
                tags=tags,
                subscription_id=client.subscription_id,
                tenant_id=client.tenant_id,
            ),
            resource_group_id=group.id,
            child=pulumi.ResourceOptions(parent=self),
        )


def _outputs(
    context: StackContext, foundation: Foundation, workspaces: Workspaces
) -> dict[str, pulumi.Input[str | int | None] | dict[str, pulumi.Output[str]]]:
    settings, registry = context.settings, workspaces.model_registry
    return {
        "environment": settings.environment,
        "location": settings.location,
        "tenant_id": context.client.tenant_id,
        "subscription_id": context.client.subscription_id,
        "resource_group": context.placement.resource_group_name,
        "workspace_name": workspaces.learning.workspace_name,
        "compute_name": workspaces.training.compute_name,
        "identity_id": foundation.identities.pipeline_id,
        "identity_client_id": foundation.identities.pipeline_client_id,
        "retraining_client_id": foundation.identities.retraining_client_id,
        "training_account": foundation.storage.training_account_name,
        "training_container": foundation.storage.training_container_name,
        "training_datastore": workspaces.training.datastore_name,
        "container_registry": foundation.container_registry.login_server,
        "key_vault_uri": foundation.key_vault.uri,
        "databricks_workspace_id": workspaces.databricks.workspace_id,
        "databricks_host": workspaces.databricks.host,
        "instance_pool_id": workspaces.runs.pool_id,
        "cluster_policy_id": workspaces.runs.policy_id,
        "spark_version": settings.databricks.spark_version,
        "notebook_folder": workspaces.runs.folder,
        "batch_endpoint": workspaces.training.batch_endpoint_name,
        "pipeline_endpoints": workspaces.training.pipeline_endpoint_names,
        "online_endpoints": {} if workspaces.serving is None else workspaces.serving.endpoint_names,
        "engineered_days": settings.training_data.engineered_days,
        "scoring_output_days": settings.training_data.scoring_output_days,
        "application_insights_connection_string": foundation.monitoring.connection_string,
        "model_registry": settings.model_registry.name if registry is None else registry.registry_name,
    }
