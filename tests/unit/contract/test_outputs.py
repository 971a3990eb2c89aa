"""Outputs are read strictly, and their faults are reported by name."""

from __future__ import annotations

from typing import Any

import pytest

from contract.outputs import OutputsError, PlatformOutputs, read_outputs

GUID = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{GUID}/resourceGroups/rg-dataops-dev"
VALID: dict[str, Any] = {
    "environment": "dev",
    "location": "westeurope",
    "tenant_id": GUID,
    "subscription_id": GUID,
    "resource_group": "rg-dataops-dev",
    "workspace_name": "aml-dataops-dev",
    "compute_name": "cpu-dev",
    "identity_id": f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-dataops-dev-pipeline",
    "identity_client_id": GUID,
    "training_account": "stdataopsdevtr",
    "training_container": "trainingdata",
    "training_datastore": "trainingdata",
    "container_registry": "acrdataopsdev.azurecr.io",
    "key_vault_uri": "https://kv-dataops-dev.vault.azure.net/",
    "databricks_workspace_id": f"{GROUP}/providers/Microsoft.Databricks/workspaces/dbw-dataops-dev",
    "databricks_host": "https://adb-1234567890123456.7.azuredatabricks.net",
    "instance_pool_id": "0101-120000-pool-abc",
    "cluster_policy_id": "ABC123",
    "spark_version": "17.3.x-scala2.13",
    "notebook_folder": "/dataopsml/notebooks",
    "batch_endpoint": "bep-dataops-dev-abcde",
}


def test_valid_outputs_are_read() -> None:
    outputs = read_outputs(VALID | {"another_program_s": 1}, "dev")
    assert outputs.batch_endpoint == "bep-dataops-dev-abcde"
    assert outputs.model_registry is None
    assert read_outputs(VALID | {"model_registry": "mlr-dataops"}, "dev").model_registry == "mlr-dataops"


@pytest.mark.parametrize("name", VALID)
def test_a_missing_output_is_named_with_its_stack(name: str) -> None:
    with pytest.raises(OutputsError) as caught:
        read_outputs({key: value for key, value in VALID.items() if key != name}, "dev")
    assert f"  {name} is missing" in str(caught.value)
    assert "Stack dev does not have" in str(caught.value) and "pulumi up --stack dev" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subscription_id", "mine"),
        ("identity_id", "id-dataops-dev-pipeline"),
        ("databricks_host", "adb-1.azuredatabricks.net"),
        ("key_vault_uri", "http://kv.vault.azure.net"),
        ("workspace_name", ""),
        ("compute_name", 3),
    ],
)
def test_a_malformed_output_is_named_with_its_value(name: str, value: object) -> None:
    with pytest.raises(OutputsError, match=f"  {name} is {value!r}: "):
        read_outputs(VALID | {name: value}, "prod")


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(OutputsError) as caught:
        read_outputs({"output_of_an_earlier_version": "x"}, "dev")
    required = [name for name, field in PlatformOutputs.model_fields.items() if field.is_required()]
    assert all(f"  {name} is missing" in str(caught.value) for name in required)


def test_every_output_is_described() -> None:
    assert all(field.description for field in PlatformOutputs.model_fields.values())
