"""Microsoft.Insights: action groups and the alert rules that call them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from localcloud.arm.resource_types import LOCATIONS, NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

ACTION_GROUP = "Microsoft.Insights/actionGroups"
_SHORT_NAME = 12
_MINUTES = {
    "PT1M": 1, "PT5M": 5, "PT10M": 10, "PT15M": 15, "PT30M": 30, "PT45M": 45, "PT1H": 60, "PT2H": 120, "PT3H": 180,
    "PT4H": 240, "PT5H": 300, "PT6H": 360, "PT12H": 720, "P1D": 1440, "PT24H": 1440, "P2D": 2880, "PT48H": 2880,
}  # fmt: skip
_METRIC_FREQUENCY = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H")
_METRIC_WINDOW = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H", "PT6H", "PT12H", "P1D")
_AGGREGATIONS = ("Count", "Average", "Minimum", "Maximum", "Total")
_OPERATORS = ("Equals", "Equal", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual")
_RECEIVERS = (
    "emailReceivers", "smsReceivers", "webhookReceivers", "itsmReceivers", "azureAppPushReceivers",
    "automationRunbookReceivers", "voiceReceivers", "logicAppReceivers", "azureFunctionReceivers", "armRoleReceivers",
    "eventHubReceivers",
)  # fmt: skip
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _bad(message: str) -> ServiceError:
    return ServiceError(400, "BadRequest", message)


def _complete_group(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    short = str(properties.get("groupShortName") or "")
    if not 1 <= len(short) <= _SHORT_NAME:
        raise _bad(f"The groupShortName '{short}' of action group '{resource.name}' must have 1 to 12 characters.")
    properties.setdefault("enabled", True)
    names: list[str] = []
    for kind in _RECEIVERS:
        properties.setdefault(kind, [])
        names += [str(entry.get("name") or "") for entry in properties[kind]]
    if "" in names or len(set(names)) != len(names):
        raise _bad(f"The receivers of action group '{resource.name}' must have names that differ: {names}.")
    for receiver in properties["emailReceivers"]:
        address = str(receiver.get("emailAddress") or "")
        if _EMAIL.fullmatch(address) is None:
            raise _bad(f"The emailAddress '{address}' of receiver '{receiver['name']}' is not a valid address.")
        receiver["status"] = "Enabled"
        receiver.setdefault("useCommonAlertSchema", False)
    for receiver in properties["webhookReceivers"]:
        _check_webhook(resource, receiver)
    resource.system_data = None


def _check_webhook(resource: Resource, receiver: Json) -> None:
    """Refuse a webhook that cannot be called. No text repeats its URL, which may hold a secret."""
    invalid = _bad(f"The serviceUri of webhook '{receiver['name']}' of '{resource.name}' is not a valid URI.")
    try:
        parts = urlsplit(str(receiver.get("serviceUri") or ""))
    except ValueError:
        raise invalid from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise invalid
    if parts.scheme == "http":
        raise not_emulated(f"webhooks by http, as '{receiver['name']}' of '{resource.name}': use https")
    if receiver.get("useCommonAlertSchema") is not True or receiver.get("useAadAuth"):
        raise not_emulated(
            f"webhooks without the common alert schema or with an Entra sign-in, as '{receiver['name']}' of "
            f"'{resource.name}'"
        )
    receiver.setdefault("useAadAuth", False)


def _check_groups(ctx: Context, resource: Resource, ids: Iterable[object]) -> None:
    for id_ in ids:
        group = ctx.resources.get(str(id_))
        if group is None or group.type != ACTION_GROUP:
            raise _bad(f"The action group '{id_}' of alert rule '{resource.name}' was not found.")


def _check_rule(ctx: Context, resource: Resource) -> None:
    """Check the severity, scopes and times of metric alerts and scheduled queries."""
    properties = resource.properties
    severity = properties.get("severity")
    if severity not in range(5):
        raise _bad(f"The severity {severity!r} of alert rule '{resource.name}' is not valid: use 0 to 4.")
    scopes = properties.get("scopes")
    if not isinstance(scopes, list) or not scopes:
        raise _bad(f"Alert rule '{resource.name}' has no scopes.")
    for scope in scopes:
        is_subscription = str(scope).strip("/").count("/") == 1
        if not is_subscription and ctx.resources.get(str(scope)) is None:
            raise ServiceError(
                404, "ResourceNotFound", f"The scope '{scope}' of alert rule '{resource.name}' was not found."
            )
    properties.setdefault("enabled", True)
    resource.system_data = None


def _one_of(resource: Resource, key: str, allowed: Iterable[str]) -> str:
    value = str(resource.properties.get(key))
    if value not in allowed:
        raise _bad(
            f"The {key} '{value}' of alert rule '{resource.name}' is not valid: use one of {', '.join(allowed)}."
        )
    return value


def _complete_metric(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    _check_rule(ctx, resource)
    properties = resource.properties
    frequency = _one_of(resource, "evaluationFrequency", _METRIC_FREQUENCY)
    window = _one_of(resource, "windowSize", _METRIC_WINDOW)
    _check_times(resource, frequency, window)
    criteria = properties["criteria"]
    tests = criteria.get("allOf") or []
    if not str(criteria.get("odata.type", "")).startswith("Microsoft.Azure.Monitor.") or not tests:
        raise _bad(f"The criteria of metric alert '{resource.name}' need an odata.type and at least one of allOf.")
    for test in tests:
        _check_test(resource, test, ("name", "metricName", "timeAggregation"))
    _check_groups(ctx, resource, (action.get("actionGroupId") for action in properties.get("actions") or []))
    properties.setdefault("autoMitigate", True)
    properties.setdefault("actions", [])


def _check_times(resource: Resource, frequency: str, window: str) -> None:
    if _MINUTES[window] < _MINUTES[frequency]:
        raise _bad(
            f"The windowSize {window} of alert rule '{resource.name}' must not be shorter than its evaluationFrequency "
            f"{frequency}."
        )


def _check_test(resource: Resource, test: Json, needed: tuple[str, ...]) -> None:
    missing = [key for key in needed if not test.get(key)]
    if missing:
        raise _bad(f"A condition of alert rule '{resource.name}' lacks {', '.join(missing)}.")
    if test["timeAggregation"] not in _AGGREGATIONS:
        raise _bad(
            f"The timeAggregation '{test['timeAggregation']}' of alert rule '{resource.name}' is not valid: use one of "
            f"{', '.join(_AGGREGATIONS)}."
        )
    if test.get("criterionType") != "DynamicThresholdCriterion":
        if test.get("operator") not in _OPERATORS:
            raise _bad(
                f"The operator '{test.get('operator')}' of alert rule '{resource.name}' is not valid: use one of "
                f"{', '.join(_OPERATORS)}."
            )
        if not isinstance(test.get("threshold"), int | float):
            raise _bad(f"The threshold {test.get('threshold')!r} of alert rule '{resource.name}' is not a number.")


def _complete_query(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    _check_rule(ctx, resource)
    properties = resource.properties
    resource.kind = resource.kind or "LogAlert"
    if resource.kind not in {"LogAlert", "LogToMetric", "SimpleLogAlert"}:
        raise _bad(f"The kind '{resource.kind}' of '{resource.name}' is not valid: use LogAlert or LogToMetric.")
    tests = properties["criteria"].get("allOf") or []
    if not tests:
        raise _bad(f"The criteria of '{resource.name}' need at least one of allOf.")
    if resource.kind == "LogAlert":
        frequency = _one_of(resource, "evaluationFrequency", _MINUTES)
        window = _one_of(resource, "windowSize", _MINUTES)
        _check_times(resource, frequency, window)
    for test in tests:
        _check_test(resource, test, ("query", "timeAggregation"))
        test.setdefault("dimensions", [])
        periods = test.setdefault("failingPeriods", {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1})
        if periods["minFailingPeriodsToAlert"] > periods["numberOfEvaluationPeriods"]:
            raise _bad(
                f"minFailingPeriodsToAlert of '{resource.name}' must not be greater than numberOfEvaluationPeriods."
            )
    _check_groups(ctx, resource, (properties.get("actions") or {}).get("actionGroups") or [])
    properties.setdefault("autoMitigate", True)
    properties["createdWithApiVersion"] = resource.private["apiVersion"]


def _complete_activity(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    fields = [str(entry.get("field")) for entry in properties["condition"].get("allOf") or [] if entry.get("field")]
    if "category" not in fields:
        raise _bad(f"The condition of activity log alert '{resource.name}' must have one on the field 'category'.")
    if not properties["scopes"]:
        raise _bad(f"Activity log alert '{resource.name}' has no scopes.")
    groups = (properties.get("actions") or {}).get("actionGroups") or []
    _check_groups(ctx, resource, (entry.get("actionGroupId") for entry in groups))
    properties.setdefault("enabled", True)
    resource.system_data = None


def register(ctx: Context) -> None:
    name = NameRule(
        r"[^*#&+:<>?@%{}\\/|]{0,259}[^*#&+:<>?@%{}\\/|. ]",
        "The name '{name}' is invalid: up to 260 characters, none of * # & + : < > ? @ % {{ }} \\ / |, not ending in a "
        "space or period.",
    )
    anywhere = ("global",)
    ctx.types.register(
        ResourceType(
            type=ACTION_GROUP,
            api_versions=(
                "2017-04-01", "2018-03-01", "2018-09-01", "2019-03-01", "2019-06-01", "2021-09-01", "2022-04-01",
                "2022-06-01", "2023-01-01", "2023-09-01-preview", "2024-10-01-preview",
            ),
            name=name,
            tracked=True,
            locations=(*anywhere, *LOCATIONS),
            required=("properties.groupShortName",),
            complete=_complete_group,
            provisioning_state=False,
            note="webhooks are called when a rule's alert fires, other receivers are not",
        ),
        ResourceType(
            type="Microsoft.Insights/metricAlerts",
            api_versions=("2018-03-01", "2024-03-01-preview", "2026-01-01"),
            name=name,
            tracked=True,
            locations=(*anywhere, *LOCATIONS),
            required=("properties.criteria", "properties.evaluationFrequency", "properties.windowSize"),
            complete=_complete_metric,
            create_status=200,
            provisioning_state=False,
            note="evaluated on custom metrics of one Application Insights component, with static thresholds",
        ),
        ResourceType(
            type="Microsoft.Insights/scheduledQueryRules",
            api_versions=(
                "2018-04-16", "2020-05-01-preview", "2021-02-01-preview", "2021-08-01", "2022-06-15",
                "2022-08-01-preview", "2023-03-15-preview", "2023-12-01", "2025-01-01-preview", "2026-03-01",
            ),
            name=name,
            tracked=True,
            required=("properties.criteria", "properties.scopes"),
            immutable=("kind",),
            complete=_complete_query,
            provisioning_state=False,
            note="not evaluated: no logs are kept",
        ),
        ResourceType(
            type="Microsoft.Insights/activityLogAlerts",
            api_versions=("2017-03-01-preview", "2017-04-01", "2020-10-01", "2023-01-01-preview", "2026-01-01"),
            name=name,
            tracked=True,
            locations=(*anywhere, "westeurope", "northeurope"),
            required=("properties.condition", "properties.scopes"),
            complete=_complete_activity,
            provisioning_state=False,
            note="not evaluated",
        ),
    )  # fmt: skip
