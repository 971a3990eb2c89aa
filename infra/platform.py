"""The whole platform: which component gets what from which. Nothing is declared here but the resource group."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization, resources

from infra.access import ResourceAccess, ResourceAccessArgs, Scopes, WorkspaceAccess, WorkspaceAccessArgs
from infra.alerts import Alerts, AlertsArgs
from infra.databricks_workspace import DatabricksWorkspace, DatabricksWorkspaceArgs
from infra.diagnostics import Diagnostics, DiagnosticsArgs, Source
from infra.identities import Identities, IdentitiesArgs
from infra.key_vault import KeyVault, KeyVaultArgs
from infra.locks import Locks, LocksArgs
from infra.machine_learning import MachineLearning, MachineLearningArgs
from infra.managed_network import Target
from infra.model_registry import ModelRegistry, ModelRegistryArgs
from infra.monitoring import Monitoring, MonitoringArgs
from infra.naming import Names
from infra.network import Network, NetworkArgs
from infra.notebook_runs import NotebookRuns, NotebookRunsArgs
from infra.placement import Placement
from infra.registry import Registry, RegistryArgs
from infra.roles import Assigner, Grantee, Scope
from infra.settings import Operator, Settings
from infra.storage import Storage, StorageArgs
from infra.unity_catalog import UnityCatalog, UnityCatalogArgs


class Platform(pulumi.ComponentResource):
    """Everything of one stack; `outputs` is what contract.outputs declares."""

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:platform:Platform", name, None, opts)
        self._settings = settings
        self._child = child = pulumi.ResourceOptions(parent=self)
        self._names = names = Names(settings.base_name, settings.environment)
        self._client = authorization.get_client_config_output()
        self._assigner = Assigner(names=names, subscription_id=self._client.subscription_id)
        protect = settings.protection.protect
        tags = settings.all_tags(pulumi.get_project())
        self._group = resources.ResourceGroup(
            "group",
            resource_group_name=names.resource_group,
            location=settings.location,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        self._place = place = Placement(
            resource_group_name=self._group.name,
            location=settings.location,
            tags=tags,
            subscription_id=self._client.subscription_id,
            tenant_id=self._client.tenant_id,
        )
        self._network = Network("network", NetworkArgs(names=names, placement=place, settings=settings.network), child)
        self._monitoring = Monitoring(
            "monitoring",
            MonitoringArgs(names=names, placement=place, retention_days=settings.monitoring.retention_days),
            child,
        )
        self._storage = Storage(
            "storage",
            StorageArgs(
                names=names,
                placement=place,
                network=self._network,
                training_data=settings.training_data,
                workspace_storage=settings.workspace_storage,
                protect=protect,
            ),
            child,
        )
        self._vault = KeyVault(
            "keyvault",
            KeyVaultArgs(
                names=names, placement=place, network=self._network, settings=settings.key_vault, protect=protect
            ),
            child,
        )
        self._registry = Registry("registry", RegistryArgs(names=names, placement=place, network=self._network), child)
        self._identities = Identities("identities", IdentitiesArgs(names=names, placement=place), child)
        self._training_container = Scope(label="training-container", id=self._storage.training_container_id)
        self._access = self._resource_access()
        self._catalog = self._unity_catalog()
        early = [*self._access.assignments, *([] if self._catalog is None else self._catalog.assignments)]
        self._databricks = DatabricksWorkspace(
            "databricks",
            DatabricksWorkspaceArgs(
                names=names,
                placement=place,
                network=self._network,
                managed_group=settings.databricks.managed_resource_group,
                depends_on=early,
            ),
            child,
        )
        self._learning = self._machine_learning()
        self._runs = NotebookRuns(
            "runs",
            NotebookRunsArgs(
                placement=place,
                settings=settings.databricks,
                workspace=self._databricks.workspace,
                host=self._databricks.host,
                workspace_id=self._databricks.workspace_id,
                client_id=self._identities.pipeline_client_id,
                identity_name=names.pipeline_identity,
                depends_on=self._network.links,
            ),
            child,
        )
        if self._catalog is not None:
            self._catalog.declare(self._runs.provider, self._runs.client_id)
        self._model_registry = self._shared_registry()
        self._operations()
        self.outputs = self._outputs()
        self.register_outputs({})

    def _resource_access(self) -> ResourceAccess:
        access = self._settings.access
        deployer = Grantee(label="deployer", principal_id=self._client.object_id, type=access.deployer_type)
        return ResourceAccess(
            "access",
            ResourceAccessArgs(
                assigner=self._assigner,
                scopes=Scopes(
                    workspace_storage=Scope(label="workspace-storage", id=self._storage.workspace_account_id),
                    training_storage=Scope(label="training-storage", id=self._storage.training_account_id),
                    training_container=self._training_container,
                    key_vault=Scope(label="keyvault", id=self._vault.vault_id),
                    registry=Scope(label="registry", id=self._registry.registry_id),
                    application_insights=Scope(label="insights", id=self._monitoring.application_insights_id),
                ),
                pipeline=self._identities.pipeline,
                workspace=self._identities.workspace,
                operators=[_grantee(operator) for operator in access.operators] or [deployer],
                approves_storage=self._network.isolated,
                cluster_builds_images=self._network.isolated,
            ),
            self._child,
        )

    def _grant_on_workspace(self, workspace_id: pulumi.Output[str]) -> list[pulumi.Resource]:
        self._workspace_access = WorkspaceAccess(
            "workspace-access",
            WorkspaceAccessArgs(
                assigner=self._assigner,
                workspace=Scope(label="workspace", id=workspace_id),
                pipeline=self._identities.pipeline,
                identity=self._identities.workspace,
            ),
            self._child,
        )
        return self._workspace_access.assignments

    def _private_targets(self) -> dict[str, Target]:
        """What jobs in a network of the platform's own reach by private endpoints of their own."""
        own: tuple[str, ...] = ("queue", "table")  # of batch endpoints; Azure ML leaves these to the user
        targets = {"training-storage": Target(id=self._storage.training_account_id, groups=("blob", "dfs"))}
        if not self._network.endpoints_implied:
            own = ("blob", "file", *own)
            targets["keyvault"] = Target(id=self._vault.vault_id, groups=("vault",))
            targets["registry"] = Target(id=self._registry.registry_id, groups=("registry",))
        return targets | {"workspace-storage": Target(id=self._storage.workspace_account_id, groups=own)}

    def _machine_learning(self) -> MachineLearning:
        targets = self._private_targets()
        hosts: dict[str, pulumi.Input[str]] = {
            host.replace("*", "any").replace(".", "-"): host for host in self._network.outbound_hosts
        }
        # The Databricks workspace takes minutes, in which the roles take effect.
        before: list[pulumi.Resource] = [*self._access.assignments, self._databricks.workspace]
        if not self._network.public:
            targets["databricks"] = Target(id=self._databricks.workspace_id, groups=("databricks_ui_api",))
            scope = Scope(label="databricks", id=self._databricks.workspace_id)
            before.append(self._access.approve_endpoints_of(scope))
        elif hosts:
            hosts["databricks"] = self._databricks.host.apply(lambda url: url.removeprefix("https://"))
        return MachineLearning(
            "learning",
            MachineLearningArgs(
                names=self._names,
                placement=self._place,
                network=self._network,
                compute=self._settings.compute,
                storage_account_id=self._storage.workspace_account_id,
                key_vault_id=self._vault.vault_id,
                application_insights_id=self._monitoring.application_insights_id,
                container_registry_id=self._registry.registry_id,
                workspace_identity_id=self._identities.workspace_id,
                pipeline_identity_id=self._identities.pipeline_id,
                training_account_name=self._storage.training_account_name,
                training_container_name=self._storage.training_container_name,
                targets=targets,
                hosts=hosts,
                depends_on=before,
                grant=self._grant_on_workspace,
                protect=self._settings.protection.protect,
            ),
            self._child,
        )

    def _unity_catalog(self) -> UnityCatalog | None:
        if not self._settings.unity_catalog.enabled:
            return None
        return UnityCatalog(
            "catalog",
            UnityCatalogArgs(
                names=self._names,
                placement=self._place,
                settings=self._settings.unity_catalog,
                assigner=self._assigner,
                training_account=Scope(label="training-storage", id=self._storage.training_account_id),
                training_container=self._training_container,
                training_account_name=self._storage.training_account_name,
                training_container_name=self._storage.training_container_name,
            ),
            self._child,
        )

    def _shared_registry(self) -> ModelRegistry | None:
        settings = self._settings.model_registry
        if settings.name is None or not settings.create:
            return None
        return ModelRegistry(
            "models",
            ModelRegistryArgs(
                registry_name=settings.name,
                placement=self._place,
                assigner=self._assigner,
                users=[_grantee(operator) for operator in settings.users],
                protect=self._settings.protection.protect or settings.protect,
            ),
            self._child,
        )

    def _operations(self) -> None:
        """Logs, alerts, a budget and locks: nothing that the platform needs to work, all that people need to run it."""
        diagnostics = Diagnostics(
            "diagnostics",
            DiagnosticsArgs(
                log_workspace_id=self._monitoring.workspace_id,
                sources=[
                    *self._storage.sources,
                    Source(label="keyvault", id=self._vault.vault_id),
                    Source(label="registry", id=self._registry.registry_id),
                    Source(label="workspace", id=self._learning.workspace_id),
                    Source(label="databricks", id=self._databricks.workspace_id, metrics=False),
                    Source(label="logs", id=self._monitoring.workspace_id),
                    # Not Application Insights: what it takes is in this workspace already, and would be there twice.
                    *([] if self._model_registry is None else self._model_registry.sources),
                    *self._network.sources,
                ],
            ),
            self._child,
        )
        alerts = Alerts(
            "alerts",
            AlertsArgs(
                names=self._names,
                placement=self._place,
                emails=self._settings.monitoring.alert_emails,
                budget=self._settings.budget,
                ml_workspace_id=self._learning.workspace_id,
                log_workspace_id=self._monitoring.workspace_id,
                resource_group_id=self._group.id,
                depends_on=[diagnostics],
            ),
            self._child,
        )
        self._locks([diagnostics, alerts])

    def _locks(self, more: list[pulumi.Resource]) -> None:
        """On what holds data. They come after everything else, so that a destroy has to begin with them."""
        protection, scopes = self._settings.protection, dict[str, pulumi.Input[str]]()
        if protection.lock:
            scopes = {
                "workspace-storage": self._storage.workspace_account_id,
                "training-storage": self._storage.training_account_id,
                "keyvault": self._vault.vault_id,
                "workspace": self._learning.workspace_id,
            }
        kept = self._model_registry is not None and self._settings.model_registry.protect
        if self._model_registry is not None and (protection.lock or kept):
            scopes["model-registry"] = self._model_registry.registry_id
        if not scopes:
            return
        parts = [
            self._network, self._monitoring, self._storage, self._vault, self._registry, self._identities,
            self._databricks, self._access, self._learning, self._workspace_access, self._runs, self._catalog,
            self._model_registry, *more,
        ]  # fmt: skip
        below = [part for part in parts if part is not None]
        protect = protection.protect or kept
        Locks("locks", LocksArgs(scopes=scopes, depends_on=below, protect=protect), self._child)

    def _outputs(self) -> dict[str, pulumi.Input[str | None]]:
        return {
            "environment": self._settings.environment,
            "location": self._settings.location,
            "tenant_id": self._client.tenant_id,
            "subscription_id": self._client.subscription_id,
            "resource_group": self._group.name,
            "workspace_name": self._learning.workspace_name,
            "compute_name": self._learning.compute_name,
            "identity_id": self._identities.pipeline_id,
            "identity_client_id": self._identities.pipeline_client_id,
            "training_account": self._storage.training_account_name,
            "training_container": self._storage.training_container_name,
            "training_datastore": self._learning.datastore_name,
            "container_registry": self._registry.login_server,
            "key_vault_uri": self._vault.uri,
            "databricks_workspace_id": self._databricks.workspace_id,
            "databricks_host": self._databricks.host,
            "instance_pool_id": self._runs.pool_id,
            "cluster_policy_id": self._runs.policy_id,
            "spark_version": self._settings.databricks.spark_version,
            "notebook_folder": self._runs.folder,
            "batch_endpoint": self._learning.batch_endpoint_name,
            "model_registry": (
                self._settings.model_registry.name
                if self._model_registry is None
                else self._model_registry.registry_name
            ),
        }


def _grantee(operator: Operator) -> Grantee:
    return Grantee(label=f"operator-{operator.object_id}", principal_id=operator.object_id, type=operator.type)
