"""Role assignments of the bootstrap: the least for deploying, previewing, building the image and starting runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization

from bootstrap.conditions import only_these
from declarations import invoker_role
from declarations.roles import ASSIGNED_BY_STACKS, CustomRole, Grantee, Role, RoleAssigner, RoleScope


@dataclass(frozen=True, kw_only=True)
class EnvironmentScopes:
    """The resources of one environment: its subscription, the container of its state, the key of its secrets."""

    subscription: RoleScope
    container: RoleScope
    key: RoleScope


@dataclass(frozen=True, kw_only=True)
class AccessArgs:
    """`deployers` and `runs` by environment; `operators` may read and write every state.

    `custom_roles`: roles of the organisation's own that stacks assign too.
    """

    assigner: RoleAssigner
    base_name: str
    environments: Mapping[str, EnvironmentScopes]
    account: RoleScope
    vault: RoleScope
    container_registry: RoleScope
    deployers: Mapping[str, Grantee]
    preview: Grantee
    image: Grantee
    runs: Mapping[str, Grantee]
    operators: Sequence[Grantee]
    custom_roles: Sequence[CustomRole] = ()


class Access(pulumi.ComponentResource):
    """Role assignments. No role is Owner: deployers can assign the roles that stacks need, and no others."""

    def __init__(self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:bootstrap:Access", name, None, opts)
        self._args = args
        self._define_invoker_roles()
        for environment, scopes in args.environments.items():
            self._deployer(args.deployers[environment], scopes)
            self._assign(Role.STORAGE_BLOB_DATA_READER, args.preview, scopes.container)
            # A preview opens the stack's secrets, as deploying does; it can write nothing with them.
            self._assign(Role.KEY_VAULT_CRYPTO_USER, args.preview, scopes.key)
            self._assign(Role.ML_DATA_SCIENTIST, args.runs[environment], scopes.subscription)
        for subscription in {
            scopes.subscription.label: scopes.subscription for scopes in args.environments.values()
        }.values():
            self._assign(Role.READER, args.preview, subscription)
        self._assign(Role.ACR_PUSH, args.image, args.container_registry)
        for operator in args.operators:
            self._assign(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, operator, args.account)
            self._assign(Role.KEY_VAULT_CRYPTO_USER, operator, args.vault)
        self.register_outputs({})

    def _invoker_roles(self) -> list[CustomRole]:
        return [invoker_role.custom_role(role, self._args.base_name) for role in invoker_role.ROLES]

    def _define_invoker_roles(self) -> None:
        """Make the roles of identities that start retrainings: deployers may assign them, and make none themselves."""
        args = self._args
        subscriptions = {scopes.subscription.label: scopes.subscription.id for scopes in args.environments.values()}
        first = next(iter(subscriptions.values()))
        for role in invoker_role.ROLES:
            authorization.RoleDefinition(
                role.replace("_", "-").lower(),
                role_definition_id=invoker_role.custom_role(role, args.base_name).value,
                role_name=invoker_role.role_name(role, args.base_name),
                description="For identities that start retrainings after drift.",
                permissions=[invoker_role.permissions(role)],
                assignable_scopes=list(subscriptions.values()),
                scope=first,
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _deployer(self, deployer: Grantee, scopes: EnvironmentScopes) -> None:
        self._assign(Role.CONTRIBUTOR, deployer, scopes.subscription)
        self._assign(Role.LOCKS_CONTRIBUTOR, deployer, scopes.subscription)
        self._args.assigner.assign(
            self,
            Role.ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR,
            deployer,
            scopes.subscription,
            condition=only_these([*ASSIGNED_BY_STACKS, *self._args.custom_roles, *self._invoker_roles()]),
        )
        self._assign(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, deployer, scopes.container)
        self._assign(Role.KEY_VAULT_CRYPTO_USER, deployer, scopes.key)

    def _assign(self, role: Role, grantee: Grantee, scope: RoleScope) -> None:
        self._args.assigner.assign(self, role, grantee, scope)
