"""All role assignments of a stack: this module alone decides the permissions of its identities.

Each role is assigned on one resource, never on the resource group. The deploying identity itself needs Contributor,
Role Based Access Control Administrator and, for locks, Locks Contributor; not Owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from declarations.roles import CustomRole, Grantee, Role, RoleAssigner, RoleScope


@dataclass(frozen=True, kw_only=True)
class ResourceScopes:
    """The resources on which roles are assigned."""

    workspace_storage: RoleScope
    training_storage: RoleScope
    training_container: RoleScope
    key_vault: RoleScope
    container_registry: RoleScope
    application_insights: RoleScope


@dataclass(frozen=True, kw_only=True)
class ResourceAccessArgs:
    """`operators` upload data and code; `workspace` is the ML workspace's own identity.

    `approves_storage`: jobs run in a managed network that reaches the training data by private endpoints, and the
    workspace's identity approves the endpoints. `cluster_builds_images`: behind its firewall the registry does not
    build images; the cluster does, as the pipeline's identity.
    """

    assigner: RoleAssigner
    scopes: ResourceScopes
    pipeline: Grantee
    workspace: Grantee
    operators: Sequence[Grantee]
    approves_storage: bool
    cluster_builds_images: bool


class ResourceAccess(pulumi.ComponentResource):
    """Roles that the ML workspace needs from its first second, and roles of the pipeline and the operators.

    Azure answers a role assignment before it has effect everywhere
    (learn.microsoft.com/azure/role-based-access-control/troubleshooting, "Role assignment changes are not being
    detected"; Azure/bicep#16601). Resources that are slow to create and need none of these roles come after
    `assignments` and before the ML workspace.
    """

    def __init__(self, name: str, args: ResourceAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:access:ResourceAccess", name, None, opts)
        self._args, scopes = args, args.scopes
        grants: list[tuple[Grantee, Role, RoleScope]] = [
            (args.pipeline, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, scopes.training_container),
            # Azure ML keeps code, logs and outputs in containers that it makes itself: the account is the scope.
            (args.pipeline, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, scopes.workspace_storage),
            (args.pipeline, Role.ACR_PULL, scopes.container_registry),
            (args.pipeline, Role.KEY_VAULT_SECRETS_USER, scopes.key_vault),
            # It lets an identity send telemetry of every kind to the component (learn.microsoft.com/azure/
            # azure-monitor/app/azure-ad-authentication), and read none.
            (args.pipeline, Role.MONITORING_METRICS_PUBLISHER, scopes.application_insights),
            # learn.microsoft.com/azure/machine-learning/how-to-identity-based-service-authentication lists the roles
            # of a workspace with an identity of its own.
            (args.workspace, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, scopes.workspace_storage),
            (args.workspace, Role.CONTRIBUTOR, scopes.workspace_storage),
            (args.workspace, Role.CONTRIBUTOR, scopes.key_vault),
            (args.workspace, Role.KEY_VAULT_ADMINISTRATOR, scopes.key_vault),
            (args.workspace, Role.CONTRIBUTOR, scopes.container_registry),
            (args.workspace, Role.CONTRIBUTOR, scopes.application_insights),
        ]
        if args.cluster_builds_images:
            # Microsoft's pages name AcrPull for a cluster and do not mention a cluster that builds
            # (how-to-secure-workspace-vnet, "image-build compute"); published modules for closed workspaces give its
            # identity AcrPush as well. The registry has no admin user, so a role is the only way to push.
            # docs/adr/0022 has the cost.
            grants.append((args.pipeline, Role.ACR_PUSH, scopes.container_registry))
        if args.approves_storage:
            grants.append((args.workspace, Role.NETWORK_CONNECTION_APPROVER, scopes.training_storage))
        for operator in args.operators:
            grants.append((operator, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, scopes.training_container))
            grants.append((operator, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, scopes.workspace_storage))
        self.assignments: list[pulumi.Resource] = [
            args.assigner.assign(self, role, grantee, scope) for grantee, role, scope in grants
        ]
        self.register_outputs({})

    def approve_endpoints_of(self, databricks: RoleScope) -> pulumi.Resource:
        """Let the ML workspace's identity approve private endpoints to the Databricks workspace.

        The approver's role does not know Databricks, and no narrower built-in role does. Contributor makes an
        administrator of an identity that no job can have.
        """
        return self._args.assigner.assign(self, Role.CONTRIBUTOR, self._args.workspace, databricks)


@dataclass(frozen=True, kw_only=True)
class ServingAccessArgs:
    """`endpoint` is the identity that online endpoints run as."""

    assigner: RoleAssigner
    endpoint: Grantee
    container_registry: RoleScope
    workspace_storage: RoleScope


class ServingAccess(pulumi.ComponentResource):
    """An online endpoint fetches its image and its model, and can do nothing else.

    learn.microsoft.com/azure/machine-learning/concept-endpoints-online-auth, "Permissions needed for endpoint
    identity": an identity that is brought along gets no role by itself.
    """

    def __init__(self, name: str, args: ServingAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:access:ServingAccess", name, None, opts)
        self.assignments: list[pulumi.Resource] = [
            args.assigner.assign(self, Role.ACR_PULL, args.endpoint, args.container_registry),
            args.assigner.assign(self, Role.STORAGE_BLOB_DATA_READER, args.endpoint, args.workspace_storage),
        ]
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class CallerAccessArgs:
    """Role of each of `callers` on each of `endpoints`."""

    assigner: RoleAssigner
    role: CustomRole
    callers: Sequence[Grantee]
    endpoints: Sequence[RoleScope]


class CallerAccess(pulumi.ComponentResource):
    """Callers invoke the online endpoints, and see nothing else of the platform."""

    def __init__(self, name: str, args: CallerAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:access:CallerAccess", name, None, opts)
        for endpoint in args.endpoints:
            for caller in args.callers:
                args.assigner.assign(self, args.role, caller, endpoint)
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class WorkspaceAccessArgs:
    """`workspace` is the Azure ML workspace, `identity` its own."""

    assigner: RoleAssigner
    workspace: RoleScope
    pipeline: Grantee
    identity: Grantee


class WorkspaceAccess(pulumi.ComponentResource):
    """The pipeline's identity runs jobs and registers models in the ML workspace, and cannot change the workspace.

    The workspace's own identity can: it makes the parts of the workspace.
    """

    def __init__(self, name: str, args: WorkspaceAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:access:WorkspaceAccess", name, None, opts)
        self.assignments: list[pulumi.Resource] = [
            args.assigner.assign(self, Role.ML_DATA_SCIENTIST, args.pipeline, args.workspace),
            # On itself: a workspace that brings its own identity has no rights there
            # (how-to-identity-based-service-authentication, as above).
            args.assigner.assign(self, Role.CONTRIBUTOR, args.identity, args.workspace),
        ]
        self.register_outputs({})
