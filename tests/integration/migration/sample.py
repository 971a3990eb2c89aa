"""The sample's resources, made outside Pulumi as Terraform makes them, and the state that Terraform would write."""

from __future__ import annotations

from typing import Any

from localcloud.testing.azure_session import AzureSession

Json = dict[str, Any]
REGION = "westeurope"
ACCOUNT: Json = {
    "accessTier": "Hot", "allowBlobPublicAccess": False, "allowCrossTenantReplication": False,
    "allowSharedKeyAccess": True, "defaultToOAuthAuthentication": False, "dnsEndpointType": "Standard",
    "encryption": {
        "keySource": "Microsoft.Storage",
        "services": {"queue": {"keyType": "Service"}, "table": {"keyType": "Service"}},
    },
    "isHnsEnabled": False, "isLocalUserEnabled": True, "isNfsV3Enabled": False, "isSftpEnabled": False,
    "minimumTlsVersion": "TLS1_2",
    "networkAcls": {
        "bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "resourceAccessRules": [],
        "virtualNetworkRules": [],
    },
    "publicNetworkAccess": "Enabled", "supportsHttpsTrafficOnly": True,
}  # fmt: skip
"""Body that azurerm 5.2 sends for an account whose configuration has no more than its name, tier and copies."""


class Sample:
    """Resources of one base name and environment; `state` is their Terraform state."""

    def __init__(self, azure: AzureSession, base: str, environment: str) -> None:
        self._azure, self._base, self._environment = azure, base, environment
        self._resources: list[Json] = []
        self.group = f"{azure.subscription}/resourceGroups/rg-{base}-{environment}"

    @property
    def state(self) -> Json:
        return {
            "version": 4, "terraform_version": "1.9.8", "serial": 12, "lineage": "1b7f0c5e", "outputs": {},
            "resources": self._resources,
        }  # fmt: skip

    def make(self) -> None:
        """Make the resources as the sample's Terraform does: keys on, access policies, an admin user."""
        base, environment = self._base, self._environment
        self._put(
            "azurerm_resource_group", "rg", self.group, "2024-03-01", {},
            {"name": f"rg-{base}-{environment}"},
        )  # fmt: skip
        workspace = self._account("workspace", f"st{base}{environment}")
        training = self._account("training", f"st{base}{environment}tr")
        # The one preparation of the guide: Spark's account gets a hierarchical namespace, in place.
        upgraded = self._azure.arm(
            "POST", f"{training}/hnsonmigration", "2024-01-01", requestType="HnsOnHydrationRequest"
        )
        assert upgraded.status_code == 200, upgraded.text
        self._resources[-1]["instances"][0]["attributes"]["is_hns_enabled"] = True
        container = f"{training}/blobServices/default/containers/trainingdata"
        self._azure.put(container, "2024-01-01", {})
        account = training.rsplit("/", 1)[-1]
        self._record(
            "azurerm_storage_container", "trainingdata", f"https://{account}.blob.core.windows.net/trainingdata",
            {
                "name": "trainingdata", "storage_account_name": account, "container_access_type": "private",
                "resource_manager_id": container,
            },
        )  # fmt: skip
        vault = self._vault(f"kv-{base}-{environment}")
        logs = f"{self.group}/providers/Microsoft.OperationalInsights/workspaces/log-{base}-{environment}"
        self._put(
            "azurerm_log_analytics_workspace", "log", logs, "2025-07-01",
            {"properties": {"sku": {"name": "PerGB2018"}}},
            {
                "sku": "PerGB2018", "retention_in_days": 30, "local_authentication_enabled": True,
                "primary_shared_key": "secret",
            },
        )  # fmt: skip
        insights = f"{self.group}/providers/Microsoft.Insights/components/appi-{base}-{environment}"
        self._put(
            "azurerm_application_insights", "appi", insights, "2020-02-02",
            {"kind": "web", "properties": {"Application_Type": "web", "WorkspaceResourceId": logs}},
            {"application_type": "web", "retention_in_days": 90, "instrumentation_key": "secret", "workspace_id": logs},
        )  # fmt: skip
        registry = f"{self.group}/providers/Microsoft.ContainerRegistry/registries/acr{base}{environment}"
        self._put(
            "azurerm_container_registry", "acr", registry, "2023-07-01",
            {"sku": {"name": "Standard"}, "properties": {"adminUserEnabled": True}},
            {"sku": "Standard", "admin_enabled": True, "admin_password": "secret"},
        )  # fmt: skip
        linked = {
            "storageAccount": workspace, "keyVault": vault, "applicationInsights": insights,
            "containerRegistry": registry,
        }  # fmt: skip
        self._put(
            "azurerm_machine_learning_workspace", "aml",
            f"{self.group}/providers/Microsoft.MachineLearningServices/workspaces/aml-{base}-{environment}",
            "2025-12-01", {"identity": {"type": "SystemAssigned"}, "properties": linked},
            {
                "storage_account_id": workspace, "key_vault_id": vault, "application_insights_id": insights,
                "container_registry_id": registry, "high_business_impact": False,
            },
        )  # fmt: skip
        # azurerm's default name, for configurations without one.
        managed = f"{self._azure.subscription}/resourceGroups/databricks-rg-rg-{base}-{environment}"
        self._put(
            "azurerm_databricks_workspace", "dbw",
            f"{self.group}/providers/Microsoft.Databricks/workspaces/dbw-{base}-{environment}", "2024-05-01",
            {"sku": {"name": "premium"}, "properties": {"managedResourceGroupId": managed}},
            {"sku": "premium", "managed_resource_group_id": managed},
        )  # fmt: skip

    def _account(self, name: str, account: str) -> str:
        id_ = f"{self.group}/providers/Microsoft.Storage/storageAccounts/{account}"
        self._put(
            "azurerm_storage_account", name, id_, "2024-01-01",
            {"kind": "StorageV2", "sku": {"name": "Standard_LRS", "tier": "Standard"}, "properties": ACCOUNT},
            {
                "account_kind": "StorageV2", "account_tier": "Standard", "account_replication_type": "LRS",
                "is_hns_enabled": False, "shared_access_key_enabled": True, "min_tls_version": "TLS1_2",
                "allow_nested_items_to_be_public": False, "infrastructure_encryption_enabled": False,
                "primary_access_key": "secret",
            },
        )  # fmt: skip
        return id_

    def _vault(self, name: str) -> str:
        id_ = f"{self.group}/providers/Microsoft.KeyVault/vaults/{name}"
        tenant = self._azure.tenant_id
        properties = {
            "tenantId": tenant, "sku": {"family": "A", "name": "standard"}, "accessPolicies": [],
            "softDeleteRetentionInDays": 7,
        }  # fmt: skip
        self._put(
            "azurerm_key_vault", "kv", id_, "2023-07-01", {"properties": properties},
            {
                "tenant_id": tenant, "sku_name": "standard", "soft_delete_retention_days": 7,
                "purge_protection_enabled": False, "enable_rbac_authorization": False,
            },
        )  # fmt: skip
        return id_

    def _put(self, type_: str, name: str, id_: str, version: str, body: Json, attributes: Json) -> None:
        self._azure.put(id_, version, {"location": REGION, **body})
        self._record(type_, name, id_, {"location": REGION, **attributes})

    def _record(self, type_: str, name: str, id_: str, attributes: Json) -> None:
        self._resources.append(
            {
                "mode": "managed", "type": type_, "name": name,
                "provider": 'provider["registry.terraform.io/hashicorp/azurerm"]',
                "instances": [{"schema_version": 0, "attributes": {"id": id_, **attributes}, "dependencies": []}],
            }
        )  # fmt: skip
