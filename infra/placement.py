"""Resource group, region and tags, which every component passes on to its resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A resource group, a region and the tags of all resources in it."""

    resource_group_name: pulumi.Input[str]
    location: str
    tags: Mapping[str, str]
    subscription_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
