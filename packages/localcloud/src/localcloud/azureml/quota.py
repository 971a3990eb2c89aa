"""Offer of a region for computes: virtual machine sizes, and how much of the subscription's quota is used.

The sizes are common ones of training clusters, with the figures of learn.microsoft.com "Sizes for virtual machines in
Azure". A cluster may have any other size: clients show this list, and nothing is limited to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm.resource_types import LOCATIONS, Call, ProviderRoute
from localcloud.azureml.common import API_VERSIONS, NAMESPACE, WORKSPACE
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json

_SIZES = (
    # name, family, vCPUs, GPUs, memory in GB, temporary disk in MB
    ("Standard_D2_v2", "standardDv2Family", 2, 0, 7.0, 102400),
    ("Standard_DS1_v2", "standardDSv2Family", 1, 0, 3.5, 7168),
    ("Standard_DS2_v2", "standardDSv2Family", 2, 0, 7.0, 14336),
    ("Standard_DS3_v2", "standardDSv2Family", 4, 0, 14.0, 28672),
    ("Standard_DS4_v2", "standardDSv2Family", 8, 0, 28.0, 57344),
    ("Standard_DS11_v2", "standardDSv2Family", 2, 0, 14.0, 28672),
    ("Standard_DS12_v2", "standardDSv2Family", 4, 0, 28.0, 57344),
    ("Standard_D4s_v3", "standardDSv3Family", 4, 0, 16.0, 32768),
    ("Standard_D8s_v3", "standardDSv3Family", 8, 0, 32.0, 65536),
    ("Standard_E4s_v3", "standardESv3Family", 4, 0, 32.0, 65536),
    ("Standard_F4s_v2", "standardFSv2Family", 4, 0, 8.0, 32768),
    ("Standard_F8s_v2", "standardFSv2Family", 8, 0, 16.0, 65536),
    ("Standard_NC6s_v3", "standardNCSv3Family", 6, 1, 112.0, 344064),
    ("Standard_NC4as_T4_v3", "Standard NCASv3_T4 Family", 4, 1, 28.0, 180224),
    ("Standard_NC24ads_A100_v4", "StandardNCADSA100v4Family", 24, 1, 220.0, 65536),
)
_LIMIT = 100
"""vCPUs of a family in a region."""


def _check(location: str) -> str:
    location = location.replace(" ", "").lower()
    if location not in LOCATIONS:
        raise ServiceError(
            400, "LocationNotAvailableForResourceType", f"The location '{location}' is not a region of Azure."
        )
    return location


async def _sizes(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    _check(parameters["location"])
    return {
        "value": [
            {
                "name": name, "family": family, "vCPUs": cpus, "gpus": gpus, "memoryGB": memory,
                "osVhdSizeMB": 1047552, "maxResourceVolumeMB": disk, "lowPriorityCapable": True, "premiumIO": True,
                "estimatedVMPrices": {"billingCurrency": "USD", "unitOfMeasure": "OneHour", "values": []},
                "supportedComputeTypes": ["AmlCompute"],
            }
            for name, family, cpus, gpus, memory, disk in _SIZES
        ]
    }  # fmt: skip


async def _usages(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Dedicated vCPUs by family: the running nodes of the clusters there, which are their minimum."""
    location = _check(parameters["location"])
    cpus = {name.lower(): (family, count) for name, family, count, *_ in _SIZES}
    used = dict.fromkeys(sorted({family for family, _ in cpus.values()}), 0)
    for compute in ctx.resources.list(f"{WORKSPACE}/computes", f"/subscriptions/{parameters['subscription']}"):
        inner = compute.properties.get("properties") or {}
        family, count = cpus.get(str(inner.get("vmSize")).lower(), ("", 0))
        if family and compute.properties.get("computeLocation") == location:
            used[family] += count * int(inner.get("currentNodeCount") or 0)
    base = f"/subscriptions/{parameters['subscription']}/providers/{NAMESPACE}/locations/{location}/quotas"
    return {
        "value": [
            {
                "id": f"{base}/{family}", "type": f"{NAMESPACE}/locations/usages", "unit": "Count",
                "currentValue": value, "limit": _LIMIT,
                "name": {"value": family, "localizedValue": f"{family} Cluster Dedicated vCPUs"},
            }
            for family, value in used.items()
        ]
    }  # fmt: skip


def register(ctx: Context) -> None:
    for name, handler in (("vmSizes", _sizes), ("usages", _usages)):
        ctx.types.register_routes(
            ProviderRoute(
                method="GET",
                template=f"/subscriptions/{{subscription}}/providers/{NAMESPACE}/locations/{{location}}/{name}",
                permission=f"{NAMESPACE}/locations/{name}/read",
                handler=handler,
                api_versions=API_VERSIONS,
            )
        )
