"""Role assignments: built-in roles by name, names that stay the same, and no principal that is not said to be one.

Role ids: learn.microsoft.com/azure/role-based-access-control/built-in-roles.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pulumi
from pulumi_azure_native import authorization

from infra.naming import Names


class Role(Enum):
    """Built-in roles in use, with their ids."""

    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    KEY_VAULT_ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
    KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
    ML_DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    ML_REGISTRY_USER = "1823dd4f-9b8c-4ab6-ab4e-7397a3684615"
    NETWORK_CONNECTION_APPROVER = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea"
    STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    STORAGE_BLOB_DELEGATOR = "db58b8e5-c6ad-4a2a-8342-4190687cbf4a"


@dataclass(frozen=True, kw_only=True)
class Grantee:
    """An identity that roles are given to; `label` is its name within the stack.

    The type is always given: Azure takes a missing one for a person, and cannot look up a principal seconds old.
    """

    label: str
    principal_id: pulumi.Input[str]
    type: str = "ServicePrincipal"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A resource that roles are given on. `label` is its name within the stack."""

    label: str
    id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Assigner:
    """Makes role assignments as children of `parent`."""

    names: Names
    subscription_id: pulumi.Input[str]

    def assign(
        self, parent: pulumi.Resource, role: Role, grantee: Grantee, scope: Scope
    ) -> authorization.RoleAssignment:
        """The name is made of labels, since principal ids are unknown before the first deployment.

        An identity that is made anew has another principal, and Azure refuses to change an assignment's: hence the old
        one is deleted before the new one is made.
        """
        subscription = pulumi.Output.from_input(self.subscription_id)
        label = f"{scope.label}-{role.name.lower().replace('_', '-')}-{grantee.label}"
        return authorization.RoleAssignment(
            label,
            role_assignment_name=subscription.apply(
                lambda value: self.names.role_assignment(value, grantee.label, role.name, scope.label)
            ),
            role_definition_id=pulumi.Output.concat(
                "/subscriptions/", subscription, "/providers/Microsoft.Authorization/roleDefinitions/", role.value
            ),
            principal_id=grantee.principal_id,
            principal_type=grantee.type,
            scope=scope.id,
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        )
