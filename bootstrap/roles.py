"""Roles that the bootstrap gives, and the condition under which deployers may give roles themselves.

Role ids: learn.microsoft.com/azure/role-based-access-control/built-in-roles. The condition is the portal's own for
"constrain roles".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import pulumi
from pulumi_azure_native import authorization

from bootstrap.naming import Names


class Role(Enum):
    """Built-in roles in use, with their ids."""

    ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    KEY_VAULT_CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"
    LOCKS_CONTRIBUTOR = "28bf596f-4eb7-45ce-b5bc-6cf482fec137"
    ML_DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
    READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    STORAGE_BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"


ASSIGNED_BY_STACKS = (
    "7f951dda-4ed3-4680-a7ca-43fe172d538d",  # AcrPull
    "8311e382-0749-4cb8-b61a-304f252e45ec",  # AcrPush, where the cluster builds images
    "b24988ac-6180-42a0-ab88-20f7382dd24c",  # Contributor, of the ML workspace's identity on what it manages
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",  # Key Vault Administrator, likewise
    "4633458b-17de-408a-b874-0445c86b69e6",  # Key Vault Secrets User
    "f6c7c914-8db3-469d-8ca1-694a8f32e121",  # AzureML Data Scientist
    "1823dd4f-9b8c-4ab6-ab4e-7397a3684615",  # AzureML Registry User
    "b556d68e-0be0-4f35-a333-ad7ee1ce17ea",  # Azure AI Enterprise Network Connection Approver
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe",  # Storage Blob Data Contributor
    "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",  # Storage Blob Delegator, of the access connector's identity
)
"""What infra/ assigns; a test holds the two together. A deployer can give these and no others, Owner least of all."""

_ATTRIBUTE = "Microsoft.Authorization/roleAssignments"


def only_these(roles: Iterable[str]) -> str:
    """A condition on Role Based Access Control Administrator: assign, and take away, nothing but these roles."""
    listed = ", ".join(sorted(roles))

    def clause(action: str, source: str) -> str:
        return (
            f"((!(ActionMatches{{'{_ATTRIBUTE}/{action}'}})) OR "
            f"(@{source}[{_ATTRIBUTE}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{listed}}}))"
        )

    return f"({clause('write', 'Request')} AND {clause('delete', 'Resource')})"


@dataclass(frozen=True, kw_only=True)
class Grantee:
    """Who is given a role; `label` stands for the principal in names, since its id is unknown at first."""

    label: str
    principal_id: pulumi.Input[str]
    type: str = "ServicePrincipal"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where a role holds."""

    label: str
    id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Assigner:
    """Makes role assignments as children of `parent`."""

    names: Names
    subscription_id: pulumi.Input[str]

    def assign(
        self,
        parent: pulumi.Resource,
        role: Role,
        grantee: Grantee,
        scope: Scope,
        *,
        condition: str | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> authorization.RoleAssignment:
        label = f"{scope.label}-{role.name.lower().replace('_', '-')}-{grantee.label}"
        subscription = pulumi.Output.from_input(self.subscription_id)
        return authorization.RoleAssignment(
            label,
            role_assignment_name=subscription.apply(
                lambda value: self.names.role_assignment(value, scope.label, role.name, grantee.label)
            ),
            role_definition_id=pulumi.Output.concat(
                "/subscriptions/", subscription, "/providers/Microsoft.Authorization/roleDefinitions/", role.value
            ),
            principal_id=grantee.principal_id,
            principal_type=grantee.type,
            scope=scope.id,
            condition=condition,
            condition_version=None if condition is None else "2.0",
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True, depends_on=list(depends_on)),
        )
