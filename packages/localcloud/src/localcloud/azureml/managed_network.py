"""Microsoft.MachineLearningServices/workspaces/outboundRules: where jobs in a workspace's managed network may go.

A rule for a private endpoint is approved at its target by the workspace's own identity, which needs a role there.
Source: learn.microsoft.com "Workspace managed virtual network isolation".
"""

from __future__ import annotations

import re
import uuid

from localcloud.arm.private_link import CONNECTIONS, SUB_RESOURCES
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml.common import API_VERSIONS, WORKSPACE, user_error, workspace_of
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

OUTBOUND_RULE = f"{WORKSPACE}/outboundRules"
_KINDS = ("PrivateEndpoint", "FQDN", "ServiceTag")
_HOST = re.compile(r"(\*\.)?[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)+")


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Raise ServiceError 400 for a rule of a workspace without managed network, or a rule without a target."""
    workspace, properties = workspace_of(ctx, resource.id), resource.properties
    mode = (workspace.properties.get("managedNetwork") or {}).get("isolationMode", "Disabled")
    if mode == "Disabled":
        raise user_error(
            f"The workspace '{workspace.name}' has no managed network (isolationMode Disabled), so it has no outbound "
            "rules.",
            code="ValidationError",
        )
    kind = properties.get("type")
    if kind not in _KINDS:
        raise user_error(f"The type '{kind}' of an outbound rule is not valid: use {', '.join(_KINDS)}.")
    if kind != "PrivateEndpoint" and mode != "AllowOnlyApprovedOutbound":
        raise user_error(
            f"Outbound rules of type {kind} need the isolation mode AllowOnlyApprovedOutbound; '{workspace.name}' has "
            f"{mode}."
        )
    destination = properties.get("destination")
    if kind == "PrivateEndpoint":
        _check_target(ctx, resource.name, destination if isinstance(destination, dict) else {})
    elif kind == "FQDN" and _HOST.fullmatch(str(destination)) is None:
        raise user_error(f"The destination '{destination}' of rule '{resource.name}' is not a host name.")
    elif kind == "ServiceTag" and not (isinstance(destination, dict) and destination.get("serviceTag")):
        raise user_error(f"The destination of rule '{resource.name}' names no serviceTag.")
    properties["category"] = properties.get("category") or "UserDefined"
    # Rules become active with the network, which the first compute or provisionManagedNetwork makes.
    properties["status"] = "Active" if _provisioned(workspace) else "Inactive"
    resource.system_data = None


def _provisioned(workspace: Resource) -> bool:
    status = (workspace.properties.get("managedNetwork") or {}).get("status") or {}
    return str(status.get("status")) == "Active"


def _check_target(ctx: Context, name: str, destination: Json) -> None:
    target = ctx.resources.get(str(destination.get("serviceResourceId") or ""))
    if target is None or target.type.lower() not in SUB_RESOURCES:
        raise user_error(
            f"The destination '{destination.get('serviceResourceId')}' of rule '{name}' does not exist or has no "
            "private link."
        )
    groups = [sub_resource.group for sub_resource in SUB_RESOURCES[target.type.lower()]]
    if destination.get("subresourceTarget") not in groups:
        raise user_error(
            f"The subresourceTarget '{destination.get('subresourceTarget')}' of rule '{name}' is not valid for "
            f"{target.type}: use one of {', '.join(groups)}."
        )


async def _put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Make the connection at the target, approved by the workspace's identity. Raises 403 when that may not."""
    properties = resource.properties
    if properties["type"] != "PrivateEndpoint" or existing is not None:
        return
    target = ctx.resources.get(properties["destination"]["serviceResourceId"])
    if target is None:
        raise ServiceError(404, "ResourceNotFound", f"The target of rule '{resource.name}' was deleted meanwhile.")
    workspace = workspace_of(ctx, resource.id)
    # The built-in role for this approves storage by writing the connection, vaults and registries by the action.
    action = f"{target.type}/{CONNECTIONS}/write"
    actions = (action, f"{target.type}/PrivateEndpointConnectionsApproval/action")
    principals = (ctx.identities.by_object_id(object_id) for object_id in principals_of(ctx, workspace))
    approvers = [principal for principal in principals if principal is not None]
    if not any(ctx.authorizer.allows(approver, action, target.id) for approver in approvers for action in actions):
        raise ServiceError(
            403,
            "AuthorizationFailed",
            f"The identity of workspace '{workspace.name}' does not have authorization to perform action '{action}' "
            f"over scope '{target.id}': give it the role Azure AI Enterprise Network Connection Approver there.",
        )
    name = f"{workspace.name}.{resource.name}.{uuid.uuid4()}"
    ctx.resources.put(
        Resource(
            id=f"{target.id}/{CONNECTIONS}/{name}",
            type=f"{target.type}/{CONNECTIONS}",
            name=name,
            properties={
                "provisioningState": "Succeeded",
                "privateEndpoint": {"id": resource.id},
                "groupIds": [properties["destination"]["subresourceTarget"]],
                "privateLinkServiceConnectionState": {
                    "status": "Approved", "description": "Auto-Approved", "actionsRequired": "None",
                },
            },
        )
    )  # fmt: skip


def _target(ctx: Context, rule: Resource) -> Resource | None:
    """Return the target of a rule's private endpoint."""
    destination = rule.properties.get("destination")
    return ctx.resources.get(str(destination.get("serviceResourceId"))) if isinstance(destination, dict) else None


def principals_of(ctx: Context, workspace: Resource) -> list[str]:
    """Object ids of the workspace's identity: its primary user-assigned one, or its system-assigned one."""
    identity = workspace.identity or {}
    primary = str(workspace.properties.get("primaryUserAssignedIdentity") or "").lower()
    assigned = {id_.lower(): detail for id_, detail in (identity.get("userAssignedIdentities") or {}).items()}
    chosen = [assigned[primary]] if primary in assigned else list(assigned.values())
    result = [str(detail.get("principalId")) for detail in chosen]
    return [*result, str(identity["principalId"])] if identity.get("principalId") else result


async def _delete(ctx: Context, resource: Resource, call: Call) -> None:
    destination = resource.properties.get("destination")
    target = str(destination.get("serviceResourceId") or "") if isinstance(destination, dict) else ""
    for connection in ctx.resources.children(target) if target else []:
        if (connection.properties.get("privateEndpoint") or {}).get("id", "").lower() == resource.id.lower():
            ctx.resources.delete(connection.id)


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=OUTBOUND_RULE,
            api_versions=tuple(version for version in API_VERSIONS if version >= "2023-04-01-preview"),
            name=NameRule(
                r"[A-Za-z0-9_-]{1,80}",
                "The outbound rule name '{name}' is invalid: use 1 to 80 letters, digits, hyphens and underscores.",
                "ValidationError",
            ),
            required=("properties.type",),
            complete=_complete,
            on_put=_put,
            on_delete=_delete,
            locks=_target,
            long_running=frozenset({"put", "delete"}),
            create_status=202,
        )
    )
