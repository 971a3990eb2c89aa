"""Common parts of the modules of Azure ML: the namespace, its published api-versions, and how to find a workspace."""

from __future__ import annotations

import re

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

NAMESPACE = "Microsoft.MachineLearningServices"
WORKSPACE = f"{NAMESPACE}/workspaces"

API_VERSIONS = (
    "2018-03-01-preview", "2018-11-19", "2019-05-01", "2019-06-01", "2019-11-01", "2020-01-01", "2020-02-18-preview",
    "2020-03-01", "2020-04-01", "2020-05-01-preview", "2020-05-15-preview", "2020-06-01", "2020-08-01",
    "2020-09-01-preview", "2021-01-01", "2021-03-01-preview", "2021-04-01", "2021-07-01", "2022-01-01-preview",
    "2022-02-01-preview", "2022-05-01", "2022-06-01-preview", "2022-10-01", "2022-10-01-preview",
    "2022-12-01-preview", "2023-02-01-preview", "2023-04-01", "2023-04-01-preview", "2023-06-01-preview",
    "2023-08-01-preview", "2023-10-01", "2024-01-01-preview", "2024-04-01", "2024-04-01-preview",
    "2024-07-01-preview", "2024-10-01", "2024-10-01-preview", "2025-01-01-preview", "2025-04-01",
    "2025-04-01-preview", "2025-06-01", "2025-07-01-preview", "2025-09-01", "2025-10-01-preview", "2025-12-01",
    "2026-01-15-preview", "2026-03-01", "2026-03-15-preview", "2026-05-01", "2026-05-15-preview",
)  # fmt: skip

ASSET_VERSIONS = tuple(version for version in API_VERSIONS if version >= "2021-03-01")
"""Assets, jobs and endpoints came with the 2021-03-01-preview API (SDK v2)."""

_WORKSPACE_ID = re.compile(
    r"(/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+)",
    re.IGNORECASE,
)


def workspace_id(id_: str) -> str:
    """Return the workspace part of the id of anything in it. Raises ValueError for an id that is not in a workspace."""
    match = _WORKSPACE_ID.match(id_)
    if match is None:
        raise ValueError(f"{id_!r} is not in an Azure ML workspace")
    return match[1]


def workspace_of(ctx: Context, id_: str) -> Resource:
    """Return the workspace that `id_` is in (or is). Raises ServiceError 404 when there is none."""
    id_ = workspace_id(id_)
    existing = ctx.resources.get(id_)
    if existing is None:
        group = id_.split("/")[4]
        raise ServiceError(
            404,
            "ResourceNotFound",
            f"The Resource '{WORKSPACE}/{id_.rsplit('/', 1)[-1]}' under resource group '{group}' was not found. For "
            "more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )
    return existing


def user_error(message: str, status: int = 400, code: str = "UserError") -> ServiceError:
    """Return a refusal in the words of Azure ML's services: the code is the kind, the message the reason."""
    return ServiceError(status, code, message)
