"""The billing features of an Application Insights component, such as its daily cap; nothing is billed here.

Defaults: azure-rest-api-specs, applicationinsights 2015-05-01, componentFeaturesAndPricing_API.json and the example of
its GET; the cap of 100 GB a day: learn.microsoft.com/azure/azure-monitor/logs/daily-cap.
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm import rules
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID

_COMPONENT = "Microsoft.Insights/components"
_FEATURES = {"Basic", "Application Insights Enterprise"}
_CAP: Json = {
    "Cap": 100.0,
    "ResetTime": 0,
    "WarningThreshold": 90,
    "StopSendNotificationWhenHitThreshold": False,
    "StopSendNotificationWhenHitCap": False,
    "MaxHistoryCap": 1000.0,
}
_READ_ONLY = {"ResetTime", "MaxHistoryCap"}


def _component(ctx: Context, parameters: Mapping[str, str]) -> Resource:
    group = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{parameters['group']}"
    component = ctx.resources.get(f"{group}/providers/{_COMPONENT}/{parameters['name']}")
    if component is None:
        raise ServiceError(
            404,
            "ResourceNotFound",
            f"The Resource '{_COMPONENT}/{parameters['name']}' under resource group '{parameters['group']}' was not "
            "found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )
    return component


def _render(component: Resource) -> Json:
    kept: Json = component.private.get("billing") or {}
    return {
        "CurrentBillingFeatures": kept.get("CurrentBillingFeatures") or ["Basic"],
        "DataVolumeCap": _CAP | (kept.get("DataVolumeCap") or {}),
    }


async def _get(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return _render(_component(ctx, parameters))


async def _put(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    component = _component(ctx, parameters)
    rules.check_locks(ctx, component.id, "write")
    features, cap = body.get("CurrentBillingFeatures") or ["Basic"], body.get("DataVolumeCap") or {}
    if not isinstance(features, list) or not set(map(str, features)) <= _FEATURES:
        raise ServiceError(
            400, "InvalidInput", f"CurrentBillingFeatures is {features}: use of {', '.join(sorted(_FEATURES))}."
        )
    if not isinstance(cap, dict) or not set(cap) <= set(_CAP):
        raise ServiceError(400, "InvalidInput", f"DataVolumeCap has other fields than {', '.join(sorted(_CAP))}.")
    component.private["billing"] = {
        "CurrentBillingFeatures": features,
        "DataVolumeCap": {name: value for name, value in cap.items() if name not in _READ_ONLY and value is not None},
    }
    ctx.resources.put(component)
    return _render(component)


def register(ctx: Context) -> None:
    """Register reading and changing a component's billing features."""
    template = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{_COMPONENT}/{{name}}"
    ctx.types.register_routes(
        *(
            ProviderRoute(
                method=method, template=f"{template}/currentbillingfeatures",
                permission=f"{_COMPONENT}/currentBillingFeatures/{verb}", handler=handler, api_versions=("2015-05-01",),
            )
            for method, verb, handler in (("GET", "read", _get), ("PUT", "write", _put))
        )
    )  # fmt: skip
