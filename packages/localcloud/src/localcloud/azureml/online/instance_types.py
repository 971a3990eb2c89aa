"""Virtual machine sizes of managed online deployments, and the quota that their instances need.

Source: learn.microsoft.com "Managed online endpoints SKU list" (sizes, cores, the exemptions from the reserve of 20 %),
"Virtual machine quota allocation for deployment" (ceil(1.2 * instances) * cores), the sizes' own pages (memory).
Azure's text of a refusal: "Not enough quota available for Standard_DS3_v2 in SubscriptionId …. Current usage/limit:
0/6. Additional needed: 8", as people quote it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.azureml.endpoint_names import out_of_quota
from localcloud.core.context import Context
from localcloud.core.resource import Resource

DEPLOYMENT = f"{WORKSPACE}/onlineEndpoints/deployments"
QUOTA = 100
"""Cores of a family in a region, as localcloud's vCPU quota of clusters."""
MOST_INSTANCES = 50
_LIST = "https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list"


@dataclass(frozen=True)
class InstanceType:
    """An instance size. `reserved` is whether Azure keeps a fifth of the instances for upgrades."""

    name: str
    family: str
    cores: int
    memory_gb: float
    reserved: bool = True

    def needed(self, instances: int) -> int:
        """Return the cores of the quota that a number of instances takes."""
        # In whole numbers: 1.2 * 5 is more than 6 in floating point.
        return (math.ceil(instances * 12 / 10) if self.reserved else instances) * self.cores


def _family(family: str, pattern: str, sizes: dict[int, int], memory_gb: float, reserved: bool) -> list[InstanceType]:
    """Return a family's sizes: number in the name to cores, with so much memory a core."""
    return [
        InstanceType(pattern.format(number), family, cores, cores * memory_gb, reserved)
        for number, cores in sizes.items()
    ]


def _same(*numbers: int) -> dict[int, int]:
    return {number: number for number in numbers}


_TYPES = (
    *_family("standardDASv4Family", "Standard_D{}as_v4", _same(2, 4, 8, 16, 32, 48, 64, 96), 4, True),
    *_family("standardDAv4Family", "Standard_D{}a_v4", _same(2, 4, 8, 16, 32, 48, 64, 96), 4, True),
    *_family("standardDSv2Family", "Standard_DS{}_v2", {1: 1, 2: 2, 3: 4, 4: 8, 5: 16}, 3.5, True),
    *_family("standardESv3Family", "Standard_E{}s_v3", _same(2, 4, 8, 16, 32, 48, 64), 8, True),
    *_family("standardFSv2Family", "Standard_F{}s_v2", _same(2, 4, 8, 16, 32, 48, 64, 72), 2, True),
    *_family("standardFXMDVSFamily", "Standard_FX{}mds", _same(4, 12, 24, 36, 48), 21, True),
    *_family("standardLASv3Family", "Standard_L{}as_v3", _same(8, 16, 32, 48, 64, 80), 8, True),
    *_family("standardLSv2Family", "Standard_L{}s_v2", _same(8, 16, 32, 48, 64, 80), 8, True),
    *_family("standardLSv3Family", "Standard_L{}s_v3", _same(8, 16, 32, 48, 64, 80), 8, True),
    *_family("standardNCASv3_T4Family", "Standard_NC{}as_T4_v3", _same(4, 8, 16, 64), 7, True),
    *_family("standardNCSv3Family", "Standard_NC{}s_v3", _same(6, 12, 24), 18.67, True),
    *_family("standardNCADSA100v4Family", "Standard_NC{}ads_A100_v4", _same(24, 48, 96), 9.17, False),
)
_BY_NAME = {instance_type.name.lower(): instance_type for instance_type in _TYPES}


def find(name: object) -> InstanceType:
    """Return the size of a name, in any letter case.

    Raises ServiceError 400 for a size that deployments cannot have.
    """
    instance_type = _BY_NAME.get(str(name).lower())
    if instance_type is None:
        raise user_error(
            f"The instance type '{name}' is not supported by managed online endpoints: use one such as "
            f"Standard_DS3_v2 or Standard_F4s_v2. The list is at {_LIST}.",
            code="BadArgument",
        )
    return instance_type


def used(ctx: Context, family: str, region: str | None, without: str = "") -> int:
    """Return the cores of a family that the deployments of a region use, except for the deployment of an id."""
    total = 0
    for deployment in ctx.resources.list(DEPLOYMENT):
        instance_type = _BY_NAME.get(str(deployment.properties.get("instanceType")).lower())
        if instance_type is None or instance_type.family != family or deployment.location != region:
            continue
        if deployment.id.lower() != without.lower():
            total += instance_type.needed(instances(deployment))
    return total


def instances(deployment: Resource) -> int:
    """Return a deployment's number of instances."""
    return int((deployment.sku or {}).get("capacity") or 1)


def check(ctx: Context, deployment: Resource) -> None:
    """Check size and number of instances. Raises ServiceError 400 BadArgument or OutOfQuota."""
    instance_type = find(deployment.properties["instanceType"])
    number = (deployment.sku or {}).get("capacity")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_INSTANCES:
        raise user_error(
            f"sku.capacity {number!r} is not a valid number of instances: use 1 to {MOST_INSTANCES}.",
            code="BadArgument",
        )
    used_cores = used(ctx, instance_type.family, deployment.location, deployment.id)
    needed = instance_type.needed(number)
    if used_cores + needed > QUOTA:
        raise out_of_quota(
            f"Not enough quota available for {instance_type.name} in SubscriptionId {deployment.id.split('/')[2]}. "
            f"Current usage/limit: {used_cores}/{QUOTA}. Additional needed: {needed}"
        )
