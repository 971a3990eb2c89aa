"""Versioned assets of a workspace: codes, data, environments, components.

A container holds versions; it comes into being with its first version. A version's content never changes: a PUT with
other content is refused, one with other tags, description or archive mark is an update.
(Models are in localcloud.azureml.mlflow, where their registry is.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcloud.arm import ids, resource_types, rules
from localcloud.arm.resource_types import Call, NameRule, ProviderRoute, ResourceType
from localcloud.azureml import environment_builds, paths, specs
from localcloud.azureml.common import ASSET_VERSIONS, WORKSPACE, user_error, workspace_of
from localcloud.azureml.environment_builds import EnvironmentBuilds
from localcloud.core.context import Context
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now

KINDS = ("codes", "data", "environments", "components")
_MUTABLE = {"description", "tags", "isArchived", "properties", "stage", "autoRebuild", "provisioningState"}
NAME = NameRule(
    r"[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}",
    "Asset name '{name}' is invalid: use letters, digits, '-', '_' and '.', at most 255, beginning with a letter or "
    "digit.",
    "UserError",
)
VERSION = NameRule(
    r"[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}",
    "Asset version '{name}' is invalid: use letters, digits, '-', '_' and '.', at most 255.",
    "UserError",
)


def content(properties: Mapping[str, Any]) -> Json:
    """Return the part of a version that must never change."""
    return {key: value for key, value in properties.items() if key not in _MUTABLE and value is not None}


def _complete_version(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    kind = resource.type.split("/")[-2]
    set_defaults(properties)
    if existing is not None and existing.properties.get("isAnonymous"):
        # Its version is the hash of its content; its name, which the hash leaves out, may be another.
        resource.properties = dict(existing.properties)
        return
    specs.complete(ctx, resource, kind, workspace_of(ctx, resource.id))
    if existing is not None:
        check_unchanged(resource, existing, singular(kind))
    elif kind == "environments":
        environment_builds.admit(resource)


def singular(kind: str) -> str:
    """Return a kind of asset as messages name it."""
    return kind.removesuffix("s")


def set_defaults(properties: Json) -> None:
    """Fill in the fields that every version shows."""
    properties["isArchived"] = bool(properties.get("isArchived"))
    properties["isAnonymous"] = bool(properties.get("isAnonymous"))
    for name in ("tags", "properties"):
        properties[name] = dict(properties.get(name) or {})


def check_unchanged(resource: Resource, existing: Resource, kind: str) -> None:
    """Raise ServiceError 409 for a PUT that would change the content of a version."""
    if _changed(existing.properties, resource.properties):
        raise user_error(
            f"The {kind} '{resource.id.split('/')[-3]}' with version '{resource.name}' already exists and its content "
            "is different: a registered version cannot be changed. Register a new version.",
            409,
            "Conflict",
        )


def _changed(before: Json, after: Json) -> bool:
    return json.dumps(content(before), sort_keys=True) != json.dumps(content(after), sort_keys=True)


async def put_version(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Make the container or update its newest version; begin to build an environment."""
    container_id = resource.id.rsplit("/versions/", 1)[0]
    container = ctx.resources.get(container_id) or Resource(
        id=container_id,
        type=resource.type.rsplit("/", 1)[0],
        name=container_id.rsplit("/", 1)[-1],
        properties={"description": None, "tags": {}, "properties": {}, "isArchived": False},
        system_data={"createdAt": now(), "createdByType": "Application", "createdBy": call.principal.app_id},
    )
    if "dataType" in resource.properties:
        container.properties.setdefault("dataType", resource.properties["dataType"])
    if existing is None and not resource.properties["isAnonymous"]:
        container.properties["latestVersion"] = resource.name
        container.properties["nextVersion"] = str(int(resource.name) + 1) if resource.name.isdigit() else None
    container.properties["provisioningState"] = "Succeeded"
    ctx.resources.put(container)
    if existing is None and resource.type.endswith("/environments/versions"):
        ctx.offered[EnvironmentBuilds].begin(resource)


async def delete_version(ctx: Context, resource: Resource, call: Call) -> None:
    """Let the container show the newest version that remains."""
    container = ctx.resources.get(resource.id.rsplit("/versions/", 1)[0])
    if container is None or container.properties.get("latestVersion") != resource.name:
        return
    left = [version for version in ctx.resources.children(container.id, resource.type) if version.name != resource.name]
    named = [version for version in left if not version.properties.get("isAnonymous")]
    newest = max(named, key=lambda version: str((version.system_data or {}).get("createdAt", "")), default=None)
    container.properties["latestVersion"] = None if newest is None else newest.name
    ctx.resources.put(container)


async def _list_versions(ctx: Context, parent: str, call: Call) -> list[Resource]:
    """Newest first by $orderBy=createdtime desc; filters hash and hashVersion (codes), tags, listViewType."""
    kind = parent.rstrip("/").rsplit("/", 2)[1]
    if hash_ := call.query.get("hash"):
        # "If specified, return CodeVersion assets with specified content hash value, regardless of name" (the ARM
        # specification): so clients find code that was uploaded before.
        everything = ctx.resources.list(f"{WORKSPACE}/{kind}/versions", parent.rsplit(f"/{kind}/", 1)[0])
        versions = [version for version in everything if version.properties["properties"].get("hash_sha256") == hash_]
    else:
        versions = ctx.resources.children(parent, f"{WORKSPACE}/{kind}/versions")
    return filtered(versions, call.query)


async def _list_containers(ctx: Context, parent: str, call: Call, kind: str) -> list[Resource]:
    resources = filtered(ctx.resources.children(parent, f"{WORKSPACE}/{kind}"), call.query)
    return [
        container for container in resources if "latestVersion" in container.properties
    ]  # anonymous assets are not listed


def filtered(versions: list[Resource], query: Mapping[str, str]) -> list[Resource]:
    """List by listViewType (ActiveOnly by default) and tags ("a,b=c"); the newest first when the query orders so."""
    view = query.get("listViewType", "ActiveOnly")
    if view != "All":
        archived = view == "ArchivedOnly"
        versions = [version for version in versions if bool(version.properties.get("isArchived")) == archived]
    for tag in filter(None, query.get("tags", "").split(",")):
        key, _, value = tag.partition("=")
        versions = [version for version in versions if _tagged(version.properties.get("tags") or {}, key, value)]
    order = (query.get("$orderBy") or query.get("$orderby") or query.get("orderBy") or "").lower()
    if order.startswith(("createdtime", "createdat", "modifiedtime", "updatetime")):
        moment = "lastModifiedAt" if order.startswith(("modified", "update")) else "createdAt"
        versions = sorted(
            versions, key=lambda version: str((version.system_data or {}).get(moment, "")), reverse="desc" in order
        )
    return versions


def _tagged(tags: Mapping[str, str], key: str, value: str) -> bool:
    return key in tags and (not value or tags[key] == value)


def complete_container(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    before = existing.properties if existing is not None else {}
    for name in ("latestVersion", "nextVersion"):
        if name in before:
            resource.properties[name] = before[name]
    resource.properties.setdefault("isArchived", False)
    for name in ("tags", "properties"):
        resource.properties[name] = dict(resource.properties.get(name) or {})


def register(ctx: Context) -> None:
    ctx.types.register_routes(
        ProviderRoute(
            method="GET",
            template="{home...}/components/{name}/versions/azureml_default",
            permission=None,
            handler=_default_component,
        )
    )
    for kind in KINDS:
        ctx.types.register(
            ResourceType(
                type=f"{WORKSPACE}/{kind}",
                api_versions=ASSET_VERSIONS,
                name=NAME,
                complete=complete_container,
                list_in=_lister(kind),
            ),
            ResourceType(
                type=f"{WORKSPACE}/{kind}/versions",
                api_versions=ASSET_VERSIONS,
                name=VERSION,
                parent_required=False,
                required=("properties",),
                complete=_complete_version,
                on_put=put_version,
                on_delete=delete_version,
                list_in=_list_versions,
            ),
        )


async def _default_component(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Return the version for clients that name none: the latest (azure-ai-ml's DEFAULT_COMPONENT_VERSION)."""
    container = f"{parameters['home']}/components/{parameters['name']}"
    type_ = resource_types.of(ctx).get(getattr(ids.parse(f"{container}/versions/1"), "type", ""))
    if type_ is None:
        raise not_emulated(f"GET {container}/versions/azureml_default with api-version {call.api_version}")
    rules.check_version(type_, call.api_version)
    rules.authorize(ctx, call.principal, f"{type_.permission}/read", container)
    version = paths.latest_version(ctx, container, "components")
    existing = ctx.resources.get(f"{container}/versions/{version}") if version else None
    if existing is None:
        raise user_error(f"The component '{parameters['name']}' was not found.", 404, "NotFound")
    return existing.to_json()


def _lister(kind: str) -> Any:
    async def list_in(ctx: Context, parent: str, call: Call) -> list[Resource]:
        return await _list_containers(ctx, parent, call, kind)

    return list_in
