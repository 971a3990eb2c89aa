"""Microsoft.MachineLearningServices/registries: assets that several workspaces share, with storage of their own.

The storage account and container registry of each region are made with it, in a managed resource group.
Source: learn.microsoft.com "Machine Learning registries", the ARM specification's RegistryTrackedResource.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from localcloud.arm import resource_types
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml.common import API_VERSIONS, NAMESPACE, user_error
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.storage.azurite_accounts import fabric_of

TYPE = f"{NAMESPACE}/registries"
VERSIONS = tuple(version for version in API_VERSIONS if version >= "2022-10-01-preview")
_STORAGE = "Microsoft.Storage/storageAccounts"
_ACR = "Microsoft.ContainerRegistry/registries"
_GROUP = "Microsoft.Resources/resourceGroups"
_SKUS = (
    "Standard_LRS", "Standard_GRS", "Standard_RAGRS", "Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS",
    "Premium_LRS", "Premium_ZRS",
)  # fmt: skip


def named(ctx: Context, name: str) -> Resource:
    """Return a registry by its name, which is unique in all of Azure. Raises ServiceError 404."""
    existing = ctx.resources.named(TYPE, name)
    if existing is None:
        raise user_error(f"The registry '{name}' was not found.", 404, "RegistryNotFound")
    return existing


def holding(ctx: Context, account: str) -> Resource | None:
    """Return the registry that keeps its assets' files in a storage account."""
    return next((registry for registry in ctx.resources.list(TYPE) if account_of(registry) == account), None)


def account_of(registry: Resource) -> str:
    """Return the name of the storage account of the registry's own region."""
    for region in registry.properties["regionDetails"]:
        if _region(region) == registry.location:
            details = region["storageAccountDetails"][0]
            account = details.get("systemCreatedStorageAccount") or details["userCreatedStorageAccount"]
            return str(account["armResourceId"]["resourceId"]).rsplit("/", 1)[-1]
    raise ValueError(f"{registry.id} has no details of its own region")


def _region(details: Json) -> str:
    return str(details.get("location") or "").replace(" ", "").lower()


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Raise 400 ValidationError for region details without storage or without the registry's own region."""
    properties = resource.properties
    details = properties.get("regionDetails")
    if not isinstance(details, list) or not details:
        raise user_error(f"The registry '{resource.name}' needs regionDetails.", code="ValidationError")
    if resource.location not in {_region(detail) for detail in details}:
        raise user_error(
            f"regionDetails of registry '{resource.name}' must have the registry's own location '{resource.location}'.",
            code="ValidationError",
        )
    if not resource.identity:
        resource.identity = {"type": "SystemAssigned"}
    subscription = "/".join(resource.id.split("/")[:3])
    number = uuid.uuid5(uuid.NAMESPACE_URL, resource.id.lower())
    group = f"{subscription}/resourceGroups/azureml-rg-{resource.name}_{number}"
    before = existing.properties if existing is not None else {}
    properties["managedResourceGroup"] = before.get("managedResourceGroup") or {"resourceId": group}
    group = properties["managedResourceGroup"]["resourceId"]
    for detail in details:
        _complete_region(ctx, resource, detail, f"{group}/providers", f"{number.hex}{_region(detail)}")
    properties["discoveryUrl"] = (
        f"https://{resource.location}.api.azureml.ms/registrymanagement/v1.0/registries/{resource.name}/discovery"
    )
    properties["mlFlowRegistryUri"] = (
        f"azureml://{resource.location}.api.azureml.ms/mlflow/v1.0{subscription}/resourceGroups/"
        f"{resource.id.split('/')[4]}/providers/{TYPE}/{resource.name}"
    )
    properties.setdefault("publicNetworkAccess", "Enabled")
    properties.setdefault("registryPrivateEndpointConnections", [])


def _complete_region(ctx: Context, registry: Resource, details: Json, providers: str, seed: str) -> None:
    """Return the ids of the resources that Azure ML makes; resources of the user must exist."""
    unique = uuid.uuid5(uuid.NAMESPACE_URL, seed).hex[:22]
    for key, kind, type_ in (
        ("storageAccountDetails", "StorageAccount", _STORAGE),
        ("acrDetails", "AcrAccount", _ACR),
    ):
        accounts = details.get(key) or []
        if key == "storageAccountDetails" and not accounts:
            raise user_error(
                f"regionDetails of registry '{registry.name}' have no storageAccountDetails for '{_region(details)}'.",
                code="ValidationError",
            )
        for detail in accounts:
            if account := detail.get(f"systemCreated{kind}"):
                account["armResourceId"] = {"resourceId": f"{providers}/{type_}/ml{unique}"}
                if type_ == _STORAGE:
                    account["storageAccountType"] = _sku(registry, account.get("storageAccountType"))
                account["storageAccountName" if type_ == _STORAGE else "acrAccountName"] = f"ml{unique}"
            else:
                theirs = ((detail.get(f"userCreated{kind}") or {}).get("armResourceId") or {}).get("resourceId")
                existing = ctx.resources.get(str(theirs or ""))
                if existing is None or existing.type.lower() != type_.lower():
                    raise user_error(f"The {type_} '{theirs}' of the registry does not exist.", code="ValidationError")


def _sku(registry: Resource, account_type: Any) -> str:
    """Return a storage account's SKU as Azure Storage writes it: azure-ai-ml sends it in lower case. Raises 400."""
    account_sku = str(account_type or _SKUS[0])
    sku = next((known for known in _SKUS if known.lower() == account_sku.lower()), None)
    if sku is None:
        raise user_error(
            f"storageAccountType '{account_type}' of registry '{registry.name}' is not valid: use {', '.join(_SKUS)}.",
            code="ValidationError",
        )
    return sku


async def _on_put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    group = resource.properties["managedResourceGroup"]["resourceId"]
    if ctx.resources.get(group) is None:
        ctx.resources.put(
            Resource(
                id=group, type=_GROUP, name=group.rsplit("/", 1)[-1], location=resource.location,
                tags=dict(resource.tags or {}), properties={"provisioningState": "Succeeded"},
                extra={"managedBy": resource.id},
            )
        )  # fmt: skip
    for region in resource.properties["regionDetails"]:
        for storage in region["storageAccountDetails"]:
            if account := storage.get("systemCreatedStorageAccount"):
                sku = {"name": account["storageAccountType"]}
                await _make(
                    ctx, account["armResourceId"]["resourceId"], _STORAGE, _region(region), sku, "StorageV2", call
                )
        for container_registry in region.get("acrDetails") or []:
            if account := container_registry.get("systemCreatedAcrAccount"):
                sku = {"name": account.get("acrAccountSku") or "Premium"}
                await _make(ctx, account["armResourceId"]["resourceId"], _ACR, _region(region), sku, None, call)


async def _make(ctx: Context, id_: str, type_name: str, location: str, sku: Json, kind: str | None, call: Call) -> None:
    """Make a resource of the managed group, by its type's own rules, without shared keys. Idempotent."""
    type_ = resource_types.of(ctx).get(type_name)
    if type_ is None or ctx.resources.get(id_) is not None:
        return
    properties: Json = {"minimumTlsVersion": "TLS1_2", "allowSharedKeyAccess": False} if type_name == _STORAGE else {}
    resource = Resource(
        id=id_, type=type_name, name=id_.rsplit("/", 1)[-1], location=location, tags={}, sku=sku, kind=kind,
        properties=properties,
    )  # fmt: skip
    if type_.complete is not None:
        type_.complete(ctx, resource, None)
    resource.properties["provisioningState"] = "Succeeded"
    ctx.resources.put(resource)
    if type_.on_put is not None:
        await type_.on_put(ctx, resource, None, call)


async def _on_delete(ctx: Context, resource: Resource, call: Call) -> None:
    group = ctx.resources.get(resource.properties["managedResourceGroup"]["resourceId"])
    if group is None:
        return
    for member in ctx.resources.below(group.id):
        if member.type == _STORAGE:
            await asyncio.to_thread(fabric_of(ctx).drop_account, member.name)
        ctx.resources.delete(member.id)
    ctx.resources.delete(group.id)


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=TYPE,
            api_versions=VERSIONS,
            name=NameRule(
                r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}",
                "The registry name '{name}' is invalid: use 3 to 33 letters, digits, hyphens and underscores, starting "
                "with a letter or digit.",
                "ValidationError",
                unique=True,
                taken_code="Conflict",
                taken_message="The registry name '{name}' is already in use.",
            ),
            tracked=True,
            complete=_complete,
            on_put=_on_put,
            on_delete=_on_delete,
            long_running=frozenset({"put", "delete"}),
        )
    )
