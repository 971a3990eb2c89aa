"""Start of retrainings: the roles of an identity of the cluster that may invoke training endpoints, and no more.

It is not the pipeline's identity, which registers models: whoever takes a scoring run over cannot promote by this one,
and a retraining is known by who started it (docs/adr/0040).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization

from declarations import invoker_role
from declarations.roles import CustomRole, Grantee, RoleAssigner, RoleScope
from infra.naming import Names
from infra.setting_types import InvokerRole


@dataclass(frozen=True, kw_only=True)
class RetrainingArgs:
    """`endpoints` are the ids of the endpoints that are invoked, by the pipelines' names.

    `role` says who makes the role definitions: the bootstrap, or the stack itself.
    """

    names: Names
    assigner: RoleAssigner
    role: InvokerRole
    resource_group_id: pulumi.Input[str]
    workspace_id: pulumi.Input[str]
    endpoints: Mapping[str, pulumi.Input[str]]
    identity: Grantee


class Retraining(pulumi.ComponentResource):
    """Role definitions, where the stack makes them, and their assignments."""

    def __init__(self, name: str, args: RetrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:access:Retraining", name, None, opts)
        self._name, self._args = name, args
        roles = [self._role(role) for role in invoker_role.ROLES]
        scopes = {
            invoker_role.SUBMITTER: [RoleScope(label="workspace", id=args.workspace_id)],
            invoker_role.INVOKER: [
                RoleScope(label=f"endpoint-{pipeline}", id=id_) for pipeline, id_ in args.endpoints.items()
            ],
        }
        self.assignments = [
            args.assigner.assign(self, role, args.identity, scope, depends_on=definitions)
            for role, definitions in roles
            for scope in scopes[role.name]
        ]
        self.register_outputs({})

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
