"""Checks of ARM before a resource provider sees a request: versions, scopes, names, locations, locks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.arm import ids
from localcloud.arm.api_versions import is_supported
from localcloud.arm.conditions import NONE, Attributes
from localcloud.arm.ids import ResourceId
from localcloud.arm.resource_types import LOCATIONS, ResourceType
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID

if TYPE_CHECKING:
    from localcloud.core.context import Context, Principal


_GUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_NOT_DENIED = {"Microsoft.Authorization", "Microsoft.Insights"}
LOCK_TYPE = "Microsoft.Authorization/locks"


def api_version(query: Mapping[str, str]) -> str:
    """Return the request's api-version. Raises ServiceError 400 MissingApiVersionParameter."""
    for key, value in query.items():
        if key.lower() == "api-version" and value:
            return value
    raise ServiceError(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def check_version(type_: ResourceType, version: str, location: str = "") -> None:
    """Check a version. Raises ServiceError 400 as ARM does, listing the versions of the type."""
    if is_supported(version, type_.api_versions):
        return
    supported = ", ".join(reversed(type_.api_versions))
    if type_.namespace == "Microsoft.Resources":
        raise ServiceError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid. The supported versions are '{supported}'.",
        )
    raise ServiceError(
        400,
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '{location or 'westeurope'}' and API version '{version}' "
        f"for type '{type_.short}'. The supported api-versions are '{supported}'. The supported locations are "
        f"'{', '.join(type_.locations)}'.",
    )


def authorize(ctx: Context, principal: Principal, action: str, scope: str, attributes: Attributes = NONE) -> None:
    """Check the caller's roles. Raises ServiceError 403 AuthorizationFailed in Azure's words."""
    if ctx.authorizer.allows(principal, action, scope, attributes=attributes):
        _check_denied(ctx, principal, action, scope)
        return
    raise ServiceError(
        403,
        "AuthorizationFailed",
        f"The client '{principal.app_id}' with object id '{principal.object_id}' does not have authorization to "
        f"perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, "
        "please refresh your credentials.",
    )


def _check_denied(ctx: Context, principal: Principal, action: str, scope: str) -> None:
    """Check deny assignments. Raises ServiceError 403 for a change in a resource group that Databricks manages."""
    rid = ids.parse(scope)
    namespace = action.split("/", 1)[0]
    if rid is None or not rid.resource_group or action.endswith("/read") or namespace in _NOT_DENIED:
        return
    group = ctx.resources.get(f"/subscriptions/{rid.subscription}/resourceGroups/{rid.resource_group}")
    owner = None if group is None else str(group.extra.get("managedBy") or "")
    if group is None or not owner or "/microsoft.databricks/workspaces/" not in owner.lower():
        return
    raise ServiceError(
        403,
        "DenyAssignmentAuthorizationFailed",
        f"The client '{principal.app_id}' with object id '{principal.object_id}' has permission to perform action "
        f"'{action}' on scope '{scope}'; however, the access is denied because of the deny assignment with name "
        f"'System deny assignment created by Azure Databricks {owner}' and Id "
        f"'{uuid.uuid5(uuid.NAMESPACE_URL, owner.lower()).hex}' at scope '{group.id}'.",
    )


def check_subscription(subscription: str) -> None:
    """Check a subscription id. Raises ServiceError 400 InvalidSubscriptionId, 404 SubscriptionNotFound."""
    if _GUID.fullmatch(subscription) is None:
        raise ServiceError(
            400,
            "InvalidSubscriptionId",
            f"The provided subscription identifier '{subscription}' is malformed or invalid.",
        )
    if subscription.lower() != SUBSCRIPTION_ID:
        raise ServiceError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def check_registered(ctx: Context, type_: ResourceType) -> None:
    """Check that a type's namespace is registered. Raises ServiceError 409 MissingSubscriptionRegistration.

    Text: microsoft/vscode-apimanagement#268, nforgeio/neonKUBE#1670 (status 409); the target in `details`:
    Azure/msrestazure-for-python#53. Reads are not refused: no public source shows that Azure does.
    """
    if ctx.resources.registrations.is_registered(type_.namespace):
        return
    code = "MissingSubscriptionRegistration"
    message = (
        f"The subscription is not registered to use namespace '{type_.namespace}'. See https://aka.ms/rps-not-found "
        "for how to register subscriptions."
    )
    raise ServiceError(409, code, message, details=[{"code": code, "target": type_.namespace, "message": message}])


def check_group(ctx: Context, rid: ResourceId, *, writes: bool = False) -> Resource | None:
    """Return the resource group of an id.

    Raises ServiceError 404 ResourceGroupNotFound, and 409 for a write into a group that is being deleted.
    """
    if not rid.resource_group:
        return None
    group = ctx.resources.get(f"/subscriptions/{rid.subscription}/resourceGroups/{rid.resource_group}")
    if group is None:
        raise ServiceError(404, "ResourceGroupNotFound", f"Resource group '{rid.resource_group}' could not be found.")
    if writes and group.state == "Deleting":
        raise group_goes(group)
    return group


def group_goes(group: Resource) -> ServiceError:
    """Refuse to put a resource into a resource group that is being deleted, or to change the group."""
    return ServiceError(
        409,
        "ResourceGroupBeingDeleted",
        f"The resource group '{group.name}' is in deprovisioning state and cannot perform this operation.",
    )


def parent_missing(rid: ResourceId, verb: str = "read") -> ServiceError:
    """`verb` is "write" for a PUT on an extension of something that does not exist."""
    parent = ids.parse(rid.parent)
    if parent is not None and rid.extension and verb == "read":
        return not_found(parent)
    if rid.extension:
        parent_name = rid.parent if parent is None else f"{parent.type}/{parent.name}"
        message = (
            f"Failed to perform 'write' on resource(s) of type '{rid.type.split('/', 1)[1]}', because the parent "
            f"resource '{parent_name}' could not be found."
        )
    else:
        # Resources are named by their own and their parents' names: myaccount/default.
        names = rid.parent.rsplit("/providers/", 1)[-1].split("/")[2::2]
        message = (
            f"Can not perform requested operation on nested resource. Parent resource '{'/'.join(names)}' not found."
        )
    return ServiceError(404, "ParentResourceNotFound", message)


def not_found(rid: ResourceId) -> ServiceError:
    if rid.type == ids.RESOURCE_GROUP_TYPE:
        return ServiceError(404, "ResourceGroupNotFound", f"Resource group '{rid.name}' could not be found.")
    if rid.type.lower() == "microsoft.resources/deployments":
        return ServiceError(404, "DeploymentNotFound", f"Deployment '{rid.name}' could not be found.")
    return ServiceError(
        404,
        "ResourceNotFound",
        f"The Resource '{rid.text.rsplit('/providers/', 1)[-1]}' under resource group "
        f"'{rid.resource_group or '<null>'}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )


def check_name(ctx: Context, type_: ResourceType, rid: ResourceId) -> None:
    """Check a new resource's name against its rule and, where it is globally unique, against all subscriptions."""
    if type_.name is None:
        return
    type_.name.check(rid.name)
    if type_.name.unique:
        rule = type_.name
        other = ctx.resources.named(type_.type, rid.name)
        if other is not None and other.id.lower() != rid.key:
            code, message = rule.own_code or rule.taken_code, rule.own_message or rule.taken_message
            raise ServiceError(409, code, message.format(name=rid.name))
        if ctx.resources.elsewhere.has(type_.type, rid.name):
            raise ServiceError(409, rule.taken_code, rule.taken_message.format(name=rid.name))


def check_location(type_: ResourceType, rid: ResourceId, requested: object, existing: Resource | None) -> str | None:
    """Return the normalised location of a tracked resource ("West Europe" is westeurope).

    Raises ServiceError 400 LocationRequired or LocationNotAvailableForResourceType, 409 InvalidResourceLocation.
    """
    if not type_.tracked:
        return None if requested is None else str(requested)
    if not isinstance(requested, str) or not requested.strip():
        if existing is not None:
            return existing.location
        raise ServiceError(400, "LocationRequired", "The location property is required for this definition.")
    location = requested.replace(" ", "").lower()
    if location not in type_.locations:
        available = ",".join(name for name in type_.locations if name in LOCATIONS)
        raise ServiceError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{requested}' is not available for resource type '{type_.type}'. List of available "
            f"regions for the resource type is '{available}'.",
        )
    if existing is not None and existing.location is not None and location != existing.location:
        if rid.type == ids.RESOURCE_GROUP_TYPE:
            raise ServiceError(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in location "
                f"'{existing.location}'.",
            )
        raise ServiceError(
            409,
            "InvalidResourceLocation",
            f"The resource '{rid.name}' already exists in location '{existing.location}' in resource group "
            f"'{rid.resource_group}'. A resource with the same name cannot be created in location '{location}'. "
            "Please select a new resource name.",
        )
    return location


def value_at(body: Json, path: str) -> Any:
    """Return the value at a dotted path, None when any part is missing."""
    value: Any = body
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def check_body(type_: ResourceType, body: Json, existing: Resource | None) -> None:
    """Check required and immutable properties.

    Raises ServiceError 400 InvalidRequestContent, 409 PropertyChangeNotAllowed.
    """
    for path in type_.required:
        if value_at(body, path) is None:
            raise ServiceError(
                400,
                "InvalidRequestContent",
                f"The request content was invalid and could not be deserialized: 'Required property '{path}' not found "
                "in JSON.'.",
            )
    if existing is None:
        return
    before = existing.to_json()
    for path in type_.immutable:
        old, new = value_at(before, path), value_at(body, path)
        if new is not None and not _same(old, new):
            message = type_.immutable_message.format(property=path.removeprefix("properties."))
            raise ServiceError(409, type_.immutable_code, f"{message} '{existing.id}' has {old!r}, not {new!r}.")


def _same(old: Any, new: Any) -> bool:
    """Ids and enumerations compare case-insensitively; objects by the new one's names; an unset switch is off."""
    if isinstance(old, str) and isinstance(new, str):
        return old.lower() == new.lower()
    if isinstance(old, dict) and isinstance(new, dict):
        return all(_same(old.get(key), value) for key, value in new.items())
    return bool(old == new) or (old is None and new is False)


def check_locks(ctx: Context, id_: str, operation: str) -> None:
    """Locks at, above and (for a delete) below an id. Raises ServiceError 409 ScopeLocked.

    Locks themselves are under none: else two of them would hold each other for good.
    """
    scope = id_.lower()
    if f"/providers/{LOCK_TYPE.lower()}/" in scope:
        return
    holding = []
    for lock in ctx.resources.list(LOCK_TYPE):
        parsed = ids.parse(lock.id)
        if parsed is None:
            continue
        at = parsed.parent.lower()
        above = scope == at or scope.startswith(at + "/")
        below = operation == "delete" and at.startswith(scope + "/")
        level = str(lock.properties.get("level", "")).lower()
        if (above or below) and (operation == "delete" or level == "readonly"):
            holding.append(parsed.parent)
    if holding:
        raise ServiceError(
            409,
            "ScopeLocked",
            f"The scope '{id_}' cannot perform {operation} operation because following scope(s) are locked: "
            f"'{','.join(sorted(set(holding)))}'. Please remove the lock and try again.",
        )
