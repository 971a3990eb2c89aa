"""Clients that localcloud's tests use as their makers ship them: the operations, and the tests below `tests/`."""

from __future__ import annotations

AZURE_CLI = (
    "account list-locations", "acr check-name", "acr create", "acr credential renew", "acr credential show",
    "acr delete", "acr list", "acr login", "acr replication create", "acr replication delete", "acr replication list",
    "acr replication show", "acr show", "acr show-usage", "acr update", "ad signed-in-user show", "ad sp list",
    "ad sp show", "deployment group create", "deployment group delete", "deployment group export",
    "deployment group list", "deployment group show", "deployment group validate", "deployment group what-if",
    "deployment operation group list", "deployment sub create", "deployment sub validate", "deployment sub what-if",
    "feature list", "group create", "group delete", "group exists", "group list", "group show", "identity create",
    "identity list", "keyvault create", "keyvault delete", "keyvault list", "keyvault list-deleted", "keyvault purge",
    "keyvault secret delete", "keyvault secret list", "keyvault secret set", "keyvault secret show", "keyvault show",
    "keyvault show-deleted", "lock create", "lock delete", "lock list", "monitor activity-log list",
    "network vnet create", "network vnet list", "provider list", "provider register", "provider show", "resource list",
    "role assignment create", "role assignment delete", "role assignment list", "role definition list",
    "storage account list", "storage account show", "storage container create", "storage container list", "tag create",
    "tag list", "tag update",
)  # fmt: skip
"""Commands of azure-cli whose requests are recorded in `tests/clients/azure_cli.json` and replayed."""

TERRAFORM_AZURERM = (
    "apply azurerm_application_insights", "apply azurerm_container_registry", "apply azurerm_databricks_workspace",
    "apply azurerm_key_vault", "apply azurerm_log_analytics_workspace", "apply azurerm_machine_learning_workspace",
    "apply azurerm_resource_group", "apply azurerm_role_assignment", "apply azurerm_storage_account",
    "apply azurerm_storage_container", "apply tags", "destroy", "init provider", "plan",
)  # fmt: skip
"""Steps of Terraform whose requests, read in the provider's source, are in `tests/clients/terraform_azurerm.json`."""

CLIENTS = (
    (
        "Pulumi CLI",
        "up, preview, refresh, destroy, stack export and import, state in a blob container",
        "distribution/test_distribution.py",
    ),
    (
        "azure-identity",
        "client secret, managed identity, workload identity federation, Azure CLI session",
        "entra/test_managed_identity.py",
    ),
    (
        "azure-cli 2.91",
        f"login --service-principal; {', '.join(AZURE_CLI)}",
        "clients/test_azure_cli.py",
    ),
    (
        "Terraform with azurerm 5.2",
        f"the requests of its source: {', '.join(TERRAFORM_AZURERM)}",
        "clients/test_terraform_azurerm.py",
    ),
    (
        "azure-mgmt-resource and other azure-mgmt packages",
        "resources, deployments, role assignments, locks",
        "arm/test_deployments.py",
    ),
    (
        "azure-storage-blob",
        "containers, blobs, blocks, leases, batches, user delegation SAS",
        "storage/test_front.py",
    ),
    (
        "Hadoop's ABFS driver with Spark",
        "read, write, rename and delete with a SAS token provider",
        "databricks/test_storage.py",
    ),
    (
        "azure-keyvault-secrets",
        "set, get, list, update, delete, recover, purge, backup",
        "keyvault/test_secrets.py",
    ),
    (
        "azure-keyvault-keys",
        "create, rotate, wrap, unwrap, sign, verify",
        "keyvault/test_keys.py",
    ),
    (
        "azureml-fsspec and mltable (requests replayed)",
        "list, open, upload and download by azureml:// addresses; load and save tables, by path and by data asset",
        "azureml/test_datastore_service.py",
    ),
    (
        "azure-ai-ml",
        "workspaces, datastores, environments, components, jobs, batch endpoints, models, registries",
        "azureml/test_jobs.py",
    ),
    (
        "azureml-mlflow and mlflow",
        "runs, metrics, artifacts, registered models",
        "azureml/test_mlflow.py",
    ),
    (
        "databricks-sdk",
        "workspace, jobs, runs, pools, policies, secrets, permissions, SCIM, Unity Catalog",
        "databricks/test_workspace.py",
    ),
    (
        "Terraform's databricks provider (its requests, replayed)",
        "service principals, users, groups, entitlements, permissions, pools, notebooks, catalogs, grants",
        "databricks/test_vendor_provider.py",
    ),
    (
        "curl",
        "any address, with the variables of `localcloud env`",
        "gateway/test_environment.py",
    ),
)
