"""Microsoft.KeyVault/vaults, with soft delete: a deleted vault keeps its name until it is purged or recovered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from localcloud.arm.exclusive import itself
from localcloud.arm.resource_types import Call, NameRule, ProviderRoute, ResourceType
from localcloud.arm.routes import Arm
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.core.settings import SUBSCRIPTION_ID
from localcloud.keyvault.key_store import KeyStore
from localcloud.keyvault.secret_store import SecretStore

VAULT = "Microsoft.KeyVault/vaults"
DELETED_VAULT = "Microsoft.KeyVault/locations/deletedVaults"
VERSIONS = (
    "2015-06-01", "2016-10-01", "2018-02-14-preview", "2018-02-14", "2019-09-01", "2020-04-01-preview",
    "2021-04-01-preview", "2021-06-01-preview", "2021-10-01", "2021-11-01-preview", "2022-02-01-preview", "2022-07-01",
    "2022-11-01", "2023-02-01", "2023-07-01", "2024-04-01-preview", "2024-11-01", "2024-12-01-preview", "2025-05-01",
    "2026-02-01", "2026-03-01-preview", "2026-05-15",
)  # fmt: skip
_NAME = NameRule(
    r"(?=.{3,24}$)[A-Za-z](-?[A-Za-z0-9])*",
    "The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must "
    "begin with a letter, end with a letter or digit, and not contain consecutive hyphens.",
    "VaultNameNotValid",
    unique=True,
    taken_code="VaultAlreadyExists",
    taken_message="The vault name '{name}' is already in use. Vault names are globally unique so it is possible that "
    "the name is already taken.",
)


def _bad_request(message: str) -> ServiceError:
    return ServiceError(400, "BadRequest", message)


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    if str((properties.get("sku") or {}).get("name", "")).lower() not in {"standard", "premium"}:
        raise _bad_request("The parameter sku.name is not valid: use standard or premium.")
    if properties.get("createMode") != "recover" and existing is None:
        _refuse_deleted_name(ctx, resource.name)
    if properties.get("enablePurgeProtection") is False:
        raise _bad_request(
            'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is '
            "an irreversible action."
        )
    if properties.get("enableSoftDelete") is False:
        raise _bad_request(
            'The property "enableSoftDelete" can be set to false only for creating new vault. Enabling the \'soft '
            "delete' "
            "functionality is an irreversible action."
        )
    days = properties.setdefault("softDeleteRetentionInDays", 90)
    if not isinstance(days, int) or not 7 <= days <= 90:
        raise _bad_request(
            f"The property softDeleteRetentionInDays must be between 7 and 90 days, inclusive. The value {days} is not."
        )
    if existing is not None:
        if existing.properties.get("enablePurgeProtection"):
            properties["enablePurgeProtection"] = True
        if days != existing.properties["softDeleteRetentionInDays"]:
            raise _bad_request(
                'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified '
                f"(it is {existing.properties['softDeleteRetentionInDays']}, not {days})."
            )
    if not properties.get("enableRbacAuthorization") and properties.get("accessPolicies") is None:
        raise _bad_request("The parameter accessPolicies is not specified.")
    properties["sku"] = {"family": "A", "name": str(properties["sku"]["name"]).lower()}
    properties.pop("createMode", None)
    properties.setdefault("accessPolicies", [])
    properties.setdefault("enabledForDeployment", False)
    properties.setdefault("enableSoftDelete", True)
    properties.setdefault("enableRbacAuthorization", False)
    properties.setdefault("publicNetworkAccess", "Enabled")
    properties["vaultUri"] = f"https://{resource.name.lower()}.vault.azure.net/"


def _refuse_deleted_name(ctx: Context, name: str) -> None:
    deleted = ctx.resources.named(DELETED_VAULT, name)
    if deleted is not None:
        raise ServiceError(
            409,
            "ConflictError",
            f"A vault with the same name already exists in deleted state. You need to either recover or purge existing "
            f"key vault. Deleted '{name}' is in location '{deleted.properties['location']}' and leaves on "
            f"{deleted.properties['scheduledPurgeDate']}. Follow this link "
            "https://go.microsoft.com/fwlink/?linkid=2149745 "
            "for more information on soft delete.",
        )


def _deleted_id(location: str, name: str) -> str:
    root = f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.KeyVault"
    return f"{root}/locations/{location}/deletedVaults/{name}"


async def _on_put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Recover a deleted vault with its secrets."""
    if existing is None and resource.location is not None:
        ctx.resources.delete(_deleted_id(resource.location, resource.name))


async def _on_delete(ctx: Context, resource: Resource, call: Call) -> None:
    deleted = datetime.now(UTC)
    purge = deleted + timedelta(days=resource.properties["softDeleteRetentionInDays"])
    properties: Json = {
        "vaultId": resource.id,
        "location": resource.location,
        "tags": resource.tags,
        "deletionDate": now(),
        "scheduledPurgeDate": purge.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if resource.properties.get("enablePurgeProtection"):
        properties["purgeProtectionEnabled"] = True
    ctx.resources.put(
        Resource(
            id=_deleted_id(resource.location or "", resource.name),
            type=DELETED_VAULT,
            name=resource.name,
            properties=properties,
            private={"body": resource.to_json()},
        )
    )


def _render(resource: Resource) -> Json:
    return {
        "id": resource.id,
        "name": resource.name,
        "type": "Microsoft.KeyVault/deletedVaults",
        "properties": resource.properties,
    }


async def _list_deleted(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return {"value": [_render(deleted) for deleted in ctx.resources.list(DELETED_VAULT)]}


def _deleted(ctx: Context, parameters: Mapping[str, str]) -> Resource:
    deleted = ctx.resources.get(_deleted_id(parameters["location"], parameters["name"]))
    if deleted is None:
        raise ServiceError(
            404,
            "DeletedVaultNotFound",
            f"The specified deleted vault '{parameters['name']}' does not exist in location "
            f"'{parameters['location']}'.",
        )
    return deleted


async def _get_deleted(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return _render(_deleted(ctx, parameters))


async def _purge(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Response:
    deleted = _deleted(ctx, parameters)
    if deleted.properties.get("purgeProtectionEnabled"):
        raise ServiceError(
            409,
            "ConflictError",
            f"Operation 'DeletedVaultPurge' is not allowed: the vault '{deleted.name}' has purge protection and stays "
            "until "
            f"{deleted.properties['scheduledPurgeDate']}.",
        )
    ctx.resources.delete(deleted.id)
    SecretStore(ctx.database).purge(deleted.name)
    KeyStore(ctx.database).purge(deleted.name)
    operations = ctx.offered[Arm].operations
    operation = operations.start(
        "purge", deleted.id, _done, client=call.principal.object_id, api_version=call.api_version
    )
    headers = operations.headers(
        operation, call.base_url, SUBSCRIPTION_ID, "Microsoft.KeyVault", parameters["location"]
    )
    return Response(status_code=202, headers={name: headers[name] for name in ("Location", "Retry-After")})


async def _done() -> None:
    """Do nothing: the vault is purged before the answer, so that no restart finds half of it."""


async def _check_name(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    name = str(body.get("name") or "")
    try:
        _NAME.check(name)
    except ServiceError as error:
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": error.message}
    if ctx.resources.is_taken(VAULT, name) or ctx.resources.named(DELETED_VAULT, name) is not None:
        message = _NAME.taken_message.format(name=name)
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return {"nameAvailable": True}


async def _no_hsms(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Return an empty list: there are no managed HSMs, which azure-cli lists together with vaults."""
    return {"value": []}


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=VAULT,
            api_versions=VERSIONS,
            name=_NAME,
            tracked=True,
            required=("properties.tenantId", "properties.sku"),
            complete=_complete,
            on_put=_on_put,
            on_delete=_on_delete,
            locks=itself,
        )
    )
    root = "/subscriptions/{subscription}/providers/Microsoft.KeyVault"
    deleted = f"{root}/locations/{{location}}/deletedVaults/{{name}}"
    routes = (
        ("POST", f"{root}/checkNameAvailability", "checkNameAvailability/read", _check_name),
        ("GET", f"{root}/deletedVaults", "deletedVaults/read", _list_deleted),
        ("GET", f"{root}/managedHSMs", "managedHSMs/read", _no_hsms),
        ("GET", f"{root}/deletedManagedHSMs", "deletedManagedHSMs/read", _no_hsms),
        ("GET", deleted, "locations/deletedVaults/read", _get_deleted),
        ("POST", f"{deleted}/purge", "locations/deletedVaults/purge/action", _purge),
    )
    ctx.types.register_routes(
        *(
            ProviderRoute(
                method=method, template=template, permission=f"Microsoft.KeyVault/{action}", handler=handler,
                api_versions=VERSIONS,
            )
            for method, template, action, handler in routes
        )
    )  # fmt: skip
