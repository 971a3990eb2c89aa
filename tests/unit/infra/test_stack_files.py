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
from infra.naming import Names
from infra.settings import Settings
from infra.stack_file import PROJECT, ROOT, stack_settings
from tests.unit.environments import ENVIRONMENTS, STACKS
from tests.unit.infra.recorder import MINIMAL
from tests.unit.infra.test_settings import LEAVES

_SECRET = re.compile(
    r"(?i)(AccountKey=|SharedAccessSignature|sig=|password|client_secret|dapi[0-9a-f]{32}|eyJ[\w-]{10,}\.)"
)
_SEALED = re.compile(r"secure: \S+")
"""A value that `pulumi config set --secret` wrote, such as an address of alert_webhooks."""


@pytest.mark.parametrize("stack", STACKS)
def test_the_stack_s_settings_are_valid(stack: str) -> None:
    assert stack_settings(stack).environment == stack


def test_there_are_no_other_stacks() -> None:
    assert {file.name.split(".")[1] for file in ROOT.glob("Pulumi.*.yaml")} == set(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_no_stack_file_holds_a_secret(stack: str) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    assert not _SECRET.search(_SEALED.sub("", text))


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


def test_a_commit_has_one_version_of_spark_for_all_environments() -> None:
    """It is tried in the first of them before the last one gets it."""
    assert len({stack_settings(stack).databricks.spark_version for stack in ENVIRONMENTS}) == 1


def test_one_stack_makes_the_model_registry_and_others_name_it() -> None:
    settings = [stack_settings(stack) for stack in ENVIRONMENTS]
    for name in {stack.model_registry.name for stack in settings} - {None}:
        sharing = [stack for stack in settings if stack.model_registry.name == name]
        makers = [stack for stack in sharing if stack.model_registry.create]
        assert len(makers) <= 1, "another platform may make it"
        groups = {stack.model_registry.resource_group for stack in sharing if stack not in makers}
        assert not makers or groups <= {Names(makers[0].base_name, makers[0].environment).resource_group}


def test_private_networks_do_not_overlap() -> None:
    networks = [settings.network for settings in map(stack_settings, STACKS) if settings.network.profile == "private"]
    spaces = [ipaddress.ip_network(str(network.address_space)) for network in networks]
    assert not [pair for pair in itertools.combinations(spaces, 2) if pair[0].overlaps(pair[1])]


def test_a_stack_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Stack qa has no settings: Pulumi\.qa\.yaml does not exist"):
        stack_settings("qa", tmp_path)


def test_a_sealed_value_is_read_without_the_key_that_opens_it(tmp_path: Path) -> None:
    """`pulumi config set --secret --path 'dataopsml:monitoring.alert_webhooks[0]' URL` writes such a value."""
    monitoring = {"alert_webhooks": [{"secure": "v1:aB3=:c4"}, "https://hooks.example.com/alerts"]}
    config = MINIMAL | {"monitoring": monitoring}
    (tmp_path / "Pulumi.qa.yaml").write_text(json.dumps({"config": {f"{PROJECT}:{k}": v for k, v in config.items()}}))

    sealed, plain = map(str, stack_settings("qa", tmp_path).monitoring.alert_webhooks)

    assert "aB3" not in sealed and plain == "https://hooks.example.com/alerts"


def test_values_are_read_as_the_engine_hands_them_on(tmp_path: Path) -> None:
    config = {"base_name": "dataops", "location": "westeurope", "owner": "a@example.com", "cost_center": "x",
              "compute": {"max_nodes": 3}}  # fmt: skip
    (tmp_path / "Pulumi.qa.yaml").write_text(json.dumps({"config": {f"{PROJECT}:{k}": v for k, v in config.items()}}))
    assert stack_settings("qa", tmp_path).compute.max_nodes == 3
