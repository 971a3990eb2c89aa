"""The layer with the Databricks and ML workspaces, the roles on them, and the training pipeline's resources.

The order is by time: assignments, the Databricks workspace (minutes, in which the roles take effect), the ML
workspace, the roles on it, its compute.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from declarations.roles import Grantee, RoleScope
from declarations.training_pipelines import additional_pipelines, retraining_pipelines
from infra.access import WorkspaceAccess, WorkspaceAccessArgs
from infra.databricks_workspace import DatabricksWorkspace, DatabricksWorkspaceArgs
from infra.foundation import Foundation
from infra.machine_learning import MachineLearning, MachineLearningArgs
from infra.managed_network import Target
from infra.model_registry import ModelRegistry, ModelRegistryArgs
from infra.new_data import NewData, declare_new_data
from infra.notebook_runs import NotebookRuns, NotebookRunsArgs
from infra.retraining import Retraining, RetrainingArgs, Starter
from infra.serving import Serving, declare_serving
from infra.stack_parts import Layer, StackContext, operator_grantee
from infra.training_resources import TrainingResources, TrainingResourcesArgs
from infra.unity_catalog import UnityCatalog, UnityCatalogArgs


@dataclass(frozen=True, kw_only=True)
class Workspaces(Layer):
    """The components; `catalog`, `model_registry`, `new_data` by the settings, `serving`, `retraining` by pipelines."""

    databricks: DatabricksWorkspace
    learning: MachineLearning
    access: WorkspaceAccess
    training: TrainingResources
    retraining: Retraining | None
    runs: NotebookRuns
    catalog: UnityCatalog | None
    model_registry: ModelRegistry | None
    serving: Serving | None
    new_data: NewData | None


def declare_workspaces(context: StackContext, foundation: Foundation) -> Workspaces:
    """Declare the layer."""
    names, placement, settings, child = context.names, context.placement, context.settings, context.child
    catalog = _unity_catalog(context, foundation)
    databricks = DatabricksWorkspace(
        "databricks",
        DatabricksWorkspaceArgs(
            names=names,
            placement=placement,
            network=foundation.network,
            managed_group=settings.databricks.managed_resource_group,
            depends_on=[*foundation.access.assignments, *([] if catalog is None else catalog.assignments)],
        ),
        child,
    )
    before: list[pulumi.Resource] = [*foundation.access.assignments, databricks.workspace]
    if not foundation.network.public:
        scope = RoleScope(label="databricks", id=databricks.workspace_id)
        before.append(foundation.access.approve_endpoints_of(scope))
    learning = MachineLearning(
        "learning",
        MachineLearningArgs(
            names=names,
            placement=placement,
            network=foundation.network,
            storage_account_id=foundation.storage.workspace_account_id,
            key_vault_id=foundation.key_vault.vault_id,
            application_insights_id=foundation.monitoring.application_insights_id,
            container_registry_id=foundation.container_registry.registry_id,
            workspace_identity_id=foundation.identities.workspace_id,
            pipeline_identity_id=foundation.identities.pipeline_id,
            depends_on=before,
            protect=settings.protection.protect,
        ),
        child,
    )
    access = WorkspaceAccess(
        "workspace-access",
        WorkspaceAccessArgs(
            assigner=context.assigner,
            workspace=RoleScope(label="workspace", id=learning.workspace_id),
            pipeline=foundation.identities.pipeline,
            identity=foundation.identities.workspace,
        ),
        child,
    )
    training = TrainingResources(
        "learning-training",
        TrainingResourcesArgs(
            names=names,
            placement=placement,
            network=foundation.network,
            compute=settings.compute,
            workspace=learning,
            pipeline_identity_id=foundation.identities.pipeline_id,
            retraining_identity_id=foundation.identities.retraining_id,
            training_account_name=foundation.storage.training_account_name,
            training_container_name=foundation.storage.training_container_name,
            targets=_targets(foundation, databricks),
            hosts=_hosts(foundation, databricks),
            pipelines=additional_pipelines(),
            # Azure ML makes endpoints to the same targets as the stack, which take one at a time.
            rules_depend_on=[*before, *access.assignments, *foundation.network.endpoints],
            compute_depends_on=access.assignments,
        ),
        child,
    )
    new_data_identity = foundation.identities.declare_new_data() if settings.new_data.train else None
    retraining = _retraining(context, foundation, learning, training, new_data_identity)
    runs = NotebookRuns(
        "runs",
        NotebookRunsArgs(
            placement=placement,
            settings=settings.databricks,
            workspace=databricks.workspace,
            host=databricks.host,
            workspace_id=databricks.workspace_id,
            client_id=foundation.identities.pipeline_client_id,
            identity_name=names.pipeline_identity,
            depends_on=foundation.network.links,
        ),
        child,
    )
    if catalog is not None:
        catalog.declare(runs.provider, runs.client_id)
    return Workspaces(
        databricks=databricks,
        learning=learning,
        access=access,
        training=training,
        retraining=retraining,
        runs=runs,
        catalog=catalog,
        model_registry=_model_registry(context),
        serving=declare_serving(context, foundation, learning),
        new_data=None
        if new_data_identity is None or retraining is None
        else declare_new_data(context, foundation, training, new_data_identity, retraining.assignments),
    )


def _retraining(
    context: StackContext,
    foundation: Foundation,
    learning: MachineLearning,
    training: TrainingResources,
    new_data: Grantee | None,
) -> Retraining | None:
    """Declare the roles of the identities that start trainings: after drift, and on new data."""
    pipelines = (
        (foundation.identities.retraining, retraining_pipelines()),
        (new_data, context.settings.new_data.train),
    )
    starters = [
        Starter(
            identity=identity,
            endpoints={name: training.endpoint_ids.get(name, training.batch_endpoint_id) for name in names},
        )
        for identity, names in pipelines
        if identity is not None
    ]
    if not starters:
        return None
    return Retraining(
        "retraining",
        RetrainingArgs(
            names=context.names,
            assigner=context.assigner,
            role=context.settings.access.invoker_role,
            resource_group_id=context.resource_group_id,
            workspace_id=learning.workspace_id,
            starters=starters,
        ),
        context.child,
    )


def _targets(foundation: Foundation, databricks: DatabricksWorkspace) -> dict[str, Target]:
    """Return the services that jobs in a managed network reach by private endpoints of their own."""
    network, storage = foundation.network, foundation.storage
    own: tuple[str, ...] = ("queue", "table")  # of batch endpoints; Azure ML leaves these to the user
    targets = {"training-storage": Target(id=storage.training_account_id, groups=("blob", "dfs"))}
    if not network.endpoints_implied:
        own = ("blob", "file", *own)
        targets["keyvault"] = Target(id=foundation.key_vault.vault_id, groups=("vault",))
        targets["registry"] = Target(id=foundation.container_registry.registry_id, groups=("registry",))
    targets["workspace-storage"] = Target(id=storage.workspace_account_id, groups=own)
    if not network.public:
        targets["databricks"] = Target(id=databricks.workspace_id, groups=("databricks_ui_api",))
    return targets


def _hosts(foundation: Foundation, databricks: DatabricksWorkspace) -> dict[str, pulumi.Input[str]]:
    """Return the host names that jobs in a managed network can reach, by label."""
    hosts: dict[str, pulumi.Input[str]] = {
        host.replace("*", "any").replace(".", "-"): host for host in foundation.network.outbound_hosts
    }
    if foundation.network.public and hosts:
        hosts["databricks"] = databricks.host.apply(lambda url: url.removeprefix("https://"))
    if hosts:
        hosts["insights"] = foundation.monitoring.connection_string.apply(_ingestion_host)
    return hosts


def _ingestion_host(connection_string: str) -> str:
    """Return the host that takes telemetry: from IngestionEndpoint, or the clients' default without it."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    endpoint = parts.get("IngestionEndpoint", "https://dc.services.visualstudio.com/")
    return endpoint.removeprefix("https://").rstrip("/")


def _unity_catalog(context: StackContext, foundation: Foundation) -> UnityCatalog | None:
    if not context.settings.unity_catalog.enabled:
        return None
    storage = foundation.storage
    return UnityCatalog(
        "catalog",
        UnityCatalogArgs(
            names=context.names,
            placement=context.placement,
            settings=context.settings.unity_catalog,
            assigner=context.assigner,
            training_account=RoleScope(label="training-storage", id=storage.training_account_id),
            training_container=RoleScope(label="training-container", id=storage.training_container_id),
            training_account_name=storage.training_account_name,
            training_container_name=storage.training_container_name,
            new_data=bool(context.settings.new_data.train),
        ),
        context.child,
    )


def _model_registry(context: StackContext) -> ModelRegistry | None:
    settings = context.settings.model_registry
    if settings.name is None or not settings.create:
        return None
    return ModelRegistry(
        "models",
        ModelRegistryArgs(
            registry_name=settings.name,
            placement=context.placement,
            assigner=context.assigner,
            users=[operator_grantee(operator) for operator in settings.users],
            protect=context.settings.protection.protect or settings.protect,
        ),
        context.child,
    )
