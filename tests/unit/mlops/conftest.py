"""Fixtures for the tests of mlops: a stack's outputs as Pulumi prints them."""

from __future__ import annotations

from typing import Any

import pytest

from contract.outputs import PlatformOutputs, read_outputs

_GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-d-test/providers"


@pytest.fixture
def printed() -> dict[str, Any]:
    """Return the outputs that `pulumi stack output --json` prints."""
    return {
        "environment": "test",
        "location": "westeurope",
        "tenant_id": "22222222-2222-2222-2222-222222222222",
        "subscription_id": "11111111-1111-1111-1111-111111111111",
        "resource_group": "rg-d-test",
        "workspace_name": "aml-d-test",
        "compute_name": "cpu",
        "identity_id": f"{_GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/id-d-test",
        "identity_client_id": "33333333-3333-3333-3333-333333333333",
        "training_account": "stdtesttr",
        "training_container": "trainingdata",
        "training_datastore": "trainingdata",
        "container_registry": "acrdtest.azurecr.io",
        "key_vault_uri": "https://kv-d-test.vault.azure.net/",
        "databricks_workspace_id": f"{_GROUP}/Microsoft.Databricks/workspaces/dbw-d-test",
        "databricks_host": "https://adb-1.1.azuredatabricks.net",
        "instance_pool_id": "pool-1",
        "cluster_policy_id": "policy-1",
        "spark_version": "17.3.x-scala2.13",
        "notebook_folder": "/dataopsml/notebooks",
        "batch_endpoint": "bep-d-test",
    }


@pytest.fixture
def outputs(printed: dict[str, Any]) -> PlatformOutputs:
    return read_outputs(printed, "test")
