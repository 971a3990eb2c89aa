"""Tenants, subscriptions, locations and the flat list of resources; the routes of resource providers."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm import providers, resource_types
from localcloud.arm.filters import filtered
from localcloud.arm.resource_types import LOCATIONS, Call, ProviderRoute
from localcloud.arm.wire import page
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID

_VERSIONS = (
    "2014-04-01", "2015-01-01", "2015-11-01", "2016-02-01", "2016-06-01", "2016-07-01", "2016-09-01", "2017-05-10",
    "2018-02-01", "2018-05-01", "2018-06-01", "2019-03-01", "2019-05-01", "2019-05-10", "2019-06-01", "2019-07-01",
    "2019-08-01", "2019-10-01", "2019-11-01", "2020-01-01", "2020-05-01", "2020-06-01", "2020-08-01", "2020-10-01",
    "2021-01-01", "2021-04-01", "2022-09-01", "2022-12-01", "2023-07-01", "2024-03-01", "2024-07-01", "2024-11-01",
    "2025-03-01", "2025-04-01",
)  # fmt: skip
"""Versions of Microsoft.Resources (azure-mgmt-resource and azure-mgmt-resource-subscriptions)."""


def subscription() -> Json:
    return {
        "id": f"/subscriptions/{SUBSCRIPTION_ID}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": SUBSCRIPTION_ID,
        "tenantId": TENANT_ID,
        "displayName": "localcloud",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


async def _tenants(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return {
        "value": [
            {
                "id": f"/tenants/{TENANT_ID}",
                "tenantId": TENANT_ID,
                "tenantCategory": "Home",
                "displayName": "localcloud",
                "countryCode": "US",
                "defaultDomain": "localcloud.onmicrosoft.com",
                "domains": ["localcloud.onmicrosoft.com"],
            }
        ]
    }


async def _subscriptions(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return {"value": [subscription()], "count": {"type": "Total", "value": 1}}


async def _subscription(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return subscription()


async def _locations(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return {
        "value": [
            {
                "id": f"/subscriptions/{SUBSCRIPTION_ID}/locations/{name}",
                "name": name,
                "type": "Region",
                "displayName": display_name,
                "regionalDisplayName": display_name,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
            }
            for name, display_name in LOCATIONS.items()
        ]
    }


def _expanded(resource: Resource, call: Call) -> Json:
    """Return the fields that $expand adds."""
    data = resource.system_data or {}
    fields = {
        "createdTime": data.get("createdAt"), "changedTime": data.get("lastModifiedAt"),
        "provisioningState": resource.properties.get("provisioningState"),
    }  # fmt: skip
    expansions = {name.strip() for name in call.query.get("$expand", "").split(",")}
    return {name: value for name, value in fields.items() if name in expansions and value is not None}


async def _resources(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Tracked resources, without their properties, as ARM's cache has them."""
    scope = f"/subscriptions/{SUBSCRIPTION_ID}"
    if "group" in parameters:
        scope += f"/resourceGroups/{parameters['group']}"
        if ctx.resources.get(scope) is None:
            raise ServiceError(
                404, "ResourceGroupNotFound", f"Resource group '{parameters['group']}' could not be found."
            )
    tracked = []
    for resource in ctx.resources.list(scope=scope):
        type_ = resource_types.of(ctx).get(resource.type)
        if type_ is not None and type_.tracked and type_.short != "resourceGroups":
            rendered = resource.to_json()
            keep = ("id", "name", "type", "location", "tags", "kind", "sku", "identity", "managedBy")
            tracked.append({key: rendered[key] for key in keep if key in rendered} | _expanded(resource, call))
    kept = filtered(tracked, call.query.get("$filter", ""))
    return page(kept, call.query, f"{call.base_url}{scope}/resources")


def register(ctx: Context) -> None:
    """Register the routes above resource groups."""
    root = "/subscriptions/{subscription}"
    read = "Microsoft.Resources/subscriptions/"
    routes = (
        ("GET", "/tenants", None, _tenants),
        ("GET", "/subscriptions", None, _subscriptions),
        ("GET", root, f"{read}read", _subscription),
        ("GET", f"{root}/locations", f"{read}locations/read", _locations),
        ("GET", f"{root}/providers", f"{read}providers/read", providers.list_all),
        ("GET", f"{root}/providers/{{namespace}}", f"{read}providers/read", providers.show),
        ("POST", f"{root}/providers/{{namespace}}/register", None, providers.register),
        ("POST", f"{root}/providers/{{namespace}}/unregister", None, providers.unregister),
        ("GET", f"{root}/providers/{{namespace}}/resourceTypes", f"{read}providers/read", providers.types_of),
        ("GET", "/providers", None, providers.of_tenant),
        ("GET", f"{root}/resources", f"{read}resources/read", _resources),
        (
            "GET",
            f"{root}/resourceGroups/{{group}}/resources",
            f"{read}resourceGroups/resources/read",
            _resources,
        ),
    )
    ctx.types.register_routes(
        *(
            ProviderRoute(
                method=method, template=template, permission=permission, handler=handler, api_versions=_VERSIONS
            )
            for method, template, permission, handler in routes
        )
    )
