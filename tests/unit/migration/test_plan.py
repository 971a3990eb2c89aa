"""Plan of a migration: imports, replacements, refusals of Azure, and resources without a counterpart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.declared import Declaration, Declared, Reference
from migration.errors import MigrationError
from migration.kinds import KINDS
from migration.plan import Plan, import_file, make_plan
from migration.report import render
from migration.terraform import SUPPORTED, read_state
from tests.unit.migration.states import (
    ACCOUNT,
    GROUP,
    Json,
    account,
    declaration,
    declared,
    resource,
    state,
    training,
    write,
)


def _plan(tmp_path: Path, resources: list[Json], *targets: Declared) -> tuple[Plan, Declaration]:
    stack = declaration(*targets)
    return make_plan(read_state(write(tmp_path, state(*resources))), stack), stack


def test_a_match_is_imported_under_the_engines_name_with_its_components(tmp_path: Path) -> None:
    plan, stack = _plan(tmp_path, [account()], training())
    assert import_file(plan, stack) == {
        "resources": [
            {"type": "dataopsml:storage:Storage", "name": "of-storage-training", "parent": "platform",
             "component": True},
            {"type": "dataopsml:platform:Platform", "name": "platform", "component": True},
            {"type": "azure-native:storage:StorageAccount", "name": "storage-training", "id": ACCOUNT,
             "parent": "of-storage-training", "version": "3.29.0"},
        ]
    }  # fmt: skip
    text = render(plan, "dev", "import.json")
    assert "allowSharedKeyAccess is on, the stack has off" in text
    assert "pulumi import --stack dev --file import.json" in text
    assert "key-in-the-clear" not in text


@pytest.mark.parametrize(
    ("attributes", "inputs", "path"),
    [
        ({"location": "northeurope"}, {}, "location"),
        ({"account_kind": "BlobStorage"}, {}, "kind"),
        ({"is_hns_enabled": True}, {}, "isHnsEnabled"),
        ({"infrastructure_encryption_enabled": True}, {}, "encryption.requireInfrastructureEncryption"),
    ],
)
def test_a_resource_to_be_replaced_is_not_imported(tmp_path: Path, attributes: Json, inputs: Json, path: str) -> None:
    plan, stack = _plan(tmp_path, [account(**attributes)], training(**inputs))
    assert import_file(plan, stack) == {"resources": []}
    assert [change.path for change in plan.matches[0].replacing] == [path]
    text = render(plan, "dev", "import.json")
    assert "Would be replaced" in text and path in text and "pulumi import" not in text


def test_a_flat_account_that_has_to_be_hierarchical_is_upgraded_and_not_replaced(tmp_path: Path) -> None:
    flat, stack = _plan(tmp_path, [account()], training(isHnsEnabled=True))
    text = render(flat, "dev", "import.json")
    assert import_file(flat, stack) == {"resources": []}
    assert "isHnsEnabled is off, the stack has on: upgrade the account in place (az storage account hns-mig" in text
    upgraded, _ = _plan(tmp_path, [account(is_hns_enabled=True)], training(isHnsEnabled=True))
    assert upgraded.blocked == []
    back, _ = _plan(tmp_path, [account(is_hns_enabled=True)], training())
    assert "upgrade" not in render(back, "dev", "import.json"), "there is no way back"


def test_a_container_is_not_taken_over_without_its_account(tmp_path: Path) -> None:
    id_ = f"{ACCOUNT}/blobServices/default/containers/trainingdata"
    box = resource("azurerm_storage_container", "data", id_, storage_account_name="stdataopsdevtr")
    of = Reference(KINDS["azurerm_storage_account"].pulumi, "stdataopsdevtr")
    container = declared("azurerm_storage_container", "storage-trainingdata", "trainingdata", accountName=of)
    both, stack = _plan(tmp_path, [account(is_hns_enabled=True), box], training(isHnsEnabled=True), container)
    assert len(import_file(both, stack)["resources"]) > 2 and both.blocked == []
    neither, stack = _plan(tmp_path, [account(), box], training(isHnsEnabled=True), container)
    assert import_file(neither, stack) == {"resources": []}
    text = render(neither, "dev", "import.json")
    assert "accountName is stdataopsdevtr, which is not imported" in text and "pulumi import" not in text


@pytest.mark.parametrize("location", ["westeurope", "West Europe"])
def test_display_names_of_regions_are_the_same_place(tmp_path: Path, location: str) -> None:
    plan, _ = _plan(tmp_path, [account(location=location)], training())
    assert plan.blocked == []


def _vault(**changes: Any) -> Json:
    id_ = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-dataops-dev"
    attributes = {"tenant_id": "t", "soft_delete_retention_days": 90, "enable_rbac_authorization": False, **changes}
    return resource("azurerm_key_vault", "kv", id_, **attributes)


def test_an_immutable_property_names_the_setting(tmp_path: Path) -> None:
    properties = {"tenantId": "t", "softDeleteRetentionInDays": 7, "enableRbacAuthorization": True}
    target = declared("azurerm_key_vault", "keyvault-vault", "kv-dataops-dev", properties=properties)
    plan, stack = _plan(tmp_path, [_vault()], target)
    assert import_file(plan, stack) == {"resources": []}
    text = render(plan, "dev", "import.json")
    assert "Azure refuses the change" in text and "setting key_vault.soft_delete_days" in text
    plan, _ = _plan(tmp_path, [_vault(soft_delete_retention_days=7)], target)
    assert plan.matches[0].imported


def test_an_unknown_value_of_the_stack_is_compared_by_its_source(tmp_path: Path) -> None:
    workspace = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/aml-dataops-dev"
    attributes = {"storage_account_id": ACCOUNT, "key_vault_id": f"{GROUP}/x/kv-dataops-dev"}
    source = resource("azurerm_machine_learning_workspace", "aml", workspace, **attributes)

    def target(account_name: str) -> Declared:
        return declared(
            "azurerm_machine_learning_workspace", "learning-workspace", "aml-dataops-dev",
            storageAccount=Reference(KINDS["azurerm_storage_account"].pulumi, account_name),
            keyVault=Reference(KINDS["azurerm_key_vault"].pulumi, "kv-dataops-dev"),
        )  # fmt: skip

    plan, _ = _plan(tmp_path, [source], target("stdataopsdevtr"))
    assert plan.blocked == []
    plan, _ = _plan(tmp_path, [source], target("stother"))
    assert [change.path for change in plan.matches[0].replacing] == ["storageAccount"]


@pytest.mark.parametrize(
    "attributes", [{"local_authentication_enabled": True}, {"local_authentication_disabled": False}]
)
def test_a_log_analytics_workspace_is_imported_and_its_keys_are_turned_off(tmp_path: Path, attributes: Json) -> None:
    id_ = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-dataops-dev"
    there = resource(
        "azurerm_log_analytics_workspace", "log", id_, sku="PerGB2018", retention_in_days=60, **attributes
    )  # fmt: skip
    stack = declared(
        "azurerm_log_analytics_workspace", "monitoring-logs", "log-dataops-dev", sku={"name": "PerGB2018"},
        retentionInDays=30, features={"disableLocalAuth": True},
    )  # fmt: skip
    plan, _ = _plan(tmp_path, [there], stack)
    (match,) = plan.matches
    assert match.imported and match.id == id_
    assert {change.path: (change.there, change.declared) for change in match.changing} == {
        "retentionInDays": (60, 30),
        "features.disableLocalAuth": (False, True),
    }
    assert "(setting monitoring.retention_days)" in render(plan, "dev", "import.json")


def test_a_resource_of_another_group_is_another_resource(tmp_path: Path) -> None:
    elsewhere = account()
    elsewhere["instances"][0]["attributes"]["id"] = ACCOUNT.replace("rg-dataops-dev", "rg-legacy")
    plan, _ = _plan(tmp_path, [elsewhere], training())
    (difference,) = plan.matches[0].replacing
    assert (difference.path, difference.there, difference.declared) == (
        "resourceGroupName", "rg-legacy", "rg-dataops-dev",
    )  # fmt: skip


def test_a_resource_without_counterpart_names_the_replacement(tmp_path: Path) -> None:
    other = account()
    other["instances"][0]["attributes"]["id"] = ACCOUNT.replace("stdataopsdevtr", "stlegacy")
    plan, stack = _plan(tmp_path, [other], training())
    assert import_file(plan, stack) == {"resources": []}
    text = render(plan, "dev", "import.json")
    assert "No counterpart" in text and "`stdataopsdevtr`" in text and "stlegacy" in text


@pytest.mark.parametrize(
    "attributes",
    [
        {"id": "https://stdataopsdevtr.blob.core.windows.net/trainingdata",
         "resource_manager_id": f"{ACCOUNT}/blobServices/default/containers/trainingdata"},
        {"id": f"{ACCOUNT}/blobServices/default/containers/trainingdata"},
        {"id": f"{ACCOUNT}/blobservices/default/containers/trainingdata".replace("storageAccounts", "storageaccounts")},
    ],
)  # fmt: skip
def test_containers_are_matched_by_either_form_of_their_id(tmp_path: Path, attributes: Json) -> None:
    source = resource("azurerm_storage_container", "data", attributes.pop("id"), **attributes)
    name = Reference(KINDS["azurerm_storage_account"].pulumi, "stdataopsdevtr")
    target = declared("azurerm_storage_container", "storage-trainingdata", "trainingdata", accountName=name)
    plan, stack = _plan(tmp_path, [source], target)
    (id_,) = [resource["id"] for resource in import_file(plan, stack)["resources"] if "id" in resource]
    assert id_ == f"{ACCOUNT}/blobServices/default/containers/trainingdata"
    other = declared("azurerm_storage_container", "data", "trainingdata", accountName="stother")
    plan, _ = _plan(tmp_path, [source], other)
    assert plan.matches == []


def test_an_id_of_another_form_names_the_resource(tmp_path: Path) -> None:
    odd = account()
    odd["instances"][0]["attributes"]["id"] = "/somewhere/else"
    with pytest.raises(MigrationError, match=r"azurerm_storage_account\.training has the id '/somewhere/else'"):
        _plan(tmp_path, [odd], training())


def test_a_resource_of_the_stack_is_not_imported_again(tmp_path: Path) -> None:
    managed = declared("azurerm_storage_account", "storage-training", "stdataopsdevtr", managed=True, kind="StorageV2")
    plan, stack = _plan(tmp_path, [account()], managed)
    assert import_file(plan, stack) == {"resources": []}
    assert "In the stack already" in render(plan, "dev", "import.json")


def test_every_supported_type_has_a_counterpart() -> None:
    assert set(KINDS) == set(SUPPORTED)


def test_contents_are_reported_with_the_command_that_removes_them(tmp_path: Path) -> None:
    secret = resource("azurerm_key_vault_secret", "tokens", "https://kv/secrets/token/1", value="in-the-clear")
    secret["instances"][0]["index_key"] = "a"
    role = resource("azurerm_role_assignment", "aml", f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments/1")
    plan, _ = _plan(tmp_path, [account(), secret, role], training())
    text = render(plan, "dev", "import.json")
    assert "terraform state rm 'azurerm_key_vault_secret.tokens[\"a\"]'" in text
    assert '- `azurerm_key_vault_secret.tokens["a"]`, a secret' in text
    assert "- `azurerm_role_assignment.aml`, a role assignment" in text
    assert "terraform state rm azurerm_role_assignment.aml" in text
    assert "in-the-clear" not in text
    assert plan.blocked == [] and plan.without == [], "contents stop nothing"
    other, _ = _plan(tmp_path, [account()], training())
    assert "terraform state rm" not in render(other, "dev", "import.json")


def test_resources_that_terraform_would_still_delete_are_first_in_the_report(tmp_path: Path) -> None:
    stack = declaration(training())
    plan = make_plan(read_state(write(tmp_path, state(account()))), stack, (), ["azurerm_storage_account.training"])
    text = render(plan, "dev", "import.json")
    assert text.index("## Terraform would still delete") < text.index("## Imported")
    assert "- `azurerm_storage_account.training`" in text and "is_hns_enabled = true" in text
