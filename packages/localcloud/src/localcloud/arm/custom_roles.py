"""Role definitions: Azure's built-in ones, and custom ones of a tenant.

A custom role's definition is in the tenant, regardless of the scope of its request; its assignable scopes are the
scopes at which it is shown and may be assigned. Sources: learn.microsoft.com/azure/role-based-access-control
"Understand Azure role definitions", "Azure custom roles" and "Troubleshoot Azure RBAC" (codes and limits);
Azure/azure-rest-api-specs `Microsoft.Authorization/…/authorization-RoleDefinitionsCalls.json`: PUT answers 201, DELETE
200 with the definition or
204. The existence of actions is checked by the namespace alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from localcloud.arm import ids, resource_types
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.arm.roles import BUILT_IN, ROLE_DEFINITION_TYPE, Role, built_in
from localcloud.arm.wire import page
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, ResourceStore, now

_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_LISTS = {
    "actions": "actions", "notActions": "not_actions", "dataActions": "data_actions",
    "notDataActions": "not_data_actions",
}  # fmt: skip
_ACTION = re.compile(r"(?P<namespace>[A-Za-z0-9.]+)(/[A-Za-z0-9_.*-]+)+")
_VERBS = ("read", "write", "delete", "action", "*")
_LONGEST_NAME, _LONGEST_DESCRIPTION = 512, 2048
_VERSIONS = ("2015-07-01", "2018-01-01-preview", "2022-04-01", "2022-05-01-preview")


def custom(store: ResourceStore, definition_id: str) -> Resource | None:
    """Return a custom role's definition by its id, at any scope, or its GUID; None for another one."""
    name = definition_id.rstrip("/").rsplit("/", 1)[-1].lower()
    return store.get(f"/providers/{ROLE_DEFINITION_TYPE}/{name}")


def role_of(store: ResourceStore, definition_id: str) -> Role | None:
    """Return the role, built-in or custom, of a definition's id or GUID; None when there is none."""
    definition = custom(store, definition_id)
    return built_in(definition_id) if definition is None else _role(definition)


def is_assignable(store: ResourceStore, definition_id: str, scope: str) -> bool:
    """Return whether a role may be assigned at a scope: a custom one at and below its assignable scopes."""
    definition = custom(store, definition_id)
    return definition is None or any(_covers(at, scope) for at in definition.properties["assignableScopes"])


def _covers(at: str, scope: str) -> bool:
    above, below = at.strip("/").lower(), scope.strip("/").lower()
    return below == above or below.startswith(f"{above}/")


def _role(definition: Resource) -> Role:
    (permissions,) = definition.properties["permissions"]
    lists = {name: tuple(permissions[key]) for key, name in _LISTS.items()}
    properties = definition.properties
    return Role(definition.name, properties["roleName"], properties["description"], **lists)


def _render(definition: Resource, scope: str) -> Json:
    subscription = _subscription(scope) or _subscription(definition.properties["assignableScopes"][0])
    return {
        "id": f"{subscription}/providers/{ROLE_DEFINITION_TYPE}/{definition.name}",
        "type": ROLE_DEFINITION_TYPE,
        "name": definition.name,
        "properties": definition.properties,
    }


def _subscription(scope: str) -> str:
    parts = scope.strip("/").split("/")
    return f"/subscriptions/{parts[1]}" if len(parts) > 1 and parts[0].lower() == "subscriptions" else ""


async def _list(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """List built-in roles, and the custom ones that are assignable at the scope or above it."""
    scope = parameters.get("scope", "")
    text = call.query.get("$filter", "")
    name = re.search(r"roleName\s+eq\s+'([^']+)'", text, re.IGNORECASE)
    kind = re.search(r"type\s+eq\s+'([^']+)'", text, re.IGNORECASE)
    roles = [role.to_json(_subscription(scope)) for role in BUILT_IN]
    roles += [
        _render(definition, scope)
        for definition in ctx.resources.list(ROLE_DEFINITION_TYPE)
        if any(_covers(at, scope) or _covers(scope, at) for at in definition.properties["assignableScopes"])
    ]
    wanted = [
        definition
        for definition in roles
        if (name is None or definition["properties"]["roleName"].lower() == name[1].lower())
        and (kind is None or definition["properties"]["type"].lower() == kind[1].lower())
    ]
    return page(wanted, call.query, f"{call.base_url}{scope}/providers/{ROLE_DEFINITION_TYPE}")


async def _get(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    scope, wanted = parameters.get("scope", ""), parameters["role"]
    definition, role = custom(ctx.resources, wanted), built_in(wanted)
    if definition is not None:
        return _render(definition, scope)
    if role is None:
        raise ServiceError(
            404,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{wanted}' does not exist.",
        )
    return role.to_json(_subscription(scope))


async def _put(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Response:
    """Make or change a custom role. Raises ServiceError 400, 403 or 409."""
    name, scope = parameters["role"].lower(), parameters["scope"]
    if re.fullmatch(_GUID, name) is None:
        raise ServiceError(
            400,
            "InvalidRoleDefinitionId",
            f"The role definition ID '{parameters['role']}' is not valid. The role definition ID must be a GUID.",
        )
    if built_in(name) is not None:
        raise ServiceError(
            400, "InvalidRoleDefinitionType", f"The role definition '{name}' is a built-in role and cannot be changed."
        )
    existing = custom(ctx.resources, name)
    properties = _checked(ctx, body.get("properties") or {}, scope)
    _check_scopes(ctx, properties["assignableScopes"], scope, call)
    others = [other for other in ctx.resources.list(ROLE_DEFINITION_TYPE) if other.name != name]
    used = {str(other.properties["roleName"]).lower() for other in others} | {role.name.lower() for role in BUILT_IN}
    if properties["roleName"].lower() in used:
        raise ServiceError(
            409,
            "RoleDefinitionWithSameNameExists",
            "A role definition cannot be updated with a name that already exists.",
        )
    stamp = now()
    creator = call.principal.object_id
    properties |= {
        "createdOn": stamp if existing is None else existing.properties["createdOn"],
        "createdBy": creator if existing is None else existing.properties["createdBy"],
        "updatedOn": stamp,
        "updatedBy": creator,
    }
    resource = Resource(
        id=f"/providers/{ROLE_DEFINITION_TYPE}/{name}", type=ROLE_DEFINITION_TYPE, name=name, properties=properties
    )
    ctx.resources.put(resource)
    return JSONResponse(_render(resource, scope), 201)


async def _delete(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Response:
    definition = custom(ctx.resources, parameters["role"])
    if definition is None:
        if built_in(parameters["role"]) is not None:
            raise ServiceError(
                400, "InvalidRoleDefinitionType", f"The built-in role '{parameters['role']}' cannot be deleted."
            )
        return Response(status_code=204)
    for assignment in ctx.resources.list("Microsoft.Authorization/roleAssignments"):
        if assignment.properties["roleDefinitionId"].rsplit("/", 1)[-1].lower() == definition.name:
            raise ServiceError(
                409,
                "RoleDefinitionHasAssignments",
                f"There are existing role assignments referencing role '{definition.properties['roleName']}'.",
            )
    ctx.resources.delete(definition.id)
    return JSONResponse(_render(definition, parameters["scope"]))


def _checked(ctx: Context, properties: Json, scope: str) -> Json:
    """Return the properties in their stored form. Raises ServiceError 400 for invalid properties, as Azure does."""
    name, description = str(properties.get("roleName") or ""), str(properties.get("description") or "")
    if not name or len(name) > _LONGEST_NAME:
        raise _invalid(f"The roleName of a role definition must have 1 to {_LONGEST_NAME} characters.")
    if len(description) > _LONGEST_DESCRIPTION:
        raise _invalid(f"The description of a role definition may have {_LONGEST_DESCRIPTION} characters.")
    permissions = properties.get("permissions")
    if not isinstance(permissions, list) or len(permissions) != 1 or not isinstance(permissions[0], dict):
        raise _invalid("A role definition must have one object in permissions.")
    lists = {key: list(permissions[0].get(key) or []) for key in _LISTS}
    if not lists["actions"] and not lists["dataActions"]:
        raise _invalid("A role definition must have actions or dataActions.")
    for action in (action for actions in lists.values() for action in actions):
        _check_action(ctx, str(action))
    scopes = [str(at) for at in properties.get("assignableScopes") or [scope]]
    return {
        "roleName": name, "type": "CustomRole", "description": description, "assignableScopes": scopes,
        "permissions": [lists],
    }  # fmt: skip


def _check_action(ctx: Context, action: str) -> None:
    """Check that a provider can have an action: by its form, and by its namespace where it names one."""
    match = _ACTION.fullmatch(action)
    known = {namespace.lower() for namespace in resource_types.of(ctx).namespaces()}
    right = action == "*" or (action.startswith("*/") and action.rsplit("/", 1)[-1].lower() in _VERBS)
    if match is not None and not right:
        right = match["namespace"].lower() in known and action.rsplit("/", 1)[-1].lower() in _VERBS
    if not right:
        raise ServiceError(
            400,
            "InvalidActionOrNotAction",
            f"'{action}' does not match any of the actions supported by the providers.",
        )


def _check_scopes(ctx: Context, scopes: list[str], scope: str, call: Call) -> None:
    """Check that the caller may write definitions at every assignable scope, as on Azure ("Custom role limits")."""
    for at in scopes:
        group = ids.parse(at)
        if at.strip("/") == "" or "*" in at:
            raise _invalid(f"The assignable scope '{at}' is for built-in roles: use a subscription or resource group.")
        if not _subscription(at) or (group is not None and ctx.resources.get(at) is None):
            raise _invalid(f"The assignable scope '{at}' was not found: use a subscription or resource group.")
        if not ctx.authorizer.allows(call.principal, f"{ROLE_DEFINITION_TYPE}/write", at):
            raise ServiceError(
                403,
                "LinkedAuthorizationFailed",
                f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}' has permission to "
                f"perform action '{ROLE_DEFINITION_TYPE}/write' on scope '{scope}'; however, it does not have "
                f"permission to perform action '{ROLE_DEFINITION_TYPE}/write' on the linked scope '{at}'.",
            )


def _invalid(message: str) -> ServiceError:
    return ServiceError(400, "InvalidRoleDefinition", message)


def routes() -> list[ProviderRoute]:
    """Return the operations of role definitions.

    At the tenant's scope every signed-in caller can read built-in roles.
    """
    template = f"{{scope...}}/providers/{ROLE_DEFINITION_TYPE}"
    tenant = template.removeprefix("{scope...}")
    read = f"{ROLE_DEFINITION_TYPE}/read"

    def route(method: str, path: str, permission: str | None, handler: resource_types.RouteHandler) -> ProviderRoute:
        return ProviderRoute(
            method=method, template=path, permission=permission, handler=handler, api_versions=_VERSIONS
        )

    role = f"{template}/{{role}}"
    return [
        route("GET", tenant, None, _list),
        route("GET", f"{tenant}/{{role}}", None, _get),
        route("GET", template, read, _list),
        route("GET", role, read, _get),
        route("PUT", role, f"{ROLE_DEFINITION_TYPE}/write", _put),
        route("DELETE", role, f"{ROLE_DEFINITION_TYPE}/delete", _delete),
    ]
