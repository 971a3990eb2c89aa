"""The referee itself: each kind of mistake is found, in models of both styles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.referee.models import find, findings

ACCOUNT: dict[str, Any] = {"sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "location": "westeurope"}
GROUP: dict[str, Any] = {"location": "Global", "properties": {"groupShortName": "mlops", "enabled": True}}


def _problems(model: str, body: dict[str, Any]) -> list[str]:
    return [f"{finding.path}: {finding.kind}" for finding in findings(find(f"azure.mgmt.{model}"), body)]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({}, []),
        ({"sku": {"name": "Standard_LRSX"}}, ["sku.name: enum"]),
        ({"kind": None}, ["kind: required"]),
        ({"properties": {"minimumTls": "TLS1_2"}}, ["properties.minimumTls: unknown"]),
        ({"properties": {"isHnsEnabled": "yes"}}, ["properties.isHnsEnabled: type"]),
        ({"properties": {"networkAcls": {"defaultAction": "Deny", "ipRules": [{"action": "Allow"}]}}},
         ["properties.networkAcls.ipRules[0].value: required"]),
        ({"sku": {"name": "Standard_LRS", "tier": "Standard"}}, ["sku.tier: read-only"]),
    ],
)  # fmt: skip
def test_a_model_with_annotated_fields(change: dict[str, Any], problems: list[str]) -> None:
    assert _problems("storage.models.StorageAccountCreateParameters", ACCOUNT | change) == problems


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({}, []),
        ({"groupShortName": "longer than twelve"}, ["properties.groupShortName: length"]),
        ({"emailReceivers": [{"name": "a"}]}, ["properties.emailReceivers[0].emailAddress: required"]),
        ({"emailReceivers": {}}, ["properties.emailReceivers: type"]),
        ({"receivers": []}, ["properties.receivers: unknown"]),
    ],
)
def test_a_model_that_flattens_its_properties(change: dict[str, Any], problems: list[str]) -> None:
    body = GROUP | {"properties": GROUP["properties"] | change}

    assert _problems("monitor.models.ActionGroupResource", body) == problems


def test_a_discriminator_chooses_the_model_and_enums_are_read_from_constructors() -> None:
    criterion = {
        "criterionType": "StaticThresholdCriterion", "name": "a", "metricName": "b", "timeAggregation": "Mean",
        "operator": "GreaterThan", "threshold": 1,
    }  # fmt: skip
    alert = {
        "location": "global",
        "properties": {
            "severity": 2, "enabled": True, "scopes": [], "evaluationFrequency": "PT1M", "windowSize": "PT5M",
            "criteria": {
                "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [criterion],
            },
        },
    }  # fmt: skip

    assert _problems("monitor.models.MetricAlertResource", alert) == [
        "properties.criteria.allOf[0].timeAggregation: enum"
    ]
    assert _problems("resource.locks.models.ManagementLockObject", {"properties": {"level": "Never"}}) == [
        "properties.level: enum"
    ]


def test_fields_of_a_flattened_object_are_compared() -> None:
    model = "applicationinsights.v2020_02_02.models.ApplicationInsightsComponent"

    assert _problems(model, {"location": "a"}) == ["kind: required"]
    assert _problems(model, {"location": "a", "kind": "web", "properties": {"Application_Type": "app"}}) == [
        "properties.Application_Type: enum"
    ]


def test_a_pattern_and_a_range() -> None:
    assert _problems("machinelearningservices.models.AksNetworkingConfiguration", {"serviceCidr": "10.0.0.0/33"}) == [
        "serviceCidr: pattern"
    ]
    assert _problems("machinelearningservices.models.AKSProperties", {"agentCount": 0}) == ["agentCount: range"]
