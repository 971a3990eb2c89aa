"""Clients that localcloud's tests use as their makers ship them: their commands, and the tests below `tests/`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """`commands` are all commands of its tests, and no others: `tests/clients/` holds the lists to the tests."""

    name: str
    commands: tuple[str, ...]
    tests: tuple[str, ...]
    note: str = ""

    def __str__(self) -> str:
        return self.name


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
    "apply azurerm_storage_container", "apply tags", "destroy", "init provider", "plan", "plan data sources",
)  # fmt: skip
"""Steps of Terraform whose requests are recorded in `tests/clients/terraform_azurerm.json` and replayed."""

TERRAFORM_DATABRICKS = ("apply", "apply changes", "destroy", "plan")
"""Steps of Terraform whose requests are recorded in `tests/clients/terraform_databricks.json` and replayed."""

CLIENTS = (
    Client(
        "Pulumi CLI",
        (
            "about", "config", "config set", "destroy", "import", "login", "preview", "refresh", "stack export",
            "stack init", "stack ls", "stack output", "stack rm", "up",
        ),
        (
            "distribution/test_distribution.py", "engine/test_language_host.py", "gateway/test_environment.py",
            "keyvault/test_keys.py", "plugins/test_engine.py",
        ),
        note="with the state in a blob container",
    ),
    Client(
        "azure-identity",
        (
            "ClientSecretCredential", "DefaultAzureCredential", "ManagedIdentityCredential",
        ),
        (
            "azureml/test_job_identities.py", "azureml/test_jobs.py", "azureml/test_mlflow.py",
            "databricks/test_run_secrets.py", "databricks/test_storage.py", "entra/test_managed_identity.py",
            "entra/test_tokens.py", "gateway/test_command_line.py", "gateway/test_environment.py",
            "network/test_peerings.py",
        ),
    ),
    Client(
        "azure-cli 2.91",
        AZURE_CLI,
        (
            "clients/test_azure_cli.py",
        ),
        note="its requests, recorded and replayed, after `login --service-principal`",
    ),
    Client(
        "Terraform 1.11 with azurerm 5.2",
        TERRAFORM_AZURERM,
        (
            "clients/test_terraform_azurerm.py",
        ),
        note="its requests, recorded and replayed",
    ),
    Client(
        "Terraform 1.11 with databricks 1.128",
        TERRAFORM_DATABRICKS,
        (
            "clients/test_terraform_databricks.py",
        ),
        note="its requests for a platform of notebook runs, recorded and replayed",
    ),
    Client(
        "azure-mgmt packages",
        (
            "containerregistry: registries.begin_create", "databricks: workspaces.begin_create_or_update",
            "databricks: workspaces.begin_delete", "keyvault: keys.list", "keyvault: secrets.create_or_update",
            "keyvault: secrets.list", "keyvault: secrets.update", "keyvault: vaults.begin_create_or_update",
            "keyvault: vaults.begin_purge_deleted", "keyvault: vaults.delete", "keyvault: vaults.list_deleted",
            "monitor: metric_alerts.list_by_resource_group", "network: default_security_rules.list",
            "network: network_security_groups.begin_create_or_update",
            "network: network_security_groups.begin_delete", "network: private_endpoints.begin_delete",
            "network: private_endpoints.get", "network: private_endpoints.list",
            "network: subnets.begin_create_or_update", "network: virtual_network_peerings.begin_create_or_update",
            "network: virtual_network_peerings.begin_delete", "network: virtual_networks.begin_create_or_update",
            "network: virtual_networks.get", "privatedns: record_sets.list", "resource: resource_groups.begin_delete",
            "resource: resource_groups.check_existence", "resource: resource_groups.create_or_update",
            "resource: resource_groups.get", "resource: resource_groups.list",
            "resource: resources.list_by_resource_group", "storage: private_endpoint_connections.list",
            "storage: private_link_resources.list_by_storage_account", "storage: storage_accounts.begin_create",
            "storage: storage_accounts.check_name_availability", "storage: storage_accounts.get_properties",
            "storage: storage_accounts.list_keys",
        ),
        (
            "arm/test_names.py", "arm/test_protocol.py", "arm/test_resources.py", "gateway/test_environment.py",
            "gateway/test_faults.py", "keyvault/test_keys.py", "keyvault/test_secrets.py",
            "network/test_exclusive.py", "network/test_operations.py", "network/test_peerings.py",
            "network/test_private_endpoints.py", "network/test_virtual_networks.py",
        ),
    ),
    Client(
        "azure-storage-blob",
        (
            "create_container", "create_snapshot", "delete_blob", "delete_blobs", "delete_container", "download_blob",
            "exists", "from_blob_url", "from_container_url", "get_blob_client", "get_blob_properties",
            "get_container_client", "get_user_delegation_key", "list_blobs", "list_containers", "set_blob_metadata",
            "set_standard_blob_tier_blobs", "start_copy_from_url", "upload_blob", "walk_blobs",
        ),
        (
            "arm/test_conditions.py", "azureml/test_artifacts.py", "azureml/test_datastore_service.py",
            "databricks/test_unity_storage.py", "gateway/test_command_line.py", "gateway/test_environment.py",
            "network/test_peerings.py", "storage/test_azurite_journal.py", "storage/test_dfs_paths.py",
            "storage/test_dfs_signatures.py", "storage/test_dfs_tree.py", "storage/test_frontend.py",
        ),
    ),
    Client(
        "azure-storage-file-datalake",
        (
            "append_data", "create_directory", "create_file", "delete_directory", "delete_file", "download_file",
            "flush_data", "get_access_control", "get_directory_client", "get_directory_properties", "get_file_client",
            "get_file_properties", "get_file_system_client", "get_paths", "get_user_delegation_key",
            "rename_directory", "upload_data",
        ),
        (
            "databricks/test_run_secrets.py", "databricks/test_storage.py", "storage/test_dfs_access.py",
            "storage/test_dfs_paths.py", "storage/test_dfs_signatures.py",
        ),
    ),
    Client(
        "Spark with Hadoop's ABFS driver",
        (
            "dbutils.fs.head", "dbutils.fs.ls", "dbutils.fs.mkdirs", "dbutils.fs.mv", "dbutils.fs.put",
            "dbutils.fs.rm", "read.csv", "read.load", "read.parquet", "sql", "write.parquet", "write.save",
            "write.saveAsTable",
        ),
        (
            "databricks/test_storage.py", "databricks/test_runtime.py", "databricks/test_run_secrets.py",
        ),
        note="in notebooks",
    ),
    Client(
        "azure-keyvault-secrets",
        (
            "backup_secret", "begin_delete_secret", "begin_recover_deleted_secret", "get_secret",
            "list_deleted_secrets", "list_properties_of_secret_versions", "list_properties_of_secrets",
            "purge_deleted_secret", "restore_secret_backup", "set_secret",
        ),
        (
            "keyvault/test_secrets.py",
        ),
    ),
    Client(
        "azure-keyvault-keys",
        (
            "begin_delete_key", "begin_recover_deleted_key", "create_rsa_key", "decrypt", "encrypt", "get_key",
            "get_key_rotation_policy", "list_properties_of_key_versions", "purge_deleted_key", "sign", "unwrap_key",
            "update_key_properties", "verify", "wrap_key",
        ),
        (
            "keyvault/test_keys.py",
        ),
    ),
    Client(
        "azureml-fsspec 1.4 and mltable 1.7",
        (
            "AzureMachineLearningFileSystem.download", "AzureMachineLearningFileSystem.ls",
            "AzureMachineLearningFileSystem.open", "AzureMachineLearningFileSystem.upload", "MLTable.save",
            "mltable.load",
        ),
        (
            "azureml/test_datastore_service.py",
        ),
        note="their requests, replayed",
    ),
    Client(
        "azure-ai-ml",
        (
            "batch_deployments.begin_create_or_update", "batch_deployments.begin_delete", "batch_deployments.list",
            "batch_deployments.list_jobs", "batch_endpoints.begin_create_or_update", "batch_endpoints.get",
            "batch_endpoints.invoke", "batch_endpoints.list_jobs", "components.create_or_update", "components.get",
            "components.list", "compute.begin_create_or_update", "compute.begin_delete", "compute.begin_update",
            "compute.get", "compute.list", "compute.list_nodes", "compute.list_sizes", "compute.list_usage",
            "connections.create_or_update", "connections.delete", "connections.get", "connections.list",
            "data.create_or_update", "data.get", "data.share", "datastores.create_or_update", "datastores.delete",
            "datastores.get", "datastores.get_default", "datastores.list", "environments.archive",
            "environments.create_or_update", "environments.get", "environments.list", "environments.restore",
            "environments.share", "jobs.archive", "jobs.begin_cancel", "jobs.create_or_update", "jobs.download",
            "jobs.get", "jobs.list", "jobs.restore", "jobs.stream", "jobs.update", "models.archive",
            "models.create_or_update", "models.download", "models.get", "models.list", "models.restore",
            "models.share", "online_deployments.begin_create_or_update", "online_deployments.begin_delete",
            "online_deployments.get", "online_deployments.get_logs", "online_deployments.list",
            "online_endpoints.begin_create_or_update", "online_endpoints.begin_delete",
            "online_endpoints.begin_regenerate_keys", "online_endpoints.get", "online_endpoints.get_keys",
            "online_endpoints.invoke", "online_endpoints.list", "registries.begin_create", "registries.begin_delete",
            "registries.list",
            "schedules.begin_create_or_update", "schedules.begin_delete", "schedules.begin_disable",
            "schedules.begin_enable", "schedules.get", "schedules.list", "schedules.trigger",
            "workspaces.begin_create", "workspaces.begin_delete", "workspaces.get", "workspaces.get_keys",
            "workspaces.list",
        ),
        (
            "arm/test_deployments.py", "azureml/test_artifacts.py", "azureml/test_assets.py",
            "azureml/test_compute.py", "azureml/test_connections.py", "azureml/test_datastore_service.py",
            "azureml/test_datastores.py", "azureml/test_endpoints.py", "azureml/test_history.py",
            "azureml/test_job_data.py", "azureml/test_job_identities.py", "azureml/test_jobs.py",
            "azureml/test_mlflow.py", "azureml/test_models.py", "azureml/test_online_deployments.py",
            "azureml/test_online_endpoints.py", "azureml/test_online_failures.py", "azureml/test_online_settings.py",
            "azureml/test_pipeline_refusals.py", "azureml/test_pipelines.py", "azureml/test_registries.py",
            "azureml/test_schedules.py", "azureml/test_workspaces.py",
        ),
    ),
    Client(
        "azureml-mlflow and mlflow",
        (
            "MlflowClient.create_experiment", "MlflowClient.create_model_version",
            "MlflowClient.create_registered_model", "MlflowClient.create_run", "MlflowClient.delete_registered_model",
            "MlflowClient.delete_run", "MlflowClient.download_artifacts", "MlflowClient.get_experiment",
            "MlflowClient.get_model_version", "MlflowClient.get_registered_model", "MlflowClient.get_run",
            "MlflowClient.list_artifacts", "MlflowClient.log_artifact", "MlflowClient.log_metric",
            "MlflowClient.log_text", "MlflowClient.search_model_versions", "MlflowClient.search_runs",
            "MlflowClient.set_model_version_tag", "mlflow.MlflowClient", "mlflow.get_artifact_uri", "mlflow.get_run",
            "mlflow.log_artifact", "mlflow.log_metric", "mlflow.log_param", "mlflow.log_text",
            "mlflow.register_model", "mlflow.set_experiment", "mlflow.set_tag", "mlflow.set_tracking_uri",
            "mlflow.start_run",
        ),
        (
            "azureml/test_artifacts.py", "azureml/test_history.py", "azureml/test_mlflow.py",
            "azureml/test_models.py", "databricks/test_runtime.py", "databricks/test_workspace_removal.py",
            "gateway/test_environment.py", "gateway/test_pages.py",
        ),
        note="also in programs of jobs and notebooks",
    ),
    Client(
        "databricks-sdk",
        (
            "api_client.do", "catalogs.create", "catalogs.delete", "catalogs.get", "catalogs.list", "catalogs.update",
            "cluster_policies.create", "cluster_policies.delete", "cluster_policies.edit", "cluster_policies.get",
            "clusters.list_node_types", "clusters.select_node_type", "clusters.select_spark_version",
            "clusters.spark_versions", "current_user.me", "experiments.create_experiment", "experiments.get_by_name",
            "experiments.get_experiment", "experiments.get_run", "experiments.search_runs",
            "external_locations.create", "external_locations.delete", "external_locations.get",
            "external_locations.list", "external_locations.update", "grants.get", "grants.get_effective",
            "grants.list", "grants.list_effective", "grants.update", "groups.get", "groups.list", "groups.patch",
            "instance_pools.create", "instance_pools.delete", "instance_pools.edit", "instance_pools.get",
            "instance_pools.list", "jobs.cancel_run_and_wait", "jobs.delete", "jobs.delete_run", "jobs.get_run",
            "jobs.get_run_output", "jobs.list_runs", "jobs.submit", "jobs.wait_get_run_job_terminated_or_skipped",
            "metastores.current", "metastores.list", "metastores.summary", "permissions.get",
            "permissions.get_permission_levels", "permissions.set", "permissions.update", "schemas.create",
            "schemas.delete", "schemas.get", "schemas.list", "schemas.update", "secrets.create_scope",
            "secrets.delete_acl", "secrets.delete_scope", "secrets.delete_secret", "secrets.get_acl",
            "secrets.get_secret", "secrets.list_secrets", "secrets.put_acl", "secrets.put_secret",
            "service_principals.create", "service_principals.delete", "service_principals.get",
            "service_principals.list", "service_principals.patch", "storage_credentials.create",
            "storage_credentials.delete", "storage_credentials.get", "storage_credentials.list",
            "storage_credentials.update", "storage_credentials.validate", "tables.delete", "tables.get",
            "tables.list", "token_management.delete", "token_management.get", "token_management.list",
            "tokens.create", "tokens.delete", "tokens.list", "users.create", "volumes.create", "volumes.delete",
            "volumes.list", "volumes.read", "volumes.update", "workspace.delete", "workspace.download",
            "workspace.export", "workspace.get_status", "workspace.import_", "workspace.list", "workspace.mkdirs",
            "workspace.upload", "workspace_bindings.get", "workspace_bindings.get_bindings",
            "workspace_bindings.update", "workspace_bindings.update_bindings",
        ),
        (
            "databricks/test_request_types.py", "databricks/test_resources.py", "databricks/test_run_secrets.py",
            "databricks/test_runs.py", "databricks/test_runtime.py", "databricks/test_storage.py",
            "databricks/test_tokens.py", "databricks/test_unity.py", "databricks/test_unity_catalogs.py",
            "databricks/test_unity_grants.py", "databricks/test_unity_storage.py",
            "databricks/test_vendor_provider.py", "databricks/test_workspace.py",
            "databricks/test_workspace_removal.py", "gateway/test_environment.py", "plugins/test_unity_catalog.py",
        ),
    ),
    Client(
        "Terraform's databricks provider",
        (
            "databricks_catalog", "databricks_directory", "databricks_entitlements", "databricks_grants",
            "databricks_instance_pool", "databricks_notebook", "databricks_permissions", "databricks_schema",
            "databricks_service_principal",
        ),
        (
            "databricks/test_vendor_provider.py",
        ),
        note="the requests of its source, replayed",
    ),
    Client(
        "curl",
        (
            "curl https://management.azure.com/subscriptions",
        ),
        (
            "gateway/test_environment.py",
        ),
        note="with the variables of `localcloud env`",
    ),
)  # fmt: skip
