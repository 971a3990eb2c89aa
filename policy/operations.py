"""Rules on running the platform: tags, logs, alerts, a budget, and protection of resources that hold data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import PolicyResource

from policy import resource_types as types
from policy.rules import Findings, Problems, Subject, get, rule, stack_rule, targets

_TAGS = ("project", "environment", "owner", "cost_center")
_TAGGED = (
    types.RESOURCE_GROUP, types.STORAGE_ACCOUNT, types.VAULT, types.REGISTRY, types.ML_WORKSPACE, types.ML_COMPUTE,
    types.ML_REGISTRY, types.ML_BATCH_ENDPOINT, types.ML_ONLINE_ENDPOINT, types.LOG_WORKSPACE,
    types.APPLICATION_INSIGHTS, types.DATABRICKS, types.IDENTITY, types.ACTION_GROUP, types.METRIC_ALERT,
    types.LOG_ALERT, types.VIRTUAL_NETWORK, types.NETWORK_GROUP, types.PUBLIC_ADDRESS, types.WORKBOOK,
    types.SYSTEM_TOPIC, types.WORKFLOW,
)  # fmt: skip
_LOGGED = (
    types.VAULT, types.REGISTRY, types.ML_WORKSPACE, types.ML_REGISTRY, types.ML_ONLINE_ENDPOINT, types.DATABRICKS,
    types.STORAGE_ACCOUNT, types.LOG_WORKSPACE, types.VIRTUAL_NETWORK, types.NETWORK_GROUP, types.PUBLIC_ADDRESS,
    types.SYSTEM_TOPIC, types.WORKFLOW,
)  # fmt: skip
_HOLDS_DATA = (types.STORAGE_ACCOUNT, types.VAULT, types.ML_WORKSPACE, types.ML_REGISTRY)
_REQUIRED = {"required": {"type": "boolean", "default": False}}


def _tags(resource: Subject) -> Problems:
    tags = get(resource.props, "tags") or {}
    missing = [name for name in resource.config.get("tags", _TAGS) if not tags.get(name)]
    if missing:
        yield f"Set the tags {', '.join(missing)}: costs and questions have no owner otherwise."


def _logs(resources: Sequence[PolicyResource], config: Mapping[str, Any]) -> Findings:
    logged = targets(resources, [types.DIAGNOSTIC_SETTING], "resourceUri")
    for resource in resources:
        if resource.resource_type in _LOGGED and resource.urn not in logged:
            yield "Give it a diagnostic setting: its actions cannot be looked up otherwise.", resource.urn


def _alerts(resources: Sequence[PolicyResource], config: Mapping[str, Any]) -> Findings:
    if not config.get("required"):
        return
    present = {resource.resource_type for resource in resources}
    if types.ACTION_GROUP not in present:
        yield "Set monitoring.alert_emails or monitoring.alert_webhooks: a failed run raises no alert.", None
    elif not {types.METRIC_ALERT, types.LOG_ALERT} <= present:
        yield "Keep the alerts on failed pipeline runs and failed notebook runs.", None


def _budget(resources: Sequence[PolicyResource], config: Mapping[str, Any]) -> Findings:
    if config.get("required") and not any(resource.resource_type == types.BUDGET for resource in resources):
        yield "Set budget.monthly_amount: rising costs raise no alert.", None


def _protected(resources: Sequence[PolicyResource], config: Mapping[str, Any]) -> Findings:
    if not config.get("required"):
        return
    locked = targets(resources, types.LOCKS, "scope")
    for resource in resources:
        if resource.resource_type in _HOLDS_DATA:
            if resource.urn not in locked:
                yield "Set protection.lock to true: every deployer could delete the data.", resource.urn
            if not resource.opts.protect:
                yield "Set protection.protect to true: a change that replaces it would delete the data.", resource.urn


def _lifecycle(resources: Sequence[PolicyResource], config: Mapping[str, Any]) -> Findings:
    cleaned = targets(resources, [types.LIFECYCLE], "accountName")
    versioned = targets(
        [resource for resource in resources if get(resource.props, "isVersioningEnabled") is True],
        [types.BLOB_SERVICE],
        "accountName",
    )
    holds = targets(resources, [types.BLOB_CONTAINER], "accountName")
    for resource in resources:
        if resource.urn in versioned | holds and resource.urn not in cleaned:
            yield "Give the account a lifecycle policy: old versions and copies are kept for ever.", resource.urn


RULES = [
    rule(
        "required-tags",
        "Everything that takes tags says whose it is.",
        _TAGGED,
        _tags,
        settings={"tags": {"type": "array", "items": {"type": "string"}, "default": list(_TAGS)}},
    ),
    stack_rule("diagnostic-settings", "Everything that logs, logs to Log Analytics.", _logs),
    stack_rule("alerts", "Failed runs raise an alert.", _alerts, settings=_REQUIRED),
    stack_rule("budget", "Costs raise an alert.", _budget, settings=_REQUIRED),
    stack_rule("data-protected", "Resources with data are locked and protected.", _protected, settings=_REQUIRED),
    stack_rule("storage-lifecycle", "Old versions in storage accounts are deleted.", _lifecycle),
]
