"""The layer below both workspaces: network, monitoring, storage, vault, registry, identities and their roles."""

from __future__ import annotations

from dataclasses import dataclass

from declarations.roles import Grantee, RoleScope
from declarations.training_pipelines import retraining_pipelines
from infra.access import ResourceAccess, ResourceAccessArgs, ResourceScopes
from infra.container_registry import ContainerRegistry, ContainerRegistryArgs
from infra.identities import Identities, IdentitiesArgs
from infra.key_vault import KeyVault, KeyVaultArgs
from infra.monitoring import Monitoring, MonitoringArgs
from infra.network import Network, NetworkArgs
from infra.stack_parts import Layer, StackContext, operator_grantee
from infra.storage import Storage, StorageArgs


@dataclass(frozen=True, kw_only=True)
class Foundation(Layer):
    """The components, and the roles that the ML workspace needs from its first second."""

    network: Network
    monitoring: Monitoring
    storage: Storage
    key_vault: KeyVault
    container_registry: ContainerRegistry
    identities: Identities
    access: ResourceAccess


def declare_foundation(context: StackContext) -> Foundation:
    """Declare the layer."""
    names, placement, settings, child = context.names, context.placement, context.settings, context.child
    protect = settings.protection.protect
    network = Network("network", NetworkArgs(names=names, placement=placement, settings=settings.network), child)
    monitoring = Monitoring(
        "monitoring",
        MonitoringArgs(names=names, placement=placement, retention_days=settings.monitoring.retention_days),
        child,
    )
    storage = Storage(
        "storage",
        StorageArgs(
            names=names,
            placement=placement,
            network=network,
            training_data=settings.training_data,
            workspace_storage=settings.workspace_storage,
            protect=protect,
        ),
        child,
    )
    key_vault = KeyVault(
        "keyvault",
        KeyVaultArgs(names=names, placement=placement, network=network, settings=settings.key_vault, protect=protect),
        child,
    )
    container_registry = ContainerRegistry(
        "registry", ContainerRegistryArgs(names=names, placement=placement, network=network), child
    )
    identities = Identities(
        "identities", IdentitiesArgs(names=names, placement=placement, retraining=bool(retraining_pipelines())), child
    )
    deployer = Grantee(label="deployer", principal_id=context.client.object_id, type=settings.access.deployer_type)
    access = ResourceAccess(
        "access",
        ResourceAccessArgs(
            assigner=context.assigner,
            scopes=ResourceScopes(
                workspace_storage=RoleScope(label="workspace-storage", id=storage.workspace_account_id),
                training_storage=RoleScope(label="training-storage", id=storage.training_account_id),
                training_container=RoleScope(label="training-container", id=storage.training_container_id),
                key_vault=RoleScope(label="keyvault", id=key_vault.vault_id),
                container_registry=RoleScope(label="registry", id=container_registry.registry_id),
                application_insights=RoleScope(label="insights", id=monitoring.application_insights_id),
            ),
            pipeline=identities.pipeline,
            workspace=identities.workspace,
            operators=[operator_grantee(operator) for operator in settings.access.operators] or [deployer],
            approves_storage=network.isolated,
            cluster_builds_images=network.isolated,
        ),
        child,
    )
    return Foundation(
        network=network,
        monitoring=monitoring,
        storage=storage,
        key_vault=key_vault,
        container_registry=container_registry,
        identities=identities,
        access=access,
    )
