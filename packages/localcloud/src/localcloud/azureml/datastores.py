"""Datastores: named places in storage accounts. The workspace's own ones are made with it, in its storage account."""

from __future__ import annotations

from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml.common import ASSET_VERSIONS, WORKSPACE, user_error, workspace_of
from localcloud.core.context import Context
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.storage.azurite_accounts import fabric_of

TYPE = f"{WORKSPACE}/datastores"
_SECRETS = {
    "AccountKey": "key", "Sas": "sasToken", "ServicePrincipal": "clientSecret", "Certificate": "certificate",
}  # fmt: skip
_TYPES = {
    "AzureBlob": ("accountName", "containerName"),
    "AzureDataLakeGen2": ("accountName", "filesystem"),
    "AzureFile": ("accountName", "fileShareName"),
}
"""Fields that each type needs. File shares are recorded: there are none here that a job could read."""
_UNSUPPORTED = {"AzureDataLakeGen1", "OneLake", "Hdfs"}


def ensure_system_datastores(ctx: Context, workspace: Resource) -> None:
    """Make workspaceblobstore (the default) and workspaceartifactstore, with their containers.

    Their credentials follow systemDatastoresAuthMode. Idempotent; blocking.
    """
    account = str(workspace.properties["storageAccount"]).rsplit("/", 1)[-1]
    for name, container in (
        ("workspaceblobstore", f"azureml-blobstore-{workspace.properties['workspaceId']}"),
        ("workspaceartifactstore", "azureml"),
    ):
        store = ctx.resources.get(f"{workspace.id}/datastores/{name}")
        if store is None:
            fabric_of(ctx).put_container(account, container, None, {})
            store = _system(workspace, name, account, container)
        by_key = str(workspace.properties.get("systemDatastoresAuthMode")).lower() == "accesskey"
        store.properties["credentials"] = {"credentialsType": "AccountKey" if by_key else "None"}
        ctx.resources.put(store)


def _system(workspace: Resource, name: str, account: str, container: str) -> Resource:
    parts = workspace.id.split("/")
    return Resource(
        id=f"{workspace.id}/datastores/{name}",
        type=TYPE,
        name=name,
        properties={
            "description": None, "tags": {}, "properties": {}, "isDefault": name == "workspaceblobstore",
            "datastoreType": "AzureBlob", "accountName": account,
            "containerName": container, "endpoint": "core.windows.net", "protocol": "https",
            "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity",
            "subscriptionId": parts[2], "resourceGroup": parts[4],
        },
        system_data={"createdAt": now(), "createdBy": "Service Principal", "createdByType": "Application"},
        private={"system": True},
    )  # fmt: skip


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    kind = properties.get("datastoreType")
    if kind in _UNSUPPORTED:
        raise not_emulated(f"datastores of type {kind}")
    if kind not in _TYPES:
        raise user_error(f"datastoreType '{kind}' is not supported: use {' or '.join(_TYPES)}.")
    for name in _TYPES[kind]:
        if not properties.get(name):
            raise user_error(f"The property '{name}' of datastore '{resource.name}' is required.")
    credentials = properties.get("credentials") or {"credentialsType": "None"}
    form = credentials.get("credentialsType")
    if form not in {"None", *_SECRETS}:
        raise user_error(f"credentialsType '{form}' is not valid: use None, {', '.join(_SECRETS)}.")
    secrets = credentials.pop("secrets", None)
    if secrets:
        resource.private["secrets"] = secrets
    properties["credentials"] = credentials
    properties.setdefault("endpoint", "core.windows.net")
    properties.setdefault("protocol", "https")
    properties["isDefault"] = bool(existing.properties.get("isDefault")) if existing is not None else False
    properties.setdefault("tags", {})
    properties.setdefault("properties", {})
    properties.setdefault("serviceDataAccessAuthIdentity", "None")
    parts = resource.id.split("/")
    properties.setdefault("subscriptionId", parts[2])
    properties.setdefault("resourceGroup", parts[4])


async def _list(ctx: Context, parent: str, call: Call) -> list[Resource]:
    """List by isDefault, names (comma-separated) and searchText."""
    workspace_of(ctx, parent)
    stores = ctx.resources.children(parent, TYPE)
    if "isDefault" in call.query:
        is_default = call.query["isDefault"].lower() == "true"
        stores = [store for store in stores if bool(store.properties.get("isDefault")) == is_default]
    if names := call.query.get("names"):
        stores = [store for store in stores if store.name in names.split(",")]
    if text := call.query.get("searchText"):
        stores = [store for store in stores if text.lower() in store.name.lower()]
    return stores


async def _list_secrets(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    kind = str(resource.properties["credentials"]["credentialsType"])
    secrets = secrets_of(ctx, resource)
    if kind == "None" or not secrets:
        raise user_error(f"The datastore '{resource.name}' has no credentials: access is by identity.")
    return {"secretsType": kind, **secrets}


def secrets_of(ctx: Context, resource: Resource) -> Json:
    """Return the secrets of a datastore. The system's ones have the account's key where it accepts keys.

    Raises ServiceError 403 where shared keys are off.
    """
    if resource.private.get("system"):
        by_key = resource.properties["credentials"]["credentialsType"] == "AccountKey"
        return {"key": _account_key(ctx, resource)} if by_key else {}
    return {key: value for key, value in (resource.private.get("secrets") or {}).items() if key != "secretsType"}


def _account_key(ctx: Context, resource: Resource) -> str:
    """Return the account's key. Raises ServiceError 403 where shared keys are off, as the storage account does."""
    name = str(resource.properties["accountName"])
    account = ctx.resources.named("Microsoft.Storage/storageAccounts", name)
    if account is None or account.properties.get("allowSharedKeyAccess") is False:
        raise user_error(
            f"Key based authentication is not permitted on the storage account '{name}' of datastore "
            f"'{resource.name}': set the workspace's systemDatastoresAuthMode to Identity.",
            403,
            "KeyBasedAuthenticationNotPermitted",
        )
    return str(account.private["keys"][0])


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=TYPE,
            api_versions=ASSET_VERSIONS,
            name=NameRule(
                r"[a-zA-Z0-9_]{1,255}", "The datastore name '{name}' is invalid: use letters, digits and underscores."
            ),
            required=("properties",),
            complete=_complete,
            list_in=_list,
            actions={"listSecrets": _list_secrets},
            provisioning_state=False,
        )
    )
