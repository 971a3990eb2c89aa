"""Microsoft.ContainerRegistry/registries."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping

from localcloud.arm.resource_types import Call, NameRule, ProviderRoute, ResourceType
from localcloud.arm.types import registry_replications
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.core.settings import SUBSCRIPTION_ID

REGISTRY = "Microsoft.ContainerRegistry/registries"
_VERSIONS = (
    "2017-03-01", "2017-10-01", "2019-05-01", "2019-12-01-preview", "2020-11-01-preview", "2021-06-01-preview",
    "2021-08-01-preview", "2021-09-01", "2021-12-01-preview", "2022-02-01-preview", "2022-12-01", "2023-01-01-preview",
    "2023-06-01-preview", "2023-07-01", "2023-08-01-preview", "2023-11-01-preview", "2024-11-01-preview",
    "2025-03-01-preview", "2025-04-01", "2025-05-01-preview", "2025-06-01-preview", "2025-11-01", "2026-01-01-preview",
    "2026-03-01-preview",
)  # fmt: skip
_LIMITS = {"Basic": (10, 2), "Standard": (100, 10), "Premium": (500, 500)}
"""Gibibytes and webhooks that a tier includes."""
_NAME = NameRule(
    r"[A-Za-z0-9]{5,50}",
    "The registry name '{name}' is invalid. Registry names must be 5 to 50 alphanumeric characters.",
    "InvalidResourceName",
    unique=True,
    taken_code="AlreadyInUse",
    taken_message="The registry DNS name {name}.azurecr.io is already in use. You can check if the name is already "
    "claimed using following API: "
    "https://docs.microsoft.com/en-us/rest/api/containerregistry/registries/checknameavailability",
)


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    tiers = {"basic": "Basic", "standard": "Standard", "premium": "Premium"}
    name = str((resource.sku or {}).get("name"))
    if name.lower() not in tiers:
        raise ServiceError(400, "InvalidSku", f"The SKU '{name}' is not valid: use Basic, Standard or Premium.")
    tier = tiers[name.lower()]
    resource.sku = {"name": tier, "tier": tier}
    properties = resource.properties
    _check_network(tier, properties)
    defaults: Json = {
        "adminUserEnabled": False,
        "anonymousPullEnabled": False,
        "publicNetworkAccess": "Enabled",
        "networkRuleBypassOptions": "AzureServices",
        "zoneRedundancy": "Disabled",
        "dataEndpointEnabled": False,
        "dataEndpointHostNames": [],
        "encryption": {"status": "disabled"},
        "privateEndpointConnections": [],
    }
    for key, value in defaults.items():
        if properties.get(key) is None:
            properties[key] = value
    properties["loginServer"] = f"{resource.name.lower()}.azurecr.io"
    properties["creationDate"] = existing.properties["creationDate"] if existing is not None else now()
    if existing is None:
        resource.private["passwords"] = [secrets.token_urlsafe(32), secrets.token_urlsafe(32)]


def _check_network(tier: str, properties: Json) -> None:
    """Firewalls are the premium tier's. Raises 400 with Azure's codes.

    Source: Azure-Samples/dotNET-Frontend-AB-Testing-on-Azure-Container-Apps#5 for the first text.
    """
    rules = properties.get("networkRuleSet") or {}
    if tier != "Premium":
        if properties.get("publicNetworkAccess") == "Disabled":
            raise ServiceError(
                400,
                "DisablingPublicNetworkAccessNotSupported",
                f"Disabling public network access is not supported for the SKU {tier}. For more information, please "
                "visit https://aka.ms/acr/private-link.",
            )
        if rules.get("defaultAction") == "Deny" or rules.get("ipRules"):
            raise ServiceError(
                400,
                "NetworkRuleNotSupported",
                f"The requested feature network rule is not supported for the SKU {tier}.",
            )
    for rule in rules.get("ipRules") or []:
        try:
            ipaddress.IPv4Network(str(rule.get("value")))
        except ValueError as error:
            raise ServiceError(
                400,
                "NetworkRuleInvalid",
                f"The network rule '{rule.get('value')}' is invalid: give a public IPv4 address or a range as CIDR.",
            ) from error


async def _credentials(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    if not resource.properties["adminUserEnabled"]:
        raise ServiceError(
            400,
            "UnAuthorizedForCredentialOperations",
            f"Cannot perform credential operations for {resource.id} as admin user is disabled. Kindly enable admin "
            "user as "
            "per docs: "
            "https://docs.microsoft.com/en-us/azure/container-registry/container-registry-authentication#admin-account",
        )
    names = ("password", "password2")
    return {
        "username": resource.name,
        "passwords": [
            {"name": name, "value": value} for name, value in zip(names, resource.private["passwords"], strict=True)
        ],
    }


async def _renew(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    """Make one of the admin user's passwords anew."""
    names = ("password", "password2")
    if body.get("name") not in names:
        raise ServiceError(400, "InvalidPasswordName", f"The password '{body.get('name')}' is none of {names}.")
    resource.private["passwords"][names.index(body["name"])] = secrets.token_urlsafe(32)
    ctx.resources.put(resource)
    return await _credentials(ctx, resource, body, call)


async def _usages(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Return the limits of the tier; there are no images and no webhooks.

    Source: learn.microsoft.com/azure/container-registry/container-registry-skus.
    """
    registry = ctx.resources.get(
        f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{parameters['group']}/providers/{REGISTRY}/"
        f"{parameters['name']}"
    )
    if registry is None:
        raise ServiceError(404, "ResourceNotFound", f"The registry '{parameters['name']}' was not found.")
    gibibytes, webhooks = _LIMITS[str((registry.sku or {})["name"])]
    return {
        "value": [
            {"name": "Size", "limit": gibibytes * 2**30, "currentValue": 0, "unit": "Bytes"},
            {"name": "Webhooks", "limit": webhooks, "currentValue": 0, "unit": "Count"},
        ]
    }


async def _check_name(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    name = str(body.get("name") or "")
    try:
        _NAME.check(name)
    except ServiceError as error:
        return {"nameAvailable": False, "reason": "Invalid", "message": error.message}
    if ctx.resources.is_taken(REGISTRY, name):
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": f"The registry {name} is already in use."}
    return {"nameAvailable": True}


async def _on_put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    registry_replications.keep_home(ctx, resource)


def register(ctx: Context) -> None:
    """Register registries, their replications and their operations."""
    registry_replications.register(ctx, _VERSIONS)
    ctx.types.register(
        ResourceType(
            type=REGISTRY,
            api_versions=_VERSIONS,
            name=_NAME,
            tracked=True,
            required=("sku.name",),
            complete=_complete,
            on_put=_on_put,
            long_running=frozenset({"create", "delete"}),
            actions={"listCredentials": _credentials, "regenerateCredential": _renew},
        )
    )
    ctx.types.register_routes(
        ProviderRoute(
            method="POST",
            template="/subscriptions/{subscription}/providers/Microsoft.ContainerRegistry/checkNameAvailability",
            permission="Microsoft.ContainerRegistry/checkNameAvailability/read",
            handler=_check_name,
            api_versions=_VERSIONS,
        ),
        ProviderRoute(
            method="GET",
            template=f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{REGISTRY}/{{name}}/listUsages",
            permission=f"{REGISTRY}/listUsages/read",
            handler=_usages,
            api_versions=_VERSIONS,
        ),
    )
