"""Cluster policies: every rule type accepts and refuses, with the platform's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from localcloud.core.errors import ServiceError
from localcloud.databricks import policy_rules


def applied(definition: dict[str, Any], cluster: dict[str, Any], *, defaults: bool = False) -> dict[str, Any]:
    rules = policy_rules.parse(json.dumps(definition))
    return policy_rules.apply(rules, cluster, cluster_type="job", defaults=defaults)


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        ({"type": "fixed", "value": "17.3.x-scala2.13"}, "15.4.x-scala2.12", 'must be 17.3.x-scala2.13 (is "15.4.x-sc'),
        ({"type": "allowlist", "values": ["a", "b"]}, "c", 'must be one of a, b (is "c")'),
        ({"type": "blocklist", "values": ["c"]}, "c", 'must not be one of c (is "c")'),
        ({"type": "regex", "pattern": "a+"}, "b", 'must match the regular expression a+ (is "b")'),
        ({"type": "forbidden"}, "x", "must not be present"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused(rule: dict[str, Any], value: str, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        applied({"spark_version": rule}, {"spark_version": value})
    assert (caught.value.status, caught.value.code) == (400, "INVALID_PARAMETER_VALUE")
    assert "Validation failed for spark_version, the value " + message in caught.value.message


def test_ranges_are_checked_at_both_ends() -> None:
    definition = {"autoscale.max_workers": {"type": "range", "minValue": 1, "maxValue": 4}}
    assert applied(definition, {"autoscale": {"max_workers": 4}}) == {"autoscale": {"max_workers": 4}}
    with pytest.raises(ServiceError, match=r'must be at most 4 \(is "5"\)'):
        applied(definition, {"autoscale": {"max_workers": 5}})
    with pytest.raises(ServiceError, match=r'must be at least 1 \(is "0"\)'):
        applied(definition, {"autoscale": {"max_workers": 0}})


def test_fixed_values_are_filled_in_and_maps_keep_dotted_keys() -> None:
    definition = {
        "spark_conf.spark.databricks.cluster.profile": {"type": "fixed", "value": "singleNode"},
        "custom_tags.team": {"type": "fixed", "value": "ml"},
    }
    assert applied(definition, {}) == {
        "spark_conf": {"spark.databricks.cluster.profile": "singleNode"},
        "custom_tags": {"team": "ml"},
    }


def test_defaults_are_filled_in_only_on_request() -> None:
    definition = {"num_workers": {"type": "range", "maxValue": 2, "defaultValue": 1}}
    assert applied(definition, {}, defaults=True) == {"num_workers": 1}
    with pytest.raises(ServiceError, match="Validation failed for num_workers must be present"):
        applied(definition, {})


def test_every_violation_is_named_at_once() -> None:
    definition = {"a": {"type": "fixed", "value": 1}, "spark_conf.x.y": {"type": "forbidden"}}
    with pytest.raises(ServiceError) as caught:
        applied(definition, {"a": 2, "spark_conf": {"x.y": "1"}})
    assert 'a, the value must be 1 (is "2")' in caught.value.message
    assert "spark_conf, x.y, the value must not be present" in caught.value.message


def test_a_policy_for_other_clusters_does_not_fit_job_clusters() -> None:
    with pytest.raises(ServiceError, match=r'cluster_type, the value must be all-purpose \(is "job"\)'):
        applied({"cluster_type": {"type": "fixed", "value": "all-purpose"}}, {})


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"a": {"value": 1}}', "whose type is one of"),
        ('{"a": {"type": "fixed"}}', "lacks value"),
        ('{"a": {"type": "range"}}', "lacks minValue or maxValue"),
        ('{"a": {"type": "regex", "pattern": "("}}', "broken pattern"),
    ],
)
def test_a_broken_definition_is_refused(definition: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        policy_rules.parse(definition)
