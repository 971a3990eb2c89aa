"""Microsoft.Resources/resourceGroups."""

from __future__ import annotations

import re

from localcloud.arm.ids import RESOURCE_GROUP_TYPE
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

VERSIONS = (
    "2015-11-01", "2016-02-01", "2016-07-01", "2016-09-01", "2017-05-10", "2018-02-01", "2018-05-01", "2019-03-01",
    "2019-05-01", "2019-05-10", "2019-07-01", "2019-08-01", "2019-10-01", "2020-06-01", "2020-08-01", "2020-10-01",
    "2021-01-01", "2021-04-01", "2022-09-01", "2023-07-01", "2024-03-01", "2024-07-01", "2024-11-01", "2025-03-01",
    "2025-04-01",
)  # fmt: skip


async def _list(ctx: Context, parent: str, call: Call) -> list[Resource]:
    """$filter knows tagName eq 'n' and tagValue eq 'v'."""
    groups = ctx.resources.list(RESOURCE_GROUP_TYPE, parent)
    text = call.query.get("$filter")
    if not text:
        return groups
    match = re.fullmatch(r"\s*tagName eq '([^']+)'(?:\s+and\s+tagValue eq '([^']*)')?\s*", text)
    if match is None:
        raise ServiceError(
            400, "InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string."
        )
    name, value = match.groups()
    return [group for group in groups if name in (group.tags or {}) and value in (None, (group.tags or {})[name])]


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=RESOURCE_GROUP_TYPE,
            api_versions=VERSIONS,
            # resource-name-rules: 1 to 90 letters, digits, underscore, parentheses, hyphen and period, not at the end.
            name=NameRule(
                r"[\w().-]{0,89}[\w()-]",
                "The provided resource group name '{name}' has these invalid characters or a length over 90. The name "
                "can only be a letter, digit, '-', '.', '(', ')' or '_', and does not end with '.'.",
                "InvalidResourceGroupName",
            ),
            tracked=True,
            list_in=_list,
        )
    )
