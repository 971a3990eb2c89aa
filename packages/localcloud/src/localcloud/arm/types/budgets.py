"""Microsoft.Consumption/budgets, on a subscription or a resource group.

Rules: learn.microsoft.com/rest/api/consumption/budgets/create-or-update; that start dates are for ever:
Azure/CanadaPubSecALZ#317, Azure/azure-quickstart-templates#7095.
"""

from __future__ import annotations

from datetime import UTC, datetime

from localcloud.arm.resource_types import NameRule, ResourceType
from localcloud.arm.types.network_common import etag
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

BUDGET = "Microsoft.Consumption/budgets"
_GRAINS = ("Monthly", "Quarterly", "Annually", "BillingMonth", "BillingQuarter", "BillingAnnual")
_OPERATORS = ("EqualTo", "GreaterThan", "GreaterThanOrEqualTo")
_EARLIEST = datetime(2017, 6, 1, tzinfo=UTC)
_MOST_NOTIFICATIONS, _HIGHEST_THRESHOLD = 5, 1000


def _bad(message: str) -> ServiceError:
    return ServiceError(400, "400", message)


def _date(text: object, name: str) -> datetime:
    try:
        date = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise _bad(f"The {name} '{text}' is not a date: give one such as 2026-01-01T00:00:00Z.") from error
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _check_period(properties: Json, existing: Resource | None) -> None:
    period = properties["timePeriod"]
    start = _date(period.get("startDate"), "startDate")
    if start.day != 1:
        raise _bad(f"Start date for the budget must be the first of a month, not {period['startDate']}.")
    now = datetime.now(UTC)
    first = datetime(now.year, now.month, 1, tzinfo=UTC)
    if existing is not None:
        before = _date(existing.properties["timePeriod"]["startDate"], "startDate")
        if before != start:
            raise _bad("Start date of budgets cannot be updated. Please delete and create a new budget.")
    elif start < _EARLIEST or (properties["timeGrain"] == "Monthly" and start < first):
        raise _bad(
            f"Start date for monthly time grain should not be prior to the current month: {period['startDate']} is "
            f"before {first:%Y-%m-%d}."
        )
    elif (start.year - now.year) * 12 + start.month - now.month > 12:
        raise _bad(f"Start date of the budget cannot be more than 1 year into the future: {period['startDate']}.")
    if period.get("endDate") is None:
        period["endDate"] = start.replace(year=start.year + 10).strftime("%Y-%m-%dT%H:%M:%SZ")
    elif _date(period["endDate"], "endDate") <= start:
        raise _bad(f"The end date {period['endDate']} must be later than the start date {period['startDate']}.")


def _check_notification(ctx: Context, name: str, notification: Json) -> None:
    if notification.get("operator") not in _OPERATORS:
        raise _bad(
            f"The operator '{notification.get('operator')}' of notification '{name}' is not valid: use one of "
            f"{', '.join(_OPERATORS)}."
        )
    threshold = notification.get("threshold")
    if not isinstance(threshold, int | float) or not 0 < threshold <= _HIGHEST_THRESHOLD:
        raise _bad(f"The threshold {threshold!r} of notification '{name}' must be above 0 and at most 1000.")
    contacts = [notification.get(key) or [] for key in ("contactEmails", "contactRoles", "contactGroups")]
    if not any(contacts):
        raise _bad(f"Notification '{name}' must have a contact: contactEmails, contactRoles or contactGroups.")
    for group in contacts[2]:
        if ctx.resources.get(str(group)) is None:
            raise _bad(f"The action group '{group}' of notification '{name}' was not found.")
    notification.setdefault("contactEmails", [])
    notification.setdefault("thresholdType", "Actual")
    notification.setdefault("locale", "en-us")


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    if properties["category"] not in {"Cost", "ReservationUtilization"}:
        raise _bad(f"The category '{properties['category']}' is not valid: use Cost.")
    if properties["timeGrain"] not in _GRAINS:
        raise _bad(f"The time grain '{properties['timeGrain']}' is not valid: use one of {', '.join(_GRAINS)}.")
    if existing is not None and existing.properties["timeGrain"] != properties["timeGrain"]:
        raise _bad("Time grain of budgets cannot be updated. Please delete and create a new budget.")
    amount = properties["amount"]
    if not isinstance(amount, int | float) or amount <= 0:
        raise _bad(f"The amount {amount!r} of budget '{resource.name}' must be a positive number.")
    _check_period(properties, existing)
    notifications = properties.setdefault("notifications", {})
    if len(notifications) > _MOST_NOTIFICATIONS:
        raise _bad(f"Budget '{resource.name}' has {len(notifications)} notifications; 5 are allowed.")
    for name, notification in notifications.items():
        _check_notification(ctx, name, notification)
    requested_etag = resource.extra.pop("eTag", None)
    if existing is not None and requested_etag is not None and requested_etag != etag(existing):
        raise ServiceError(409, "409", "The eTag is not that of the latest budget: get it and try again.")
    properties["currentSpend"] = {"amount": 0.0, "unit": "EUR"}
    resource.system_data = None


def _render(ctx: Context, resource: Resource) -> Json:
    return resource.to_json() | {"eTag": etag(resource)}


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=BUDGET,
            api_versions=(
                "2018-01-31", "2018-03-31", "2018-06-30", "2018-08-31", "2018-10-01", "2019-01-01", "2019-05-01",
                "2019-05-01-preview", "2019-06-01", "2019-10-01", "2019-11-01", "2021-05-01", "2021-10-01",
                "2022-09-01", "2023-03-01", "2023-05-01", "2023-11-01", "2024-08-01",
            ),
            name=NameRule(
                r"[A-Za-z0-9_-]{1,63}",
                "The budget name '{name}' is invalid: use 1 to 63 letters, digits, hyphens and underscores.",
                "400",
            ),
            extension=True,
            required=("properties.category", "properties.amount", "properties.timeGrain", "properties.timePeriod"),
            complete=_complete,
            render=_render,
            provisioning_state=False,
        )
    )  # fmt: skip
