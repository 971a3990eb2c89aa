"""The whole platform: which component gets what from which. Nothing is declared here but the resource group."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization, resources

from infra.access import ResourceAccess, ResourceAccessArgs, Scopes, WorkspaceAccess, WorkspaceAccessArgs
from infra.databricks_workspace import DatabricksWorkspace, DatabricksWorkspaceArgs
from infra.identities import Identities, IdentitiesArgs
from infra.key_vault import KeyVault, KeyVaultArgs
from infra.machine_learning import MachineLearning, MachineLearningArgs
from infra.monitoring import Monitoring, MonitoringArgs
from infra.naming import Names
from infra.notebook_runs import NotebookRuns, NotebookRunsArgs
from infra.placement import Placement
from infra.registry import Registry, RegistryArgs
from infra.roles import Assigner, Grantee, Scope
from infra.settings import Settings
from infra.storage import Storage, StorageArgs


class Platform(pulumi.ComponentResource):
    """Everything of one stack; `outputs` is what contract.outputs declares."""

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:platform:Platform", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        names = Names(settings.base_name, settings.environment)
        client = authorization.get_client_config_output()
        protect = settings.protection.protect
        group = resources.ResourceGroup(
            "group",
            resource_group_name=names.resource_group,
            location=settings.location,
            tags=settings.all_tags(pulumi.get_project()),
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        place = Placement(
            resource_group_name=group.name,
            location=settings.location,
            tags=settings.all_tags(pulumi.get_project()),
            subscription_id=client.subscription_id,
            tenant_id=client.tenant_id,
        )
        assigner = Assigner(names=names, subscription_id=client.subscription_id)
        monitoring = Monitoring(
            "monitoring",
            MonitoringArgs(names=names, placement=place, retention_days=settings.monitoring.retention_days),
            child,
        )
        storage = Storage(
            "storage",
            StorageArgs(names=names, placement=place, training_data=settings.training_data, protect=protect),
            child,
        )
        vault = KeyVault(
            "keyvault", KeyVaultArgs(names=names, placement=place, settings=settings.key_vault, protect=protect), child
        )
        registry = Registry("registry", RegistryArgs(names=names, placement=place), child)
        identities = Identities("identities", IdentitiesArgs(names=names, placement=place), child)
        operators = [
            Grantee(label=f"operator-{operator.object_id}", principal_id=operator.object_id, type=operator.type)
            for operator in settings.access.operators
        ] or [Grantee(label="deployer", principal_id=client.object_id, type=settings.access.deployer_type)]
        access = ResourceAccess(
            "access",
            ResourceAccessArgs(
                assigner=assigner,
                scopes=Scopes(
                    workspace_storage=Scope(label="workspace-storage", id=storage.workspace_account_id),
                    training_container=Scope(label="training-container", id=storage.training_container_id),
                    key_vault=Scope(label="keyvault", id=vault.vault_id),
                    registry=Scope(label="registry", id=registry.registry_id),
                    application_insights=Scope(label="insights", id=monitoring.application_insights_id),
                ),
                pipeline=identities.pipeline,
                workspace=identities.workspace,
                operators=operators,
            ),
            child,
        )
        learning = MachineLearning(
            "learning",
            MachineLearningArgs(
                names=names,
                placement=place,
                compute=settings.compute,
                storage_account_id=storage.workspace_account_id,
                key_vault_id=vault.vault_id,
                application_insights_id=monitoring.application_insights_id,
                container_registry_id=registry.registry_id,
                workspace_identity_id=identities.workspace_id,
                pipeline_identity_id=identities.pipeline_id,
                training_account_name=storage.training_account_name,
                training_container_name=storage.training_container_name,
                depends_on=access.assignments,
                protect=protect,
            ),
            child,
        )
        WorkspaceAccess(
            "workspace-access",
            WorkspaceAccessArgs(
                assigner=assigner,
                workspace=Scope(label="workspace", id=learning.workspace_id),
                pipeline=identities.pipeline,
            ),
            child,
        )
        databricks = DatabricksWorkspace("databricks", DatabricksWorkspaceArgs(names=names, placement=place), child)
        runs = NotebookRuns(
            "runs",
            NotebookRunsArgs(
                placement=place,
                settings=settings.databricks,
                host=databricks.host,
                workspace_id=databricks.workspace_id,
                client_id=identities.pipeline_client_id,
                identity_name=names.pipeline_identity,
            ),
            child,
        )
        self.outputs: dict[str, pulumi.Input[str | None]] = {
            "environment": settings.environment,
            "location": settings.location,
            "tenant_id": client.tenant_id,
            "subscription_id": client.subscription_id,
            "resource_group": group.name,
            "workspace_name": learning.workspace_name,
            "compute_name": learning.compute_name,
            "identity_id": identities.pipeline_id,
            "identity_client_id": identities.pipeline_client_id,
            "training_account": storage.training_account_name,
            "training_container": storage.training_container_name,
            "training_datastore": learning.datastore_name,
            "container_registry": registry.login_server,
            "key_vault_uri": vault.uri,
            "databricks_workspace_id": databricks.workspace_id,
            "databricks_host": databricks.host,
            "instance_pool_id": runs.pool_id,
            "cluster_policy_id": runs.policy_id,
            "spark_version": settings.databricks.spark_version,
            "notebook_folder": runs.folder,
            "batch_endpoint": learning.batch_endpoint_name,
            "model_registry": settings.model_registry.name,
        }
        self.register_outputs({})
