"""Log Analytics workspaces, Application Insights components, diagnostic settings."""

from __future__ import annotations

import base64
import secrets
import uuid

from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.arm.types import billing_features, deleted_workspaces
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now

WORKSPACE = "Microsoft.OperationalInsights/workspaces"
COMPONENT = "Microsoft.Insights/components"
SETTING = "Microsoft.Insights/diagnosticSettings"
_MOST_SETTINGS = 5
_SKUS = ("Free", "Standard", "Premium", "PerNode", "PerGB2018", "Standalone", "CapacityReservation", "LACluster")


def _complete_workspace(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    sku = (properties.get("sku") or {}).get("name") or "PerGB2018"
    names = {name.lower(): name for name in _SKUS}
    if str(sku).lower() not in names:
        raise ServiceError(
            400, "InvalidParameter", f"The value '{sku}' of sku.name is not valid: use one of {', '.join(_SKUS)}."
        )
    days = properties.setdefault("retentionInDays", 30)
    if not isinstance(days, int) or not (days == 7 or 30 <= days <= 730):
        raise ServiceError(
            400,
            "InvalidParameter",
            f"'RetentionInDays' property doesn't match the SKU limits: {days} is not between 30 and 730.",
        )
    deleted = deleted_workspaces.recoverable(ctx, resource) if existing is None else None
    before: Json = existing.properties if existing is not None else {}
    if deleted is not None:
        before = deleted.private["body"]["properties"]
    created = before.get("createdDate") or now()
    properties["sku"] = {"name": names[str(sku).lower()], "lastSkuUpdate": created}
    properties["customerId"] = before.get("customerId") or str(uuid.uuid4())
    features: Json = {"legacy": 0, "searchVersion": 1, "enableLogAccessUsingOnlyResourcePermissions": True}
    properties["features"] = features | (properties.get("features") or {})
    properties.setdefault("workspaceCapping", {"dailyQuotaGb": -1.0, "dataIngestionStatus": "RespectQuota"})
    properties.setdefault("publicNetworkAccessForIngestion", "Enabled")
    properties.setdefault("publicNetworkAccessForQuery", "Enabled")
    properties["createdDate"] = created
    properties["modifiedDate"] = now()
    if deleted is not None:
        resource.private["keys"] = deleted.private["keys"]
    elif existing is None:
        resource.private["keys"] = [base64.b64encode(secrets.token_bytes(64)).decode() for _ in range(2)]


async def _put_workspace(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    deleted_workspaces.forget(ctx, resource)


async def _delete_workspace(ctx: Context, resource: Resource, call: Call) -> None:
    deleted_workspaces.keep(ctx, resource, call)


async def _shared_keys(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    first, second = resource.private["keys"]
    return {"primarySharedKey": first, "secondarySharedKey": second}


def _complete_component(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    linked = properties.get("WorkspaceResourceId")
    if linked is not None and ctx.resources.get(str(linked)) is None:
        raise ServiceError(
            400,
            "LinkedResourceNotFound",
            f"The linked Log Analytics workspace '{linked}' of component '{resource.name}' was not found.",
        )
    kept = existing.properties if existing is not None else {}
    key = kept.get("InstrumentationKey") or str(uuid.uuid4())
    app = kept.get("AppId") or str(uuid.uuid4())
    region = resource.location
    properties.setdefault("Application_Type", "web")
    properties.setdefault("Flow_Type", "Bluefield")
    properties.setdefault("Request_Source", "rest")
    properties.setdefault("RetentionInDays", 90)
    properties.setdefault("IngestionMode", "LogAnalytics" if linked else "ApplicationInsights")
    properties.setdefault("publicNetworkAccessForIngestion", "Enabled")
    properties.setdefault("publicNetworkAccessForQuery", "Enabled")
    properties |= {
        "ApplicationId": resource.name,
        "AppId": app,
        "Name": resource.name,
        "InstrumentationKey": key,
        "ConnectionString": f"InstrumentationKey={key};IngestionEndpoint=https://{region}-0.in.applicationinsights.azure.com/;"
        f"LiveEndpoint=https://{region}.livediagnostics.monitor.azure.com/;ApplicationId={app}",
        "CreationDate": kept.get("CreationDate") or now(),
        "TenantId": resource.id.split("/")[2],
    }
    resource.properties = properties


def _complete_setting(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check that there is at least one target, and that the workspace exists. Raises 400 BadRequest."""
    properties = resource.properties
    targets = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId")
    if not any(properties.get(target) for target in targets):
        raise ServiceError(
            400,
            "BadRequest",
            "At least one data sink needs to be specified: workspaceId, storageAccountId or an event hub.",
        )
    workspace = properties.get("workspaceId")
    if workspace and ctx.resources.get(str(workspace)) is None:
        raise ServiceError(404, "ResourceNotFound", f"The Log Analytics workspace '{workspace}' was not found.")
    if not properties.get("logs") and not properties.get("metrics"):
        raise ServiceError(400, "BadRequest", "At least one of logs and metrics needs to be specified.")
    properties.setdefault("logs", [])
    properties.setdefault("metrics", [])
    resource.system_data = None
    others = ctx.resources.children(resource.id.rsplit("/providers/", 1)[0], SETTING)
    others = [setting for setting in others if setting.id.lower() != resource.id.lower()]
    if existing is None and len(others) >= _MOST_SETTINGS:
        raise ServiceError(
            400,
            "BadRequest",
            f"The limit of {_MOST_SETTINGS} diagnostic settings was reached. To create new setting, delete an existing "
            "one.",
        )
    for other in others:
        _check_sinks(properties, other, targets)


def _check_sinks(properties: Json, other: Resource, targets: tuple[str, ...]) -> None:
    """Check sinks. Raises ServiceError 409 Conflict when another setting sends a category to the same sink."""
    shared = [
        str(properties[target])
        for target in targets
        if properties.get(target) and str(properties[target]).lower() == str(other.properties.get(target)).lower()
    ]
    both = sorted(_categories(properties) & _categories(other.properties))
    if shared and both:
        raise ServiceError(
            409,
            "Conflict",
            f"Data sink '{shared[0]}' is already used in diagnostic setting '{other.name}' for category '{both[0]}'. "
            "Data sinks can't be reused in different settings on the same category for the same resource.",
        )


def _categories(properties: Json) -> set[str]:
    """Return the enabled categories and category groups."""
    entries = [*(properties.get("logs") or []), *(properties.get("metrics") or [])]
    return {str(entry.get("category") or entry.get("categoryGroup")) for entry in entries if entry.get("enabled")}


def register(ctx: Context) -> None:
    """Register the types of this module and the operations on deleted workspaces and billing features."""
    deleted_workspaces.register(ctx)
    billing_features.register(ctx)
    ctx.types.register(
        ResourceType(
            type=WORKSPACE,
            api_versions=(
                "2015-03-20", "2015-11-01-preview", "2020-03-01-preview", "2020-08-01", "2020-10-01", "2021-06-01",
                "2021-12-01-preview", "2022-10-01", "2023-09-01", "2025-02-01", "2025-07-01",
            ),
            name=NameRule(
                r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
                "The workspace name '{name}' is invalid: use 4 to 63 letters, digits and hyphens, starting and ending "
                "with "
                "a letter or digit.",
                "InvalidWorkspaceName",
            ),
            tracked=True,
            complete=_complete_workspace,
            on_put=_put_workspace,
            on_delete=_delete_workspace,
            long_running=frozenset({"create", "delete"}),
            actions={"sharedKeys": _shared_keys},
        ),
        ResourceType(
            type=COMPONENT,
            api_versions=("2014-04-01", "2015-05-01", "2018-05-01-preview", "2020-02-02-preview", "2020-02-02"),
            name=NameRule(
                r"(?=.{1,260}$)[^%&\\?/]*[^%&\\?/. ]",
                "The component name '{name}' is invalid: up to 260 characters, without % & \\ ? /, not ending in a "
                "space or "
                "period.",
            ),
            tracked=True,
            required=("kind",),
            complete=_complete_component,
            create_status=200,
        ),
        ResourceType(
            type=SETTING,
            api_versions=("2015-07-01", "2016-09-01", "2017-05-01-preview", "2021-05-01-preview"),
            name=NameRule(
                r"[^*#&+:<>?\\/%|]{1,260}",
                "The diagnostic setting name '{name}' is invalid: 1 to 260 characters, none of * # & + : < > ? / %",
            ),
            extension=True,
            complete=_complete_setting,
            create_status=200,
            provisioning_state=False,
        ),
    )  # fmt: skip
