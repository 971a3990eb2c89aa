"""Roles of identities that start trainings: they may invoke training endpoints, and nothing else.

None is the pipeline's identity, which registers models: an attacker in a scoring run, or in the Logic App for new
data, cannot promote, and a training is recognised by its starter (docs/adr/0040, 0044).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization

from declarations import invoker_role
from declarations.roles import CustomRole, Grantee, RoleAssigner, RoleScope
from infra.naming import Names
from infra.setting_types import InvokerRole


@dataclass(frozen=True, kw_only=True)
class Starter:
    """An identity that starts trainings. `endpoints`: the ids of the endpoints that it invokes, by pipeline."""

    identity: Grantee
    endpoints: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class RetrainingArgs:
    """`role` names the maker of the role definitions: the bootstrap, or the stack itself."""

    names: Names
    assigner: RoleAssigner
    role: InvokerRole
    resource_group_id: pulumi.Input[str]
    workspace_id: pulumi.Input[str]
    starters: Sequence[Starter]


class Retraining(pulumi.ComponentResource):
    """Role definitions, where the stack makes them, and their assignments."""

    def __init__(self, name: str, args: RetrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:access:Retraining", name, None, opts)
        self._name, self._args = name, args
        roles = [self._role(role) for role in invoker_role.ROLES]
        self.assignments: list[pulumi.Resource] = [
            args.assigner.assign(self, role, starter.identity, scope, depends_on=definitions)
            for starter in args.starters
            for role, definitions in roles
            for scope in self._scopes(role, starter)
        ]
        self.register_outputs({})

    def _scopes(self, role: CustomRole, starter: Starter) -> list[RoleScope]:
        if role.name == invoker_role.SUBMITTER:
            return [RoleScope(label="workspace", id=self._args.workspace_id)]
        return [RoleScope(label=f"endpoint-{pipeline}", id=id_) for pipeline, id_ in starter.endpoints.items()]

    def _role(self, role: str) -> tuple[CustomRole, list[pulumi.Resource]]:
        """Return a role, and its definition where the bootstrap has not made it."""
        args = self._args
        if args.role == "bootstrap":
            return invoker_role.custom_role(role, args.names.base), []
        owner = (args.names.base, args.names.environment)
        custom = invoker_role.custom_role(role, *owner)
        definition = authorization.RoleDefinition(
            f"{self._name}-{role.replace('_', '-').lower()}",
            role_definition_id=custom.value,
            role_name=invoker_role.role_name(role, *owner),
            description="For the identity that starts retrainings after drift.",
            permissions=[invoker_role.permissions(role)],
            assignable_scopes=[args.resource_group_id],
            scope=args.resource_group_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return custom, [definition]
