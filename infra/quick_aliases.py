"""Leaves out the URNs of aliases: half of the program's outputs are made for them, and current engines need none.

The vendor's SDK gives each resource an alias for each version of its API. Pulumi's SDK sends these unchanged to
engines that know alias specs, and computes URNs for older ones (pulumi/runtime/resource.py, prepare_aliases); but it
computes them in any case (`_aliases` of pulumi/resource.py). Here the engine's answer decides.
"""

from __future__ import annotations

from typing import Any

import pulumi.resource
from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2

_NAME = "collapse_alias_to_urn"


def install() -> None:
    """Compute no URNs of aliases from now on, where the engine knows alias specs."""
    compute: Any = getattr(pulumi.resource, _NAME, None)
    if compute is None or getattr(compute, "__module__", "") == __name__:
        return  # an SDK without the function has nothing to leave out

    def urn(*arguments: Any) -> Any:
        if settings.monitor_supports_feature(resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS):
            return ""
        return compute(*arguments)

    setattr(pulumi.resource, _NAME, urn)
