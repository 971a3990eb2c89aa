"""Role assignments: built-in roles by name, names that stay the same, and no principal without a type.

Role ids: learn.microsoft.com/azure/role-based-access-control/built-in-roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import pulumi
from pulumi_azure_native import authorization


class Role(Enum):
    """Built-in roles in use, with their ids."""

    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    KEY_VAULT_ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
    KEY_VAULT_CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"
    KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
    LOCKS_CONTRIBUTOR = "28bf596f-4eb7-45ce-b5bc-6cf482fec137"
    ML_DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    ML_REGISTRY_USER = "1823dd4f-9b8c-4ab6-ab4e-7397a3684615"
    MONITORING_METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
    NETWORK_CONNECTION_APPROVER = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea"
    READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
    STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    STORAGE_BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    STORAGE_BLOB_DELEGATOR = "db58b8e5-c6ad-4a2a-8342-4190687cbf4a"


ASSIGNED_BY_STACKS = (
    Role.ACR_PULL,
    Role.ACR_PUSH,  # where the cluster builds images
    Role.CONTRIBUTOR,  # of the ML workspace's identity on resources that it manages
    Role.KEY_VAULT_ADMINISTRATOR,  # likewise
    Role.KEY_VAULT_SECRETS_USER,
    Role.ML_DATA_SCIENTIST,
    Role.ML_REGISTRY_USER,
    Role.MONITORING_METRICS_PUBLISHER,
    Role.NETWORK_CONNECTION_APPROVER,
    Role.READER,  # of the Logic App's identity on the Logic App, to find its waiting runs
    Role.STORAGE_BLOB_DATA_CONTRIBUTOR,
    Role.STORAGE_BLOB_DATA_READER,  # of online endpoints, which read the model
    Role.STORAGE_BLOB_DELEGATOR,  # of the access connector's identity
)
"""The roles that infra/ assigns, which a test holds to its assignments. A deployer can assign these and no others."""


@dataclass(frozen=True, kw_only=True)
class CustomRole:
    """A custom role of an organisation: `name` is its name within the stack, `value` its id."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Grantee:
    """An identity that receives roles; `label` is its name within the stack.

    The type is always stated: Azure takes a principal without one for a person, and cannot look up a principal that is
    seconds old.
    """

    label: str
    principal_id: pulumi.Input[str]
    type: str = "ServicePrincipal"


@dataclass(frozen=True, kw_only=True)
class RoleScope:
    """A resource on which roles are assigned. `label` is its name within the stack."""

    label: str
    id: pulumi.Input[str]


class RoleAssignmentNames(Protocol):
    """The names of role assignments, which are UUIDs: infra.naming.Names and bootstrap.naming.Names."""

    def role_assignment(self, subscription_id: str, /, *, grantee: str, role: str, scope: str) -> str:
        """Return the same name for the same labels in a subscription."""
        ...


@dataclass(frozen=True, kw_only=True)
class RoleAssigner:
    """Makes role assignments as children of `parent`."""

    names: RoleAssignmentNames
    subscription_id: pulumi.Input[str]

    def assign(
        self,
        parent: pulumi.Resource,
        role: Role | CustomRole,
        grantee: Grantee,
        scope: RoleScope,
        *,
        condition: str | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> authorization.RoleAssignment:
        """Assign a role, optionally under a condition.

        The name is made of labels, since principal ids are unknown before the first deployment. An identity that is
        made anew has another principal, and Azure refuses to change an assignment's: hence the old assignment is
        deleted before the new one is made.
        """
        subscription = pulumi.Output.from_input(self.subscription_id)
        return authorization.RoleAssignment(
            f"{scope.label}-{role.name.lower().replace('_', '-')}-{grantee.label}",
            role_assignment_name=subscription.apply(
                lambda value: self.names.role_assignment(
                    value, grantee=grantee.label, role=role.name, scope=scope.label
                )
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
