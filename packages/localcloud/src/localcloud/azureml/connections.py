"""Connections of a workspace: outside resources, and their credentials. Only listsecrets shows the secrets."""

from __future__ import annotations

from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml.common import API_VERSIONS, WORKSPACE, user_error, workspace_of
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource

TYPE = f"{WORKSPACE}/connections"
_VERSIONS = tuple(version for version in API_VERSIONS if version >= "2020-06-01")
_CREDENTIALS = {
    "PAT": ("pat",),
    "UsernamePassword": ("username", "password"),
    "SAS": ("sas",),
    "AccountKey": (),
    "ServicePrincipal": ("clientId", "clientSecret", "tenantId"),
    "AccessKey": ("accessKeyId", "secretAccessKey"),
    "ApiKey": ("key",),
    "CustomKeys": ("keys",),
    "OAuth2": (),
    "ManagedIdentity": (),
    "AAD": (),
    "None": (),
}
"""Fields that each authType needs (the ARM specification's WorkspaceConnection… types)."""
_DATA = frozenset({"AzureBlob", "ADLSGen2", "AzureOneLake"})
"""Listed only with includeAll=true, as data connections are."""


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    kind = properties.get("authType")
    if kind not in _CREDENTIALS:
        raise user_error(f"authType '{kind}' is not valid: use {', '.join(_CREDENTIALS)}.", code="ValidationError")
    credentials = properties.get("credentials") or {}
    if missing := [name for name in _CREDENTIALS[kind] if not credentials.get(name)]:
        raise user_error(
            f"The connection '{resource.name}' with authType {kind} needs credentials.{missing[0]}.",
            code="ValidationError",
        )
    resource.private["credentials"] = credentials
    properties["credentials"] = None
    properties["createdByWorkspaceArmId"] = workspace_of(ctx, resource.id).id
    for name, default in (
        ("group", "Azure"), ("isSharedToAll", False), ("sharedUserList", []), ("metadata", {}), ("expiryTime", None),
        ("useWorkspaceManagedIdentity", kind == "ManagedIdentity"),
    ):  # fmt: skip
        properties.setdefault(name, default)


async def _list(ctx: Context, parent: str, call: Call) -> list[Resource]:
    """List by category, target and includeAll."""
    connections = ctx.resources.children(parent, TYPE)
    if call.query.get("includeAll", "").lower() != "true":
        connections = [connection for connection in connections if connection.properties["category"] not in _DATA]
    for name in ("category", "target"):
        if value := call.query.get(name):
            connections = [
                connection for connection in connections if str(connection.properties[name]).lower() == value.lower()
            ]
    return connections


async def _list_secrets(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    rendered = resource.to_json()
    rendered["properties"]["credentials"] = resource.private.get("credentials") or None
    return rendered


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=TYPE,
            api_versions=_VERSIONS,
            name=NameRule(
                r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}",
                "The connection name '{name}' is invalid: use 3 to 33 letters, digits, hyphens and underscores, "
                "beginning with a letter or digit.",
                "ValidationError",
            ),
            required=("properties.category", "properties.authType", "properties.target"),
            complete=_complete,
            list_in=_list,
            actions={"listsecrets": _list_secrets},
            create_status=200,
            provisioning_state=False,
        )
    )
