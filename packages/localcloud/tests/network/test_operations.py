"""Alerts, budgets, blob services and lifecycle rules."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.storage import StorageManagementClient
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.networks import REGION, make_account

GROUP = "2023-01-01"
METRIC = "2018-03-01"
QUERY = "2025-01-01-preview"
BUDGET = "2024-08-01"
STORAGE = "2024-01-01"


def _insights(group: str, type_: str, name: str) -> str:
    return f"{group}/providers/Microsoft.Insights/{type_}/{name}"


def _action_group(azure: AzureSession, group: str) -> str:
    id_ = _insights(group, "actionGroups", unique("ag"))
    receivers = [{"name": "team", "emailAddress": "team@example.com", "useCommonAlertSchema": True}]
    body = {
        "location": "Global",
        "properties": {"groupShortName": "mlops", "enabled": True, "emailReceivers": receivers},
    }
    azure.put(id_, GROUP, body)
    return id_


def _metric(azure: AzureSession, group: str, **changes: Any) -> Any:
    condition = {
        "criterionType": "StaticThresholdCriterion", "name": "failed", "metricName": "Failed Runs",
        "timeAggregation": "Total", "operator": "GreaterThan", "threshold": 0,
        "metricNamespace": "Microsoft.MachineLearningServices/workspaces",
    }  # fmt: skip
    properties = {
        "severity": 2, "enabled": True, "scopes": [make_account(azure, group)], "evaluationFrequency": "PT5M",
        "windowSize": "PT15M", "criteria": {
            "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [condition],
        }, "actions": [{"actionGroupId": _action_group(azure, group)}], **changes,
    }  # fmt: skip
    return {"location": "global", "properties": properties}


def test_a_metric_alert_calls_its_action_group(azure: AzureSession, group: str) -> None:
    body = _metric(azure, group)
    id_ = _insights(group, "metricAlerts", "failed-runs")
    content = azure.put(id_, METRIC, body)
    assert content["location"] == "global" and content["properties"]["autoMitigate"] is True
    client = MonitorManagementClient(azure.credential, azure.subscription_id)
    name = group.rsplit("/", 1)[-1]
    assert [alert.name for alert in client.metric_alerts.list_by_resource_group(name)] == ["failed-runs"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"severity": 9}, "severity 9"),
        ({"evaluationFrequency": "PT7M"}, "evaluationFrequency 'PT7M'"),
        ({"windowSize": "PT1M"}, "must not be shorter"),
        ({"scopes": []}, "no scopes"),
        ({"criteria": {"allOf": []}}, "odata.type"),
        ({"actions": [{"actionGroupId": "/subscriptions/x/resourceGroups/y/providers/a/b/c"}]}, "action group"),
    ],
)
def test_a_metric_alert_that_cannot_fire_is_refused(
    azure: AzureSession, group: str, changes: dict[str, Any], reason: str
) -> None:
    answer = azure.arm("PUT", _insights(group, "metricAlerts", "alert"), METRIC, _metric(azure, group, **changes))
    assert answer.status_code == 400 and reason in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"groupShortName": "thirteen-char"}, "1 to 12 characters"),
        ({"emailReceivers": [{"name": "a", "emailAddress": "nobody"}]}, "'nobody'"),
        ({"emailReceivers": [{"name": "a", "emailAddress": "a@b.c"}] * 2}, "names that differ"),
    ],
)
def test_an_action_group_without_recipients_is_refused(
    azure: AzureSession, group: str, changes: dict[str, Any], reason: str
) -> None:
    body = {"location": "global", "properties": {"groupShortName": "mlops", "enabled": True, **changes}}
    answer = azure.arm("PUT", _insights(group, "actionGroups", "ag"), GROUP, body)
    assert answer.status_code == 400 and reason in answer.json()["error"]["message"]


def test_a_query_rule_needs_a_query_and_a_scope(azure: AzureSession, group: str) -> None:
    workspace = f"{group}/providers/Microsoft.OperationalInsights/workspaces/{unique('log-')}"
    azure.put(workspace, "2023-09-01", {"location": REGION})
    condition = {"query": "DatabricksJobs", "timeAggregation": "Count", "operator": "GreaterThan", "threshold": 0}
    properties: Any = {
        "severity": 2, "scopes": [workspace], "evaluationFrequency": "PT15M", "windowSize": "PT15M",
        "criteria": {"allOf": [condition]}, "actions": {"actionGroups": [_action_group(azure, group)]},
    }  # fmt: skip
    id_ = _insights(group, "scheduledQueryRules", "failed-notebooks")
    content = azure.put(id_, QUERY, {"location": REGION, "properties": properties})
    assert content["kind"] == "LogAlert"
    without = copy.deepcopy(properties)
    del without["criteria"]["allOf"][0]["query"]
    assert error_of(azure.arm("PUT", id_, QUERY, {"location": REGION, "properties": without}))[0] == 400
    nowhere = {**properties, "scopes": [f"{workspace}x"]}
    assert error_of(azure.arm("PUT", id_, QUERY, {"location": REGION, "properties": nowhere}))[0] == 404


def _budget(**changes: Any) -> Any:
    first = datetime.now(UTC).strftime("%Y-%m-01T00:00:00Z")
    notice = {"enabled": True, "operator": "GreaterThanOrEqualTo", "threshold": 80, "contactEmails": ["a@example.com"]}
    properties = {
        "category": "Cost", "amount": 500, "timeGrain": "Monthly", "timePeriod": {"startDate": first},
        "notifications": {"actual": notice}, **changes,
    }  # fmt: skip
    return {"properties": properties}


def test_a_budget_keeps_its_start(azure: AzureSession, group: str) -> None:
    id_ = f"{group}/providers/Microsoft.Consumption/budgets/budget"
    content = azure.put(id_, BUDGET, _budget())
    assert content["eTag"] and content["properties"]["timePeriod"]["endDate"]
    assert azure.put(id_, BUDGET, _budget(amount=600))["properties"]["amount"] == 600
    year = datetime.now(UTC).year + (datetime.now(UTC).month == 12)
    later = f"{year}-{datetime.now(UTC).month % 12 + 1:02d}-01T00:00:00Z"
    status, _, message = error_of(azure.arm("PUT", id_, BUDGET, _budget(timePeriod={"startDate": later})))
    assert (
        status == 400 and message == "Start date of budgets cannot be updated. Please delete and create a new budget."
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": -1}, "positive number"),
        ({"timeGrain": "Daily"}, "'Daily'"),
        ({"timePeriod": {"startDate": "2020-01-01T00:00:00Z"}}, "prior to the current month"),
        ({"timePeriod": {"startDate": "2030-01-15T00:00:00Z"}}, "first of a month"),
        ({"timePeriod": {"startDate": "tomorrow"}}, "'tomorrow'"),
        ({"notifications": {"a": {"operator": "Above", "threshold": 1, "contactEmails": ["a@b.c"]}}}, "'Above'"),
        ({"notifications": {"a": {"operator": "EqualTo", "threshold": 1}}}, "must have a contact"),
        ({"notifications": {"a": {"operator": "EqualTo", "threshold": 1001, "contactRoles": ["Owner"]}}}, "1001"),
    ],
)
def test_a_budget_without_recipients_is_refused(
    azure: AzureSession, group: str, changes: dict[str, Any], reason: str
) -> None:
    id_ = f"{group}/providers/Microsoft.Consumption/budgets/budget"
    answer = azure.arm("PUT", id_, BUDGET, _budget(**changes))
    assert answer.status_code == 400 and reason in answer.json()["error"]["message"]


def test_blob_services_keep_versions_where_the_account_can(azure: AzureSession, group: str) -> None:
    flat, tree = make_account(azure, group), make_account(azure, group, isHnsEnabled=True)
    versions = {"properties": {"isVersioningEnabled": True, "deleteRetentionPolicy": {"enabled": True, "days": 14}}}
    content = azure.put(f"{flat}/blobServices/default", STORAGE, versions)
    assert content["properties"]["isVersioningEnabled"] is True
    refused = azure.arm("PUT", f"{tree}/blobServices/default", STORAGE, versions)
    assert error_of(refused)[:2] == (409, "FeatureNotSupportedForAccount")
    restore = {"properties": {"restorePolicy": {"enabled": True, "days": 7}}}
    status, code, message = error_of(azure.arm("PUT", f"{flat}/blobServices/default", STORAGE, restore))
    assert (status, code) == (400, "InvalidValuesForRequestParameters") and "restorePolicy" in message


def test_a_flat_account_is_upgraded_in_place_once_nothing_blocks_it(azure: AzureSession, group: str) -> None:
    account = make_account(azure, group)
    versions = {"isVersioningEnabled": True, "deleteRetentionPolicy": {"enabled": True, "days": 7}}
    azure.put(f"{account}/blobServices/default", STORAGE, {"properties": versions})
    names = (group.rsplit("/", 1)[-1], account.rsplit("/", 1)[-1])
    accounts = StorageManagementClient(azure.credential, azure.subscription_id).storage_accounts
    for request in ("HnsOnValidationRequest", "HnsOnHydrationRequest"):
        with pytest.raises(HttpResponseError, match=r"not supported for the account.*deleteRetentionPolicy") as caught:
            accounts.begin_hierarchical_namespace_migration(*names, request_type=request).result()
        assert caught.value.status_code == 409 and "isVersioningEnabled" in str(caught.value)
    off = {"isVersioningEnabled": False, "deleteRetentionPolicy": {"enabled": False}}
    azure.put(f"{account}/blobServices/default", STORAGE, {"properties": off})
    accounts.begin_hierarchical_namespace_migration(*names, request_type="HnsOnValidationRequest").result()
    assert not accounts.get_properties(*names).is_hns_enabled, "the request was only validated"
    accounts.begin_hierarchical_namespace_migration(*names, request_type="HnsOnHydrationRequest").result()
    assert accounts.get_properties(*names).is_hns_enabled
    with pytest.raises(HttpResponseError, match="upgraded already"):
        accounts.begin_hierarchical_namespace_migration(*names, request_type="HnsOnHydrationRequest").result()


def _rule(**changes: Any) -> Any:
    return {
        "name": "old-versions", "type": "Lifecycle",
        "definition": {
            "actions": {"version": {"delete": {"daysAfterCreationGreaterThan": 90}}},
            "filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["trainingdata/"]},
        }, **changes,
    }  # fmt: skip


def test_a_lifecycle_policy_is_one_per_account(azure: AzureSession, group: str) -> None:
    account = make_account(azure, group)
    policy = f"{account}/managementPolicies/default"
    assert azure.arm("GET", policy, STORAGE).status_code == 404
    content = azure.put(policy, STORAGE, {"properties": {"policy": {"rules": [_rule()]}}})
    assert content["properties"]["policy"]["rules"][0]["enabled"] is True and content["properties"]["lastModifiedTime"]
    named = azure.arm("PUT", f"{account}/managementPolicies/mine", STORAGE, {"properties": {"policy": {"rules": []}}})
    assert named.status_code == 400


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "1 to 100 rules"),
        ([_rule(), _rule()], "name of its own"),
        ([_rule(type="Deletion")], "'Deletion'"),
        (
            [_rule(definition={"actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 1}}}})],
            "blobTypes",
        ),
        ([_rule(definition={"filters": {"blobTypes": ["blockBlob"]}, "actions": {}})], "no baseBlob"),
        (
            [
                _rule(
                    definition={
                        "filters": {"blobTypes": ["blockBlob"]},
                        "actions": {"baseBlob": {"tierToCool": {"daysAfterLastAccessTimeGreaterThan": 30}}},
                    }
                )
            ],
            "last access time tracking",
        ),
    ],
)
def test_lifecycle_rules_without_an_action_are_refused(
    azure: AzureSession, group: str, rules: list[Any], reason: str
) -> None:
    policy = f"{make_account(azure, group)}/managementPolicies/default"
    status, code, message = error_of(azure.arm("PUT", policy, STORAGE, {"properties": {"policy": {"rules": rules}}}))
    assert (status, code) == (400, "InvalidValuesForRequestParameters") and reason in message
