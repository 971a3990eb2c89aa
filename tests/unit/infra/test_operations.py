"""Operations of the platform: logs, alerts, a budget, locks, and the ways to bring data back."""

from __future__ import annotations

import datetime
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from declarations.training_pipelines import watched_models
from infra import alerts
from steps.telemetry import WATCH_BREACHES, alerted_name
from tests.unit.infra.recorder import Deployment, deploy
from tests.unit.infra.test_platform import FULL, NETWORKS

PEOPLE = '{"alert_emails": ["mlops@example.com", "on-call@example.com"]}'
WATCHED = ("breast_cancer", "diabetes")
"""Models of the samples' pipelines."""


@pytest.mark.parametrize("profile", NETWORKS)
def test_everything_that_logs_logs_to_log_analytics(profile: str) -> None:
    deployment = deploy(network=NETWORKS[profile], model_registry=FULL["model_registry"])
    settings = deployment.of("DiagnosticSetting")
    sources = {target for setting in settings for target in setting.reads["resourceUri"]}
    logging = {
        resource.urn
        for type_ in (
            "StorageAccount",
            "Vault",
            "containerregistry:Registry",
            "machinelearningservices:Workspace",
            "machinelearningservices:Registry",
            "databricks:Workspace",
            "operationalinsights:Workspace",
            "VirtualNetwork",
            "NetworkSecurityGroup",
            "PublicIPAddress",
        )
        for resource in deployment.of(type_)
    }
    assert sources == logging
    for setting in settings:
        assert setting.inputs["workspaceId"].endswith("/log-dataops-dev"), setting.name
        assert setting.inputs.get("logs") or setting.inputs.get("metrics"), setting.name
    blobs = [setting for setting in settings if str(setting.inputs["resourceUri"]).endswith("/blobServices/default")]
    assert len(blobs) == 2 and all(setting.inputs["logs"][0]["categoryGroup"] == "allLogs" for setting in blobs)


def test_no_alert_is_made_without_recipients() -> None:
    deployment = deploy()
    for type_ in ("ActionGroup", "ScheduledQueryRule", "Budget"):
        assert not deployment.of(type_), type_
    assert all(alert.inputs["actions"] == [] for alert in deployment.of("MetricAlert")), "listed, and sent to nobody"


def test_an_alert_of_each_watched_model_looks_at_the_metric_that_its_watch_sends() -> None:
    deployment = deploy(monitoring=PEOPLE)
    component, group = deployment.resource("Component"), deployment.resource("ActionGroup")
    alerts_ = {alert.name: alert for alert in deployment.of("MetricAlert") if alert.name.startswith("model-alerts-")}
    metrics = {f"model-alerts-watch-{model}": alerted_name(WATCH_BREACHES, model) for model in WATCHED}
    assert set(alerts_) == set(metrics)
    for name, alert in alerts_.items():
        (criterion,) = alert.inputs["criteria"]["allOf"]
        assert (criterion["metricName"], criterion["metricNamespace"]) == (metrics[name], "azure.applicationinsights")
        assert (criterion["operator"], criterion["threshold"], criterion["timeAggregation"]) == (
            "GreaterThan", 0, "Maximum",
        )  # fmt: skip
        assert criterion["skipMetricValidation"] is True and "dimensions" not in criterion
        assert component.urn in alert.reads["scopes"] and group.urn in alert.reads["actions"]


def test_models_are_watched_that_are_scored_and_say_so(tmp_path: Path) -> None:
    for name, text in {
        "scored": "model: scored\nscore: {notebook: n}\n",
        "watched": "model: houses\nscore: {notebook: n}\nwatch: {}\n",
        "neither": "model: neither\nwatch: {}\n",
        "broken": "- no mapping\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipeline.yml").write_text(text, encoding="utf-8")
    assert watched_models(tmp_path) == ["houses"]


def test_webhooks_are_notified_and_their_urls_are_secret() -> None:
    url = "https://hooks.example.com/alerts?code=abc"
    deployment = deploy(monitoring=json.dumps({"alert_webhooks": [url]}))
    group = deployment.resource("ActionGroup")
    receivers = group.inputs["webhookReceivers"]
    assert rpc.is_rpc_secret(receivers), "neither the state nor a preview shows them"
    (receiver,) = rpc.unwrap_rpc_secret(receivers)
    assert receiver == {"name": "webhook-1", "serviceUri": url, "useCommonAlertSchema": True, "useAadAuth": False}
    assert group.inputs["emailReceivers"] == []
    assert {alert.name for alert in deployment.of("MetricAlert") if group.urn in alert.reads["actions"]} == {
        "alerts-failed-pipelines", *(f"model-alerts-watch-{model}" for model in WATCHED),
    }  # fmt: skip


def test_the_workbook_is_one_of_azure_s_and_stays_the_same() -> None:
    deployment = deploy()
    workbook = deployment.resource("Workbook")
    assert uuid.UUID(workbook.inputs["resourceName"]).version == 5
    assert workbook.inputs["kind"] == "shared"
    content = json.loads(workbook.inputs["serializedData"])
    assert content["version"] == "Notebook/1.0"
    names = [item["name"] for item in content["items"]]
    assert names == [
        "about", "runs", "failed-notebooks", "scored-rows", "breaches", "drift", "prediction-drift", "cost",
    ]  # fmt: skip
    assert deploy(tags='{"a": "b"}').resource("Workbook").inputs["resourceName"] == workbook.inputs["resourceName"]
    assert deploy("qa").resource("Workbook").inputs["resourceName"] != workbook.inputs["resourceName"]
    cost = json.loads(content["items"][-1]["content"]["query"])
    assert cost["path"].endswith("/providers/Microsoft.CostManagement/query")
    assert json.loads(cost["data"])["dataset"]["granularity"] == "Daily"


def test_recipients_are_alerted_to_failed_runs() -> None:
    deployment = deploy(monitoring=PEOPLE)
    group = deployment.resource("ActionGroup")
    assert [receiver["emailAddress"] for receiver in group.inputs["emailReceivers"]] == [
        "mlops@example.com",
        "on-call@example.com",
    ]
    assert "webhookReceivers" not in group.inputs, "an empty list would be an update of an earlier stack"
    pipelines, notebooks = (
        deployment.resource("MetricAlert", "alerts-failed-pipelines"),
        deployment.resource("ScheduledQueryRule"),
    )
    (criterion,) = pipelines.inputs["criteria"]["allOf"]
    assert criterion["metricName"] == "Failed Runs" and criterion["threshold"] == 0
    assert deployment.resource("machinelearningservices:Workspace").urn in pipelines.reads["scopes"]
    (condition,) = notebooks.inputs["criteria"]["allOf"]
    assert condition["query"].startswith("DatabricksJobs") and condition["operator"] == "GreaterThan"
    assert group.urn in pipelines.reads["actions"] and group.urn in notebooks.reads["actions"]


def test_a_budget_counts_the_group_and_alerts_before_it_is_spent() -> None:
    deployment = deploy(monitoring=PEOPLE, budget='{"monthly_amount": 500, "warn_percent": 70}')
    budget = deployment.resource("Budget")
    assert budget.inputs["amount"] == 500 and budget.inputs["timeGrain"] == "Monthly"
    assert deployment.resource("ResourceGroup").urn in budget.reads["scope"]
    actual, forecast = (budget.inputs["notifications"][name] for name in ("actual", "forecast"))
    assert (actual["threshold"], actual["thresholdType"]) == (70, "Actual")
    assert (forecast["threshold"], forecast["thresholdType"]) == (100, "Forecasted")
    assert actual["contactEmails"] == ["mlops@example.com", "on-call@example.com"]
    assert deployment.resource("ActionGroup").urn in budget.reads["notifications"]


def test_a_budget_starts_this_month_and_keeps_its_start() -> None:
    budget = deploy(monitoring=PEOPLE, budget='{"monthly_amount": 500}').resource("Budget")
    first = datetime.datetime.now(datetime.UTC).date().replace(day=1)
    assert alerts.first_of_the_month(datetime.date(2026, 12, 31)) == datetime.date(2026, 12, 1)
    assert budget.inputs["timePeriod"]["startDate"] in {f"{first}T00:00:00Z"}
    assert list(budget.ignores) == ["timePeriod"]


def test_data_are_locked_and_protected_where_the_settings_require_it() -> None:
    deployment = deploy("prod", network=NETWORKS["private"], **FULL)
    locked = {target for lock in deployment.of("ManagementLockByScope") for target in lock.reads["scope"]}
    holding = [
        *deployment.of("StorageAccount"), *deployment.of("Vault"), *deployment.of("machinelearningservices:Workspace"),
        *deployment.of("machinelearningservices:Registry"),
    ]  # fmt: skip
    assert locked == {resource.urn for resource in holding}
    assert all(lock.inputs["level"] == "CanNotDelete" for lock in deployment.of("ManagementLockByScope"))
    for resource in [
        *holding,
        *deployment.of("BlobContainer"),
        *deployment.of("ResourceGroup"),
        *deployment.of("ManagementLockByScope"),
    ]:
        assert resource.protect, resource.name


@pytest.mark.parametrize("profile", NETWORKS)
def test_locks_are_created_last_and_deleted_first(profile: str) -> None:
    """The engine deletes resources without dependents in parallel: they must be the locks alone."""
    deployment = deploy("prod", network=NETWORKS[profile], **FULL)
    locks = deployment.of("ManagementLockByScope")
    others = [resource for resource in deployment if not resource.is_component and resource not in locks]
    needed = {urn for resource in others for urn in resource.depends_on}
    ends = {resource.urn for resource in others} - needed
    assert locks and ends
    for lock in locks:
        assert ends <= set(lock.depends_on), sorted(ends - set(lock.depends_on))


@pytest.mark.parametrize("protect", [True, False])
def test_the_shared_model_registry_is_protected_in_any_stack(protect: bool) -> None:
    settings = f'{{"name": "mlr-dataops", "create": true, "protect": {json.dumps(protect)}}}'
    deployment = deploy("staging", model_registry=settings)
    registry, locks = deployment.resource("machinelearningservices:Registry"), deployment.of("ManagementLockByScope")
    assert registry.protect is protect
    assert [lock.reads["scope"] for lock in locks] == ([[registry.urn]] if protect else [])
    assert all(lock.protect for lock in locks), "a destroy ends at the lock, which is the first to go"
    assert [resource.name for resource in deployment if resource.protect and resource not in (registry, *locks)] == []
    named = deploy("prod", model_registry='{"name": "mlr-dataops"}')
    assert not named.of("ManagementLockByScope"), "it is another stack's"


def test_nothing_is_locked_or_protected_by_default() -> None:
    deployment = deploy()
    assert not deployment.of("ManagementLockByScope")
    assert not [resource.name for resource in deployment if resource.protect]


def lifecycle(deployment: Deployment, account: str) -> dict[str, Any]:
    """Return the account's lifecycle rules by name, with prefixes and actions."""
    (policy,) = [policy for policy in deployment.of("ManagementPolicy") if policy.inputs["accountName"] == account]
    return {
        rule["name"]: (rule["definition"]["filters"].get("prefixMatch"), rule["definition"]["actions"])
        for rule in policy.inputs["policy"]["rules"]
    }


def test_engineered_data_are_deleted_and_old_raw_data_become_cool() -> None:
    settings = (
        '{"engineered_days": 45, "cool_after_days": 60, "soft_delete_days": 14, "replication": "GZRS", '
        '"scoring_input_days": 20, "scoring_output_days": 100, "scoring_watch_days": 200}'
    )
    deployment = deploy(training_data=settings)
    assert lifecycle(deployment, "stdataopsdevtr") == {
        "engineered-data": (
            ["trainingdata/engineered/", "trainingdata/scoring/samples/"],
            {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 45}}},
        ),
        "scoring-inputs": (
            ["trainingdata/scoring/in/", "trainingdata/scoring/files/", "trainingdata/scoring/labels/"],
            {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 20}}},
        ),
        "scoring-ledger": (
            ["trainingdata/scoring/ledger/"], {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 50}}},
        ),
        "scoring-outputs": (
            ["trainingdata/scoring/out/", "trainingdata/scoring/quarantine/"],
            {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 100}}},
        ),
        "scoring-watch": (
            ["trainingdata/scoring/watch/"], {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 200}}},
        ),
        "training-data": (
            ["trainingdata/data/", "trainingdata/incoming/"],
            {"baseBlob": {"tierToCool": {"daysAfterModificationGreaterThan": 60}}},
        ),
    }  # fmt: skip
    assert lifecycle(deployment, "stdataopsdev") == {
        "old-versions": (None, {"version": {"delete": {"daysAfterCreationGreaterThan": 14}}})
    }
    training = next(
        candidate for candidate in deployment.of("StorageAccount") if candidate.inputs["accountName"].endswith("tr")
    )
    assert training.inputs["sku"] == {"name": "Standard_GZRS"}
    assert {blobs.inputs["deleteRetentionPolicy"]["days"] for blobs in deployment.of("BlobServiceProperties")} == {14}


def test_data_keep_their_tier_by_default() -> None:
    """Only files that a run can make again are ever deleted."""
    rules = lifecycle(deploy(), "stdataopsdevtr")
    assert set(rules) == {"engineered-data"}
    assert rules["engineered-data"][0] == ["trainingdata/engineered/", "trainingdata/scoring/samples/"]


def test_the_model_registry_is_made_by_the_declaring_stack() -> None:
    named = '"name": "mlr-dataops"'
    assert not deploy().of("machinelearningservices:Registry")
    assert not deploy(model_registry=f"{{{named}}}").of("machinelearningservices:Registry")
    registry = deploy(model_registry=f'{{{named}, "create": true}}').resource("machinelearningservices:Registry").inputs
    assert registry["registryName"] == "mlr-dataops"
    (region,) = registry["regionDetails"]
    assert region["location"] == "westeurope"
    assert 'allowBlobPublicAccess": false' in json.dumps(region)
