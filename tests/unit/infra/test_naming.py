"""Names fit Azure's limits for every base name and environment."""

from __future__ import annotations

import inspect
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.naming import BASE_NAME_MAX, ENVIRONMENT_MAX, Names

LETTERS, DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
bases = st.text(LETTERS + DIGITS, min_size=1, max_size=BASE_NAME_MAX)
environments = st.builds(
    str.__add__,
    st.sampled_from(LETTERS),
    st.text(LETTERS + DIGITS, min_size=1, max_size=ENVIRONMENT_MAX - 1),
)
subscriptions = st.uuids().map(str)

# learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
RULES = {
    "resource_group": r"[\w().-]{0,89}[\w()-]",
    "databricks_managed_group": r"[\w().-]{0,89}[\w()-]",
    "workspace": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}",
    "container_registry": r"[a-zA-Z0-9]{5,50}",
    "key_vault": r"(?=.{3,24}$)[a-zA-Z](-?[a-zA-Z0-9])*",
    "workspace_storage": r"[a-z0-9]{3,24}",
    "training_storage": r"[a-z0-9]{3,24}",
    "log_workspace": r"(?=.{4,63}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])",
    "application_insights": r"[^%&\\?/]{1,260}",
    "databricks": r"[a-zA-Z0-9_-]{3,30}",
    "access_connector": r"[a-zA-Z0-9_-]{3,64}",
    "pipeline_identity": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "retraining_identity": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "workspace_identity": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "serving_identity": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "new_data_identity": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "training_events": r"[a-zA-Z0-9-]{3,50}",
    "compute": r"(?=.{2,16}$)[a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])",
    "action_group": r"[^/&%?]{1,260}",
    "budget": r"[a-zA-Z0-9_-]{1,63}",
    "network": r"(?=.{2,64}$)[a-zA-Z0-9][\w.-]*\w",
}


def test_every_name_has_its_rule() -> None:
    properties = {name for name, member in inspect.getmembers(Names) if isinstance(member, property)}
    assert properties == set(RULES)


@given(bases, environments)
def test_names_follow_azure_s_rules(base: str, environment: str) -> None:
    names = Names(base, environment)
    for name, pattern in RULES.items():
        value = getattr(names, name)
        assert re.fullmatch(pattern, value), f"{name} is {value!r}"


@given(bases, environments, subscriptions)
def test_batch_endpoints_are_named_within_their_limits(base: str, environment: str, subscription: str) -> None:
    name = Names(base, environment).batch_endpoint(subscription)
    assert re.fullmatch(r"(?=.{3,32}$)[a-z]([a-z0-9-]*[a-z0-9])", name), name


@given(bases, environments, subscriptions, st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True))
def test_online_endpoints_are_named_within_their_limits(
    base: str, environment: str, subscription: str, pipeline: str
) -> None:
    """learn.microsoft.com/azure/machine-learning/how-to-manage-quotas, "Azure Machine Learning online endpoints"."""
    names = Names(base, environment)
    name = names.online_endpoint(subscription, pipeline)
    assert re.fullmatch(r"(?=.{3,32}$)[a-z]([a-z0-9-]*[a-z0-9])", name), name
    assert name != names.pipeline_endpoint(subscription, pipeline)
    assert name == names.online_endpoint(subscription.upper(), pipeline)
    assert name != Names(base, f"{environment[:-1]}{'b' if environment[-1] == 'a' else 'a'}").online_endpoint(
        subscription, pipeline
    )


@given(bases, environments, subscriptions, st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True))
def test_logic_apps_are_named_within_their_limits(
    base: str, environment: str, subscription: str, pipeline: str
) -> None:
    """Event subscriptions have the same name, of letters, digits and hyphens."""
    name = Names(base, environment).new_data_workflow(subscription, pipeline)
    assert re.fullmatch(r"[a-zA-Z0-9-]{3,43}", name), name


@given(bases, environments, environments)
def test_environments_do_not_share_a_name(base: str, first: str, second: str) -> None:
    if first != second:
        name_sets = [{getattr(Names(base, environment), name) for name in RULES} for environment in (first, second)]
        assert not name_sets[0] & name_sets[1]


def test_subscriptions_of_the_same_names_have_endpoints_of_their_own() -> None:
    names = Names("dataops", "dev")
    first, other = "11111111-1111-1111-1111-11111111111a", "22222222-2222-2222-2222-222222222222"
    assert names.batch_endpoint(first) != names.batch_endpoint(other)
    assert names.batch_endpoint(first) == names.batch_endpoint(first.upper())


@given(bases, environments, subscriptions, st.sampled_from("abc"), st.sampled_from("abc"))
def test_a_role_assignment_keeps_its_guid(
    base: str, environment: str, subscription: str, grantee: str, role: str
) -> None:
    names = Names(base, environment)
    labels = {"grantee": grantee, "role": role, "scope": "vault"}
    guid = names.role_assignment(subscription, **labels)
    assert uuid.UUID(guid).version == 5
    assert guid == Names(base, environment).role_assignment(subscription.upper(), **labels)
    assert guid != names.role_assignment(subscription, **labels | {"scope": "workspace"})
    assert guid != Names(base, environment + "x" if len(environment) < ENVIRONMENT_MAX else "other").role_assignment(
        subscription, **labels
    )


@pytest.mark.parametrize(
    ("base", "environment", "wrong"),
    [
        ("", "dev", "''"),
        ("elevenchars", "dev", "'elevenchars'"),
        ("Data", "dev", "'Data'"),
        ("data-ops", "dev", "'data-ops'"),
        ("data", "d", "'d'"),
        ("data", "1dev", "'1dev'"),
        ("data", "development", "'development'"),
        ("data", "dev-1", "'dev-1'"),
    ],
)
def test_invalid_names_are_refused_by_value(base: str, environment: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wrong)):
        Names(base, environment)
