"""Microsoft.Features: the preview features of a subscription, of which localcloud has none."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.core.context import Context
from localcloud.core.json import Json

_VERSIONS = ("2014-08-01-preview", "2015-12-01", "2021-07-01")


async def _none(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return {"value": []}


def register(ctx: Context) -> None:
    """Register the lists of features, of all resource providers and of one."""
    root = "/subscriptions/{subscription}/providers/Microsoft.Features"
    ctx.types.register_routes(
        *(
            ProviderRoute(
                method="GET", template=template, permission="Microsoft.Features/features/read", handler=_none,
                api_versions=_VERSIONS,
            )
            for template in (f"{root}/features", f"{root}/providers/{{namespace}}/features")
        )
    )  # fmt: skip
