"""Stacks of this repository keep its own rules in every environment."""

from __future__ import annotations

import pytest
from pulumi_policy import PolicyResource

from policy.pack import RULES
from tests.unit.environments import STACKS
from tests.unit.infra.recorder import Deployment, deploy, deploy_stack
from tests.unit.infra.test_platform import FULL, NETWORKS
from tests.unit.policy.checker import CONFIG, configuration, resource, violations


def seen(deployment: Deployment) -> list[PolicyResource]:
    """Return the resources that the engine would pass to the pack."""
    resources = {
        registered.urn: resource(
            registered.type,
            registered.inputs,
            name=registered.name,
            urn=registered.urn,
            protect=registered.protect,
            secret_outputs=registered.secret_outputs,
        )
        for registered in deployment
    }
    for registered in deployment:
        resources[registered.urn].property_dependencies = {
            key: [resources[urn] for urn in urns if urn in resources] for key, urns in registered.reads.items()
        }
    return list(resources.values())


@pytest.mark.parametrize("stack", STACKS)
def test_the_stack_keeps_the_rules_of_its_environment(stack: str) -> None:
    assert violations(seen(deploy_stack(stack)), configuration(stack)) == []


def test_everything_switched_on_keeps_the_strictest_rules() -> None:
    full = deploy("prod", network=NETWORKS["private"], **FULL)
    assert violations(seen(full), configuration("prod")) == []


def test_prod_s_rules_report_settings_that_are_permitted_in_dev() -> None:
    settings = FULL | {"protection": '{"lock": false, "protect": false}', "key_vault": '{"purge_protection": false}'}
    rules = {rule for rule, _, _ in violations(seen(deploy("dev", **settings)), configuration("prod"))}
    assert rules == {"network-profile", "key-vault-purge-protection", "data-protected"}


@pytest.mark.parametrize(
    ("weakened", "rule", "text"),
    [
        ({"protection": '{"lock": false, "protect": true}'}, "data-protected", "Set protection.lock to true"),
        pytest.param(
            {"protection": '{"lock": true, "protect": false}'},
            "data-protected",
            "Set protection.protect to true",
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            {"network": NETWORKS["public"]},
            "network-profile",
            "Set network.profile to private",
            marks=pytest.mark.nightly,
        ),
        ({"network": NETWORKS["restricted"]}, "network-profile", "Set network.profile to private"),
        pytest.param(
            {"key_vault": '{"purge_protection": false}'},
            "key-vault-purge-protection",
            "key_vault.purge_protection",
            marks=pytest.mark.nightly,
        ),
        ({"budget": '{"monthly_amount": 0}'}, "budget", "Set budget.monthly_amount"),
        ({"databricks": '{"pool_idle_minutes": 61}'}, "databricks-pool-ends", "at most 60: it is 61"),
    ],
)
def test_prod_with_a_weakened_default_is_stopped(weakened: dict[str, str], rule: str, text: str) -> None:
    settings = {"network": NETWORKS["private"], **FULL} | weakened
    violated = violations(seen(deploy("prod", **settings)), configuration("prod"))
    assert {name for name, _, _ in violated} == {rule}, violated
    assert all(text in message for _, _, message in violated)


def test_prod_without_alerts_and_budget_is_stopped() -> None:
    """The settings refuse a budget without addresses, so that both are missing together."""
    weakened = {"monitoring": '{"alert_emails": []}', "budget": '{"monthly_amount": 0}'}
    violated = violations(seen(deploy("prod", network=NETWORKS["private"], **FULL | weakened)), configuration("prod"))
    assert {name for name, _, _ in violated} == {"alerts", "budget"}, violated
    assert any("Set monitoring.alert_emails" in message for _, _, message in violated)


def test_rules_are_advice_in_dev_and_law_in_staging_and_prod() -> None:
    for environment in STACKS:
        config = configuration(environment)
        levels = {config["all"]} | {
            rule.get("enforcementLevel", config["all"]) for rule in config.values() if isinstance(rule, dict)
        }
        assert levels == {"advisory" if environment in ("local", "dev") else "mandatory"}, environment


def test_configurations_name_rules_that_exist() -> None:
    names = {rule.name for rule in RULES}
    assert len(names) == len(RULES), "rules have names of their own"
    assert {file.stem for file in CONFIG.glob("*.json")} == set(STACKS)
    for environment in STACKS:
        assert set(configuration(environment)) - {"all"} <= names
