"""Reading a Terraform state: what is known, and what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.errors import MigrationError
from migration.terraform import read_state
from tests.unit.migration.states import GROUP, account, resource, state, write


def test_instances_have_terraforms_own_addresses(tmp_path: Path) -> None:
    nested = account() | {"module": "module.ml"}
    nested["instances"] = [{**nested["instances"][0], "index_key": "train"}, {**nested["instances"][0], "index_key": 1}]
    found = read_state(write(tmp_path, state(nested)))
    assert [one.address for one in found] == [
        'module.ml.azurerm_storage_account.training["train"]', "module.ml.azurerm_storage_account.training[1]",
    ]  # fmt: skip


def test_data_sources_are_not_terraforms_to_give(tmp_path: Path) -> None:
    data = {**resource("azurerm_client_config", "me", "x"), "mode": "data"}
    assert [one.type for one in read_state(write(tmp_path, state(data, account())))] == ["azurerm_storage_account"]


@pytest.mark.parametrize("version", [3, 5, "4", None])
def test_other_formats_are_refused_by_their_version(tmp_path: Path, version: Any) -> None:
    with pytest.raises(MigrationError, match=f"of format {version}; format 4 is known"):
        read_state(write(tmp_path, state(account(), version=version)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{not json", "it is not JSON"),
        ("[]", "has no version"),
        ({"outputs": {}}, "has no version"),
        (state(resources=[{"mode": "managed"}]), "resources.0.type: Field required"),
        (state(), "manages no resources"),
    ],
)
def test_what_is_no_state_says_why(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(MigrationError, match=said):
        read_state(write(tmp_path, content))


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
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
    assert [one.type for one in read_state(file, left)] == ["azurerm_storage_account"]


def test_a_known_type_of_another_provider_is_unknown(tmp_path: Path) -> None:
    other = account() | {"provider": 'provider["registry.terraform.io/somebody/azurerm2"]'}
    with pytest.raises(MigrationError, match=r"azurerm_storage_account\.training"):
        read_state(write(tmp_path, state(other)))


def test_leaving_out_what_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"has no azurerm_key_vault\.typo to leave out"):
        read_state(write(tmp_path, state(account())), ["azurerm_key_vault.typo"])


def test_an_instance_that_waits_for_its_deletion_stops_it(tmp_path: Path) -> None:
    deposed = account()
    deposed["instances"][0]["deposed"] = "00000001"
    with pytest.raises(MigrationError, match="still has to delete"):
        read_state(write(tmp_path, state(deposed)))


def test_an_attribute_that_is_needed_and_missing_is_named(tmp_path: Path) -> None:
    bare = resource("azurerm_key_vault", "kv", "")
    found = read_state(write(tmp_path, state(bare)))
    with pytest.raises(MigrationError, match=r"azurerm_key_vault\.kv has no id"):
        found[0].text("id")
