"""The regions that have a metastore.

Azure Databricks makes one per region and attaches new workspaces to it (since November 2023); a company whose account
is older may have regions without one. LOCALCLOUD_METASTORE_REGIONS lists the regions with one: regions separated by
commas, "none", or (the default) "all".
"""

from __future__ import annotations

import os
from collections.abc import Collection

from localcloud.arm.resource_types import LOCATIONS
from localcloud.core.errors import ConfigurationError

VARIABLE = "LOCALCLOUD_METASTORE_REGIONS"


class MetastoreRegions:
    """The regions with a metastore, which may change while the gateway runs."""

    def __init__(self, regions: Collection[str]) -> None:
        self._regions = set(regions)

    @classmethod
    def from_environment(cls) -> MetastoreRegions:
        """Raise ConfigurationError when the variable has an unknown region."""
        text = os.environ.get(VARIABLE, "").strip().lower() or "all"
        if text == "all":
            return cls(LOCATIONS)
        named = set() if text == "none" else {part.strip() for part in text.split(",")}
        if unknown := sorted(named - set(LOCATIONS)):
            raise ConfigurationError(
                f"{VARIABLE} names {', '.join(unknown)}: give Azure regions such as westeurope,northeurope, or none, or"
                " all."
            )
        return cls(named)

    def has(self, region: str) -> bool:
        return region in self._regions

    def set(self, region: str, *, has: bool) -> None:
        if has:
            self._regions.add(region)
        else:
            self._regions.discard(region)

    def without(self) -> list[str]:
        return sorted(set(LOCATIONS) - self._regions)
