"""The stack files of this repository: valid, complete, different where environments differ, and without secrets."""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
from pathlib import Path

import pytest
import yaml

from infra.configuration import SettingsError
from infra.settings import Settings
from infra.stack_file import PROJECT, ROOT, stack_settings
from tests.unit.environments import ENVIRONMENTS, STACKS
from tests.unit.infra.test_settings import LEAVES

_SECRET = re.compile(
    r"(?i)(AccountKey=|SharedAccessSignature|sig=|password|client_secret|dapi[0-9a-f]{32}|eyJ[\w-]{10,}\.)"
)


@pytest.mark.parametrize("stack", STACKS)
def test_the_stack_s_settings_are_valid(stack: str) -> None:
    assert stack_settings(stack).environment == stack


def test_there_are_no_other_stacks() -> None:
    assert {file.name.split(".")[1] for file in ROOT.glob("Pulumi.*.yaml")} == set(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_no_stack_file_holds_a_secret(stack: str) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    assert not _SECRET.search(text)
    assert "secure:" not in text, "the platform has no secret settings"


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_deployed_stacks_state_all_their_choices(stack: str) -> None:
    content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    stated = {key.removeprefix(f"{PROJECT}:") for key in content}
    assert stated >= set(Settings.model_fields) - {"environment", "model_registry"}


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_every_setting_is_set_or_shown_in_deployed_stacks(stack: str) -> None:
    """A setting that does not fit an environment is a comment in its file: readers see that it exists."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    missing = [
        path for path in LEAVES
        if path != "environment" and not re.search(rf"\b{re.escape(path.rsplit('.', 1)[-1])}\b", text)
    ]  # fmt: skip
    assert missing == [], f"Pulumi.{stack}.yaml neither sets them nor shows them in a comment, as the other stacks do"


def test_environments_differ_where_they_should() -> None:
    local, dev, staging, prod = (stack_settings(stack) for stack in ("local", "dev", "staging", "prod"))
    assert (local.network.profile, dev.network.profile) == ("public", "public")
    assert (staging.network.profile, prod.network.profile) == ("private", "private")
    assert not dev.key_vault.purge_protection and staging.key_vault.purge_protection and prod.key_vault.purge_protection
    assert prod.protection.lock and prod.protection.protect
    assert not dev.protection.lock and not staging.protection.protect
    assert dev.training_data.replication == "LRS" and prod.training_data.replication == "GZRS"
    assert dev.workspace_storage.replication == "LRS" and prod.workspace_storage.replication == "ZRS"
    assert dev.budget.monthly_amount < staging.budget.monthly_amount < prod.budget.monthly_amount
    assert dev.databricks.spark_version == staging.databricks.spark_version == prod.databricks.spark_version


def test_one_stack_makes_the_model_registry_and_prod_names_it() -> None:
    staging, prod = stack_settings("staging").model_registry, stack_settings("prod").model_registry
    assert staging.create and not prod.create and staging.name == prod.name
    assert prod.resource_group == "rg-dataops-staging"


def test_private_networks_do_not_overlap() -> None:
    networks = [settings.network for settings in map(stack_settings, STACKS) if settings.network.profile == "private"]
    spaces = [ipaddress.ip_network(str(network.address_space)) for network in networks]
    assert len(spaces) >= 2
    assert not [pair for pair in itertools.combinations(spaces, 2) if pair[0].overlaps(pair[1])]


def test_a_stack_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Stack qa has no settings: Pulumi\.qa\.yaml does not exist"):
        stack_settings("qa", tmp_path)


def test_values_are_read_as_the_engine_hands_them_on(tmp_path: Path) -> None:
    config = {"base_name": "dataops", "location": "westeurope", "owner": "a@example.com", "cost_center": "x",
              "compute": {"max_nodes": 3}}  # fmt: skip
    (tmp_path / "Pulumi.qa.yaml").write_text(json.dumps({"config": {f"{PROJECT}:{k}": v for k, v in config.items()}}))
    assert stack_settings("qa", tmp_path).compute.max_nodes == 3
