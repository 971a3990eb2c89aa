"""Resource group, region and protection of the bootstrap's own resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from bootstrap.naming import Names


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The values that all components share. `protect`: Pulumi refuses to delete resources that hold data.

    `allowed_ips`: addresses that the firewalls of states and keys admit; without any, every address can sign in.
    """

    names: Names
    resource_group_name: pulumi.Input[str]
    location: str
    tags: Mapping[str, str]
    protect: bool
    soft_delete_days: int
    allowed_ips: Sequence[str]
