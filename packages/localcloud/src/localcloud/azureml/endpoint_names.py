"""Names and numbers of endpoints and deployments, which batch and online endpoints of a subscription share.

Source: learn.microsoft.com "Manage and increase quotas and limits", section on online and batch endpoints.
"""

from __future__ import annotations

from localcloud.arm.resource_types import NameRule
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

ENDPOINTS = (f"{WORKSPACE}/batchEndpoints", f"{WORKSPACE}/onlineEndpoints")
NAME = NameRule(
    r"(?=.{3,32}$)[a-zA-Z](-?[a-zA-Z0-9])+",
    "The name '{name}' is invalid: use 3 to 32 letters, digits and single hyphens, beginning with a letter and not "
    "ending with a hyphen.",
    "UserError",
)
MOST_ENDPOINTS = 100
"""Limit for a region of a subscription."""
MOST_DEPLOYMENTS = 20
"""Limit for an endpoint."""
_QUOTA_GUIDE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-outofquota"


def check_new_endpoint(ctx: Context, resource: Resource) -> None:
    """Check an endpoint that is being created: endpoint names are host names, unique in a region.

    Raises ServiceError 409 for a used name, 400 OutOfQuota when the region has its greatest number of endpoints.
    """
    existing = [
        endpoint
        for type_ in ENDPOINTS
        for endpoint in ctx.resources.list(type_)
        if endpoint.location == resource.location and endpoint.id.lower() != resource.id.lower()
    ]
    if any(endpoint.name.lower() == resource.name.lower() for endpoint in existing):
        raise user_error(
            f"There already exists an endpoint with this name: {resource.name}. Endpoint names must be unique within "
            f"a region ({resource.location}).",
            409,
            "Conflict",
        )
    if len(existing) >= MOST_ENDPOINTS:
        raise out_of_quota(
            f"The subscription has {len(existing)} endpoints in region '{resource.location}', of {MOST_ENDPOINTS}."
        )


def check_new_deployment(ctx: Context, resource: Resource) -> None:
    """Check the number of an endpoint's deployments. Raises ServiceError 400 OutOfQuota."""
    endpoint = resource.id.rsplit("/deployments/", 1)[0]
    number = len(ctx.resources.children(endpoint, resource.type))
    if number >= MOST_DEPLOYMENTS:
        raise out_of_quota(f"The endpoint has {number} deployments, of {MOST_DEPLOYMENTS}.")


def out_of_quota(message: str) -> ServiceError:
    """Return the refusal of a request beyond a quota."""
    return ServiceError(400, "OutOfQuota", f"{message} {_QUOTA_GUIDE}")
