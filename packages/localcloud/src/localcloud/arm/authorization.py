"""Microsoft.Authorization: role assignments, the actions that they allow, and locks.

An assignment at a scope holds for everything below it. A principal is matched by object id.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass

from localcloud.arm import custom_roles, ids, rules
from localcloud.arm.conditions import NONE, Attributes, ConditionError, parse
from localcloud.arm.propagation import ASSIGNED, Propagation
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.arm.roles import BY_NAME, ROLE_DEFINITION_TYPE, Role
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, ResourceStore, now
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID

ROLE_ASSIGNMENT_TYPE = "Microsoft.Authorization/roleAssignments"
_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


@dataclass(frozen=True)
class _Grant:
    """An assignment of a principal: permissions, scope, start, and condition (empty for none)."""

    scope: str
    role: Role
    condition: str
    assigned: float


class Authorization:
    """Implements core.context.Authorizer over the role assignments in the store."""

    def __init__(self, store: ResourceStore, propagation: Propagation | None = None) -> None:
        self._store = store
        self._propagation = propagation or Propagation()
        self._cached_at = (-1, -1)
        self._by_principal: dict[str, list[_Grant]] = {}

    def allows(
        self, principal: Principal, action: str, scope: str, *, data: bool = False, attributes: Attributes = NONE
    ) -> bool:
        return any(
            covers(grant.scope, scope)
            and self._propagation.has_effect(grant.assigned)
            and grant.role.grants(action, data=data)
            and (not grant.condition or parse(grant.condition).holds(action, attributes))
            for grant in self._assignments().get(principal.object_id.lower(), ())
        )

    def _assignments(self) -> dict[str, list[_Grant]]:
        """Return the assignments by object id; every request of every service reads them."""
        changes = (
            self._store.changes[ROLE_ASSIGNMENT_TYPE.lower()], self._store.changes[ROLE_DEFINITION_TYPE.lower()]
        )  # fmt: skip
        if changes != self._cached_at:
            grants: dict[str, list[_Grant]] = {}
            for assignment in self._store.list(ROLE_ASSIGNMENT_TYPE):
                role = custom_roles.role_of(self._store, assignment.properties["roleDefinitionId"])
                if role is not None:
                    condition, since = assignment.properties.get("condition") or "", assignment.private.get(ASSIGNED, 0)
                    grant = _Grant(assignment.properties["scope"], role, condition, since)
                    grants.setdefault(assignment.properties["principalId"].lower(), []).append(grant)
            self._by_principal, self._cached_at = grants, changes
        return self._by_principal

    def assign(self, principal: Principal, role_name: str, scope: str) -> None:
        """Assign a built-in role at a scope, once; for localcloud's own set-up."""
        role = BY_NAME[role_name]
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope.lower()}|{principal.object_id}|{role.id}"))
        resource = _assignment(scope, name, principal, role)
        if self._store.get(resource.id) is None:
            self._store.put(resource)


def covers(at: str, scope: str) -> bool:
    """Whether an assignment at `at` holds at `scope`: the same, or above it."""
    above, below = at.strip("/").lower(), scope.strip("/").lower()
    return above in {"", below} or below.startswith(above + "/")


def _assignment(scope: str, name: str, principal: Principal, role: Role) -> Resource:
    at = "/" + scope.strip("/")
    stamp = now()
    return Resource(
        id=f"{at}/providers/{ROLE_ASSIGNMENT_TYPE}/{name}",
        type=ROLE_ASSIGNMENT_TYPE,
        name=name,
        properties={
            "roleDefinitionId": f"/subscriptions/{SUBSCRIPTION_ID}/providers/{ROLE_DEFINITION_TYPE}/{role.id}",
            "principalId": principal.object_id,
            "principalType": principal.kind,
            "scope": at,
            "condition": None,
            "conditionVersion": None,
            "createdOn": stamp,
            "updatedOn": stamp,
            "createdBy": None,
            "updatedBy": None,
            "delegatedManagedIdentityResourceId": None,
            "description": None,
        },
    )


def _complete_assignment(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check a role assignment and set its scope.

    Raises ServiceError 400 InvalidRoleAssignmentId, RoleDefinitionDoesNotExist, PrincipalNotFound, and 409
    RoleAssignmentExists.
    """
    rid = ids.parse(resource.id)
    if rid is None:
        raise ValueError(f"{resource.id!r} is not a resource id")
    properties = resource.properties
    role = custom_roles.role_of(ctx.resources, str(properties.get("roleDefinitionId") or ""))
    if role is None:
        role_guid = str(properties.get("roleDefinitionId") or "").rsplit("/", 1)[-1]
        raise ServiceError(
            400,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{role_guid}' does not exist.",
        )
    if not custom_roles.is_assignable(ctx.resources, role.id, rid.parent):
        raise ServiceError(
            400,
            "RoleAssignmentScopeNotAssignableToRoleDefinition",
            f"The role assignment scope '{rid.parent}' is not assignable to role definition '{role.id}'.",
        )
    object_id = str(properties.get("principalId") or "")
    if re.fullmatch(_GUID, object_id) is None:
        raise ServiceError(400, "InvalidPrincipalId", "A valid principal ID must be provided for role assignment.")
    principal = ctx.identities.by_object_id(object_id)
    if principal is None:
        raise ServiceError(
            400,
            "PrincipalNotFound",
            f"Principal {object_id.replace('-', '')} does not exist in the directory {TENANT_ID}. Check that you have "
            "the correct principal ID. If you are creating this principal and then immediately assigning a role, this "
            "error might be related to a replication delay. In this case, set the role assignment principalType "
            "property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
        )
    kind = properties.get("principalType") or principal.kind
    if kind != principal.kind:
        raise ServiceError(
            400,
            "UnmatchedPrincipalType",
            f"The PrincipalId '{object_id.replace('-', '')}' has type '{principal.kind}', which is different from "
            f"specified PrincipalType '{kind}'.",
        )
    _check_condition(properties)
    fresh = _assignment(rid.parent, rid.name, principal, role)
    if existing is not None:
        same = all(existing.properties[key] == fresh.properties[key] for key in ("roleDefinitionId", "principalId"))
        if not same:
            raise ServiceError(
                400,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )
        fresh.properties |= {key: existing.properties[key] for key in ("createdOn", "createdBy")}
    else:
        _refuse_duplicate(ctx, fresh)
        resource.private[ASSIGNED] = time.time()
        fresh.properties["createdBy"] = (resource.system_data or {}).get("createdBy")
    fresh.properties["updatedBy"] = (resource.system_data or {}).get("lastModifiedBy")
    for key in ("condition", "conditionVersion", "description", "delegatedManagedIdentityResourceId"):
        fresh.properties[key] = properties.get(key)
    resource.properties = fresh.properties
    resource.system_data = None


def _check_condition(properties: Json) -> None:
    """Check a condition. Raises ServiceError 400 for an invalid condition, or a condition without its version."""
    condition = properties.get("condition")
    if not condition:
        return
    if str(properties.get("conditionVersion")) not in {"1.0", "2.0"}:
        raise ServiceError(
            400,
            "InvalidConditionVersion",
            f"The conditionVersion '{properties.get('conditionVersion')}' of a role assignment with a condition is not "
            "valid: use 2.0.",
        )
    try:
        parse(str(condition))
    except ConditionError as error:
        raise ServiceError(
            400, "InvalidCondition", f"The condition of the role assignment is invalid: {error}."
        ) from error


def attributes_of(ctx: Context, id_: str, body: Json | None) -> Attributes:
    """Return the attributes of a requested role assignment or, without a body, of the existing one, for conditions."""
    existing = ctx.resources.get(id_)
    properties = (existing.properties if existing is not None else {}) if body is None else body.get("properties") or {}
    attributes = {
        "roledefinitionid": str(properties.get("roleDefinitionId") or "").rsplit("/", 1)[-1],
        "principalid": str(properties.get("principalId") or ""),
        "principaltype": str(properties.get("principalType") or ""),
    }
    prefix = ROLE_ASSIGNMENT_TYPE.lower()
    values = {f"{prefix}:{name}": [value] for name, value in attributes.items() if value}
    return {"resource": values} if body is None else {"request": values}


def _refuse_duplicate(ctx: Context, fresh: Resource) -> None:
    for other in ctx.resources.children(fresh.properties["scope"], ROLE_ASSIGNMENT_TYPE):
        if all(other.properties[key] == fresh.properties[key] for key in ("roleDefinitionId", "principalId")):
            raise ServiceError(
                409,
                "RoleAssignmentExists",
                f"The role assignment already exists. The ID of the existing role assignment is "
                f"{other.name.replace('-', '')}.",
            )


async def _list_assignments(ctx: Context, scope: str, call: Call) -> list[Resource]:
    """List assignments at, above and below the scope; $filter atScope() omits lower ones, principalId selects."""
    text = call.query.get("$filter", "")
    at_scope = "atscope()" in text.lower()
    principal = re.search(r"(?:principalId|assignedTo)\s*(?:eq\s*|\()'([^']+)'", text, re.IGNORECASE)
    unknown = re.sub(
        r"atScope\(\)|principalId\s*eq\s*'[^']*'|assignedTo\('[^']*'\)|\band\b|\s", "", text, flags=re.IGNORECASE
    )
    if unknown:
        raise ServiceError(400, "UnsupportedQuery", f"The filter '{text}' is not supported.")
    result = []
    for assignment in ctx.resources.list(ROLE_ASSIGNMENT_TYPE):
        where = assignment.properties["scope"]
        here = covers(where, scope) or (not at_scope and covers(scope, where))
        if here and (principal is None or assignment.properties["principalId"].lower() == principal[1].lower()):
            result.append(assignment)
    return result


def _complete_lock(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    if resource.properties.get("level") not in {"CanNotDelete", "ReadOnly"}:
        raise ServiceError(
            400,
            "InvalidLockLevel",
            f"The lock level '{resource.properties.get('level')}' is not valid. Use 'CanNotDelete' or 'ReadOnly'.",
        )


def register(ctx: Context) -> None:
    """Role assignments and locks as types, role definitions as routes."""
    ctx.types.register(
        ResourceType(
            type=ROLE_ASSIGNMENT_TYPE,
            api_versions=(
                "2015-07-01",
                "2017-10-01-preview",
                "2018-01-01-preview",
                "2018-09-01-preview",
                "2020-03-01-preview",
                "2020-04-01-preview",
                "2020-08-01-preview",
                "2020-10-01-preview",
                "2022-04-01",
            ),
            name=NameRule(
                _GUID,
                "The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
                "InvalidRoleAssignmentId",
            ),
            extension=True,
            required=("properties.roleDefinitionId", "properties.principalId"),
            complete=_complete_assignment,
            attributes=attributes_of,
            list_in=_list_assignments,
            provisioning_state=False,
            patchable=False,
        ),
        ResourceType(
            type=rules.LOCK_TYPE,
            api_versions=("2015-01-01", "2016-09-01", "2017-04-01", "2020-05-01"),
            name=NameRule(
                r"[A-Za-z0-9._()-]{1,90}", "The lock name '{name}' is not valid: 1 to 90 of A-Z a-z 0-9 . _ - ( )."
            ),
            extension=True,
            required=("properties.level",),
            complete=_complete_lock,
            provisioning_state=False,
        ),
    )
    ctx.types.register_routes(*custom_roles.routes())
