"""Where the bootstrap's own resources go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from bootstrap.naming import Names


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Shared by the components. `protect`: Pulumi refuses to delete what holds data.

    `allowed_ips`: who reaches states and keys by their firewalls; nobody named leaves them open to every sign-in.
    """

    names: Names
    resource_group_name: pulumi.Input[str]
    location: str
    tags: Mapping[str, str]
    protect: bool
    soft_delete_days: int
    allowed_ips: Sequence[str]
