"""Microsoft.Storage: accounts, blob services, containers (a view of Azurite's), management policies."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Mapping
from typing import Any

from localcloud.arm import ids
from localcloud.arm.exclusive import itself, parent_of
from localcloud.arm.resource_types import Call, NameRule, ProviderRoute, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.storage.arm import account_rules as storage_rules
from localcloud.storage.arm.default_service import default_service
from localcloud.storage.arm.redundancy import check_redundancy
from localcloud.storage.azurite_accounts import fabric_of

ACCOUNT = "Microsoft.Storage/storageAccounts"
SERVICE = f"{ACCOUNT}/blobServices"
CONTAINER = f"{SERVICE}/containers"
API_VERSIONS = (
    "2018-02-01", "2018-03-01-preview", "2018-07-01", "2018-11-01", "2019-04-01", "2019-06-01", "2020-08-01-preview",
    "2021-01-01", "2021-02-01", "2021-04-01", "2021-06-01", "2021-08-01", "2021-09-01", "2022-05-01", "2022-09-01",
    "2023-01-01", "2023-04-01", "2023-05-01", "2024-01-01", "2025-01-01", "2025-06-01", "2025-08-01", "2026-04-01",
    "2026-09-01",
)  # fmt: skip
_VERSIONS = (
    "2015-05-01-preview", "2015-06-15", "2016-01-01", "2016-05-01", "2016-12-01", "2017-06-01", "2017-10-01",
    *API_VERSIONS,
)  # fmt: skip
_SKUS = (
    "Standard_LRS", "Standard_GRS", "Standard_RAGRS", "Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS", "Premium_LRS",
    "Premium_ZRS", "PremiumV2_LRS", "PremiumV2_ZRS", "StandardV2_LRS", "StandardV2_GRS", "StandardV2_ZRS",
    "StandardV2_GZRS",
)  # fmt: skip
_KINDS = ("Storage", "StorageV2", "BlobStorage", "FileStorage", "BlockBlobStorage")
_NAME = NameRule(
    r"[a-z0-9]{3,24}",
    "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length "
    "and use numbers and lower-case letters only.",
    "AccountNameInvalid",
    unique=True,
    taken_code="StorageAccountAlreadyTaken",
    taken_message="The storage account named {name} is already taken.",
    own_code="StorageAccountInAnotherResourceGroup",
    own_message="The account {name} is already in another resource group in this subscription.",
)


def new_key() -> str:
    """512 random bits in base64, as Azure's account keys."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _complete_account(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check a request. Raises 400 InvalidValuesForRequestParameters with the property, 409 for another group's name."""
    sku = resource.sku or {}
    checks = ((sku.get("name"), _SKUS, "sku.name"), (resource.kind, _KINDS, "kind"))
    for value, allowed, path in checks:
        if value not in allowed:
            raise ServiceError(
                400,
                "InvalidValuesForRequestParameters",
                f"Values for request parameters are invalid: {path}. Got {value!r}; use one of {', '.join(allowed)}.",
            )
    check_redundancy(resource, existing)
    properties = resource.properties
    tls = properties.get("minimumTlsVersion")
    if tls not in {None, "TLS1_0", "TLS1_1", "TLS1_2"}:
        raise ServiceError(
            400,
            "InvalidValuesForRequestParameters",
            f"Values for request parameters are invalid: minimumTlsVersion. Got {tls!r}; use TLS1_2.",
        )
    stamp = now()
    if existing is None:
        resource.private["keys"] = [new_key(), new_key()]
        properties["creationTime"] = stamp
        properties["keyCreationTime"] = {"key1": stamp, "key2": stamp}
    else:
        for key in ("creationTime", "keyCreationTime"):
            properties[key] = existing.properties[key]
    resource.sku = {"name": sku["name"], "tier": "Premium" if str(sku["name"]).startswith("Premium") else "Standard"}
    acls: Json = {"bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [], "defaultAction": "Allow"}
    properties["networkAcls"] = acls | (properties.get("networkAcls") or {})
    storage_rules.check_network(ctx, properties["networkAcls"])
    if properties.get("publicNetworkAccess") not in {None, "Enabled", "Disabled", "SecuredByPerimeter"}:
        raise storage_rules.invalid(
            "publicNetworkAccess", f" Got {properties['publicNetworkAccess']!r}; use Enabled or Disabled."
        )
    defaults: Json = {
        "minimumTlsVersion": "TLS1_0",
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "supportsHttpsTrafficOnly": True,
        "accessTier": "Hot",
        "privateEndpointConnections": [],
    }
    for key, value in defaults.items():
        if properties.get(key) is None:
            properties[key] = value
    service = {"keyType": "Account", "enabled": True, "lastEnabledTime": properties["creationTime"]}
    encryption: Json = {"services": {"blob": service, "file": service}, "keySource": "Microsoft.Storage"}
    properties["encryption"] = encryption | (properties.get("encryption") or {})
    kinds = ("dfs", "web", "blob", "queue", "table", "file")
    properties["primaryEndpoints"] = {
        kind: f"https://{resource.name}.{'z6.web' if kind == 'web' else kind}.core.windows.net/" for kind in kinds
    }
    properties["primaryLocation"] = resource.location
    properties["statusOfPrimary"] = "available"


async def _put_account(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    fabric_of(ctx).set_account(resource.name, resource.private["keys"])


async def _delete_account(ctx: Context, resource: Resource, call: Call) -> None:
    await asyncio.to_thread(fabric_of(ctx).drop_account, resource.name)


async def _list_keys(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    """Azure lists keys even when allowSharedKeyAccess is false; the data plane then refuses them."""
    created = resource.properties["keyCreationTime"]
    return {
        "keys": [
            {"creationTime": created[name], "keyName": name, "value": value, "permissions": "FULL"}
            for name, value in zip(("key1", "key2"), resource.private["keys"], strict=True)
        ]
    }


async def _regenerate_key(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    name = body.get("keyName")
    if name not in {"key1", "key2"}:
        raise ServiceError(
            400,
            "InvalidValuesForRequestParameters",
            f"Values for request parameters are invalid: keyName. Got {name!r}; use key1 or key2.",
        )
    resource.private["keys"][0 if name == "key1" else 1] = new_key()
    resource.properties["keyCreationTime"][name] = now()
    ctx.resources.put(resource)
    fabric_of(ctx).set_account(resource.name, resource.private["keys"])
    return await _list_keys(ctx, resource, body, call)


def _account_of(ctx: Context, id_: str) -> Resource | None:
    """Return the storage account that an id of anything below it names."""
    parts = id_.strip("/").split("/")
    return ctx.resources.get("/" + "/".join(parts[:8]))


async def _read_service(ctx: Context, id_: str) -> Resource | None:
    """Return the blob service that every account has, with Azure's defaults until it is set."""
    account = _account_of(ctx, id_)
    stored = ctx.resources.get(id_)
    if account is None or not id_.lower().endswith("/default"):
        return None
    if stored is not None:
        return stored
    return Resource(
        id=f"{account.id}/blobServices/default",
        type=SERVICE,
        name="default",
        sku=account.sku,
        properties={
            "cors": {"corsRules": []},
            "deleteRetentionPolicy": {"allowPermanentDelete": False, "enabled": False},
        },
    )


def _complete_service(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    resource.properties.setdefault("cors", {"corsRules": []})
    resource.properties.setdefault("deleteRetentionPolicy", {"allowPermanentDelete": False, "enabled": False})
    storage_rules.check_blob_service(_account_of(ctx, resource.id), resource.properties)
    resource.system_data = None


def _container_resource(service_id: str, properties: Any) -> Resource:
    modified = properties.last_modified.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    content: Json = {
        "publicAccess": {"container": "Container", "blob": "Blob"}.get(properties.public_access or "", "None"),
        "leaseStatus": str(properties.lease.status or "unlocked").capitalize(),
        "leaseState": str(properties.lease.state or "available").capitalize(),
        "lastModifiedTime": modified,
        "hasImmutabilityPolicy": False,
        "hasLegalHold": False,
        "deleted": False,
        "remainingRetentionDays": 0,
        "defaultEncryptionScope": "$account-encryption-key",
        "denyEncryptionScopeOverride": False,
        "immutableStorageWithVersioning": {"enabled": False},
    }
    if properties.metadata:
        content["metadata"] = dict(properties.metadata)
    return Resource(
        id=f"{service_id}/containers/{properties.name}",
        type=CONTAINER,
        name=properties.name,
        properties=content,
        extra={"etag": f'"{str(properties.etag).strip(chr(34))}"'},
    )


async def _read_container(ctx: Context, id_: str) -> Resource | None:
    account, rid = _account_of(ctx, id_), ids.parse(id_)
    if account is None or rid is None:
        return None
    container = await asyncio.to_thread(fabric_of(ctx).container_properties, account.name, rid.name)
    return None if container is None else _container_resource(f"{account.id}/blobServices/default", container)


async def _list_containers(ctx: Context, parent: str, call: Call) -> list[Resource]:
    """$filter is a prefix, as the storage provider's is (a name, not OData)."""
    account = _account_of(ctx, parent)
    if account is None:
        return []
    prefix = call.query.get("$filter", "")
    containers = await asyncio.to_thread(fabric_of(ctx).containers, account.name, prefix)
    return [_container_resource(f"{account.id}/blobServices/default", container) for container in containers]


def _complete_container(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    access = resource.properties.setdefault("publicAccess", "None")
    if access not in {"None", "Blob", "Container"}:
        raise ServiceError(
            400,
            "InvalidValuesForRequestParameters",
            f"Values for request parameters are invalid: publicAccess. Got {access!r}; use None, Blob or Container.",
        )
    account = _account_of(ctx, resource.id)
    if access != "None" and account is not None and not account.properties.get("allowBlobPublicAccess"):
        raise ServiceError(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")


async def _put_container(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    account = _account_of(ctx, resource.id)
    if account is None:
        raise ServiceError(404, "ParentResourceNotFound", f"The storage account of '{resource.id}' was not found.")
    access = {"Blob": "blob", "Container": "container"}.get(resource.properties["publicAccess"])
    metadata = resource.properties.get("metadata") or {}
    await asyncio.to_thread(fabric_of(ctx).put_container, account.name, resource.name, access, metadata)


async def _delete_container(ctx: Context, resource: Resource, call: Call) -> None:
    account = _account_of(ctx, resource.id)
    if account is not None:
        await asyncio.to_thread(fabric_of(ctx).delete_container, account.name, resource.name)


async def _check_name(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    name = str(body.get("name") or "")
    try:
        _NAME.check(name)
    except ServiceError as error:
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": error.message}
    if ctx.resources.is_taken(ACCOUNT, name):
        message = _NAME.taken_message.format(name=name)
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return {"nameAvailable": True}


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=ACCOUNT,
            api_versions=_VERSIONS,
            name=_NAME,
            tracked=True,
            required=("sku.name", "kind"),
            immutable=(
                "kind",
                "properties.isHnsEnabled",
                "properties.isNfsV3Enabled",
                "properties.encryption.requireInfrastructureEncryption",
            ),
            immutable_code="AccountPropertyCannotBeUpdated",
            immutable_message="The property '{property}' was specified in the input, but it cannot be updated.",
            complete=_complete_account,
            on_put=_put_account,
            on_delete=_delete_account,
            locks=itself,
            long_running=frozenset({"create"}),
            create_status=202,
            actions={
                "listKeys": _list_keys,
                "regenerateKey": _regenerate_key,
                "hnsonmigration": storage_rules.upgrade,
            },
        ),
        default_service(SERVICE, "blob", API_VERSIONS, read=_read_service, complete=_complete_service),
        ResourceType(
            type=CONTAINER,
            api_versions=API_VERSIONS,
            # resource-name-rules: lowercase letters, digits and single hyphens between them.
            name=NameRule(
                r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*|\$web|\$root|\$logs",
                "The specified container name '{name}' is invalid: use 3 to 63 lowercase letters, digits and single "
                "hyphens, starting and ending with a letter or digit.",
                "ContainerInvalidName",
            ),
            complete=_complete_container,
            on_put=_put_container,
            on_delete=_delete_container,
            read=_read_container,
            list_in=_list_containers,
            provisioning_state=False,
        ),
        ResourceType(
            type=f"{ACCOUNT}/managementPolicies",
            api_versions=tuple(version for version in API_VERSIONS if version not in {"2018-02-01", "2018-07-01"}),
            name=NameRule("default", "The management policy is named 'default', not '{name}'."),
            required=("properties.policy",),
            complete=storage_rules.complete_policy,
            locks=parent_of(1),
            create_status=200,
            provisioning_state=False,
        ),
    )
    ctx.types.register_routes(
        ProviderRoute(
            method="POST",
            template="/subscriptions/{subscription}/providers/Microsoft.Storage/checkNameAvailability",
            permission="Microsoft.Storage/checknameavailability/read",
            handler=_check_name,
            api_versions=_VERSIONS,
        )
    )
