"""Clients that localcloud's tests use as their makers ship them: the operations, and the tests below `tests/`."""

from __future__ import annotations

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
        "service principals, users, groups, entitlements, permissions, pools, notebooks",
        "databricks/test_vendor_provider.py",
    ),
    (
        "curl",
        "any address, with the variables of `localcloud env`",
        "gateway/test_environment.py",
    ),
)
