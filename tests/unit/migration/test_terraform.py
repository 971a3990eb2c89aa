"""Reading a Terraform state: supported types, and refusals by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.errors import MigrationError
from migration.terraform import read_state
from migration.terraform_plan import destroyed_by
from tests.unit.migration.states import GROUP, account, resource, state, write


def test_instances_have_terraforms_own_addresses(tmp_path: Path) -> None:
    nested = account() | {"module": "module.ml"}
    nested["instances"] = [{**nested["instances"][0], "index_key": "train"}, {**nested["instances"][0], "index_key": 1}]
    resources = read_state(write(tmp_path, state(nested))).resources
    assert [resource.address for resource in resources] == [
        'module.ml.azurerm_storage_account.training["train"]', "module.ml.azurerm_storage_account.training[1]",
    ]  # fmt: skip


def test_data_sources_are_left_out(tmp_path: Path) -> None:
    data = {**resource("azurerm_client_config", "me", "x"), "mode": "data"}
    resources = read_state(write(tmp_path, state(data, account()))).resources
    assert [resource.type for resource in resources] == ["azurerm_storage_account"]


@pytest.mark.parametrize("version", [3, 5, "4", None])
def test_other_formats_are_refused_by_their_version(tmp_path: Path, version: Any) -> None:
    with pytest.raises(MigrationError, match=f"of format {version}; format 4 is known"):
        read_state(write(tmp_path, state(account(), version=version)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", "it is not JSON"),
        ("\n", "take terraform.tfstate.backup"),
        ("[]", "has no version"),
        ({"outputs": {}}, "has no version"),
        (state(resources=[{"mode": "managed"}]), "resources.0.type: Field required"),
        (state(), "manages no resources"),
    ],
)
def test_an_invalid_state_names_its_reason(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(MigrationError, match=message):
        read_state(write(tmp_path, content))


def test_a_missing_state_file_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="terraform state pull"):
        read_state(tmp_path / "nothing.tfstate")


def test_every_unknown_resource_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    virtual = resource("azurerm_virtual_network", "net", f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v")
    password = resource("random_password", "pw", "none") | {
        "provider": 'provider["registry.terraform.io/hashicorp/random"]'
    }
    file = write(tmp_path, state(account(), virtual, password))
    with pytest.raises(MigrationError) as caught:
        read_state(file)
    assert "azurerm_virtual_network.net" in str(caught.value) and "random_password.pw" in str(caught.value)
    assert "--leave-out" in str(caught.value)
    left = ["azurerm_virtual_network.net", "random_password.pw"]
    assert [resource.type for resource in read_state(file, left).resources] == ["azurerm_storage_account"]


def test_a_known_type_of_another_provider_is_unknown(tmp_path: Path) -> None:
    other = account() | {"provider": 'provider["registry.terraform.io/somebody/azurerm2"]'}
    with pytest.raises(MigrationError, match=r"azurerm_storage_account\.training"):
        read_state(write(tmp_path, state(other)))


def test_leaving_out_a_missing_resource_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"has no azurerm_key_vault\.typo to leave out"):
        read_state(write(tmp_path, state(account())), ["azurerm_key_vault.typo"])


def test_an_instance_pending_deletion_stops_the_takeover(tmp_path: Path) -> None:
    deposed = account()
    deposed["instances"][0]["deposed"] = "00000001"
    with pytest.raises(MigrationError, match="still has to delete"):
        read_state(write(tmp_path, state(deposed)))


def test_a_missing_required_attribute_is_named(tmp_path: Path) -> None:
    bare = resource("azurerm_key_vault", "kv", "")
    (vault,) = read_state(write(tmp_path, state(bare))).resources
    with pytest.raises(MigrationError, match=r"azurerm_key_vault\.kv has no id"):
        vault.text("id")


def test_contents_are_distinguished_from_resources_and_their_values_are_not_kept(tmp_path: Path) -> None:
    blob = resource("azurerm_storage_blob", "config", "https://x/y", source_content="of the blob")
    secret = resource("azurerm_key_vault_secret", "token", "https://kv/secrets/token/1", value="in-the-clear")
    contents = read_state(write(tmp_path, state(account(), blob, secret))).contents
    assert [(content.address, content.type) for content in contents] == [
        ("azurerm_storage_blob.config", "azurerm_storage_blob"),
        ("azurerm_key_vault_secret.token", "azurerm_key_vault_secret"),
    ]
    assert "in-the-clear" not in repr(contents)


def test_a_plan_that_replaces_or_deletes_names_the_addresses(tmp_path: Path) -> None:
    changes = [
        {"address": "azurerm_storage_account.training", "change": {"actions": ["delete", "create"]}},
        {"address": "azurerm_key_vault.kv", "change": {"actions": ["update"]}},
        {"address": "azurerm_storage_blob.old", "change": {"actions": ["delete"]}},
        {"address": "azurerm_resource_group.rg", "change": {"actions": ["no-op"]}},
    ]
    file = write(tmp_path, {"format_version": "1.2", "resource_changes": changes})
    assert destroyed_by(file) == ["azurerm_storage_account.training", "azurerm_storage_blob.old"]


@pytest.mark.parametrize(
    "content", ["{not json", {"resource_changes": []}, {"format_version": "1.2", "resource_changes": [1]}]
)
def test_an_invalid_plan_names_the_command_that_writes_one(tmp_path: Path, content: Any) -> None:
    with pytest.raises(MigrationError, match="terraform show -json"):
        destroyed_by(write(tmp_path, content))
    with pytest.raises(MigrationError, match="terraform plan -out"):
        destroyed_by(tmp_path / "nothing.json")
