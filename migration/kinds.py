"""Correspondence of Terraform's and Pulumi's types: ids, names, and properties that need a new resource.

Replacing properties are taken from the pulumi-azure-native and Azure API documentation of each type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from migration.errors import MigrationError
from migration.terraform import TerraformResource

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Property:
    """A property on both sides. `pulumi` is a dotted path in the declared inputs; `terraform` reads the attribute.

    `missing` is Azure's default when the stack leaves the input out.
    """

    pulumi: str
    terraform: Callable[[TerraformResource], Any]
    missing: Any = None
    setting: str = ""
    """Setting of the stack, if it has one."""
    way: str = ""
    """Other way to bring the resource to the stack's declaration."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`name_input` names the resource among the inputs.

    Changing a `fixed` property needs a new resource; Azure refuses to change `kept` ones; an update changes `changed`
    ones.
    """

    pulumi: str
    name_input: str
    id: Callable[[TerraformResource], str]
    fixed: tuple[Property, ...] = ()
    kept: tuple[Property, ...] = ()
    changed: tuple[Property, ...] = ()


def _attribute(*names: str) -> Callable[[TerraformResource], Any]:
    """Return a reader of the first attribute that has a value: the provider has renamed some."""

    def read(resource: TerraformResource) -> Any:
        values = (resource.attributes.get(name) for name in names)
        return next((value for value in values if value is not None), None)

    return read


def _local_authentication_disabled(resource: TerraformResource) -> Any:
    """Return whether keys are off: azurerm 5 names the opposite, and earlier versions had this name."""
    enabled = resource.attributes.get("local_authentication_enabled")
    return resource.attributes.get("local_authentication_disabled") if enabled is None else not enabled


def _location(resource: TerraformResource) -> str:
    return resource.text("location").replace(" ", "").lower()


def _sku(resource: TerraformResource) -> str:
    return f"{resource.text('account_tier')}_{resource.text('account_replication_type')}"


def _canonical(template: str) -> Callable[[TerraformResource], str]:
    """Return a reader of the id in azure-native's form: providers differ in the letter case of the fixed parts."""
    pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)), re.IGNORECASE)

    def read(resource: TerraformResource) -> str:
        id_ = resource.text("id")
        match = pattern.fullmatch(id_)
        if match is None:
            raise MigrationError(f"{resource.address} has the id '{id_}', which is not of the form {template}.")
        return template.format(**match.groupdict())

    return read


_GROUP = "/subscriptions/{s}/resourceGroups/{g}"
_ACCOUNT = f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/{{n}}"


def _container_id(resource: TerraformResource) -> str:
    """Return the ARM id. Older versions of the provider have it beside an id that is the blob's URL."""
    id_ = resource.attributes.get("resource_manager_id") or resource.text("id")
    match = re.fullmatch(
        r"(/subscriptions/[^/]+/resourceGroups/[^/]+)/providers/Microsoft\.Storage/storageAccounts/([^/]+)"
        r"/blobServices/default/containers/([^/]+)",
        str(id_),
        re.IGNORECASE,
    )
    if match is None:
        raise MigrationError(f"{resource.address} has no ARM id of a blob container ('{id_}').")
    group, account, container = match.groups()
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/{container}"


_PLACE = Property(pulumi="location", terraform=_location, setting="location")

KINDS: Mapping[str, Kind] = {
    "azurerm_resource_group": Kind(
        pulumi="azure-native:resources:ResourceGroup",
        name_input="resourceGroupName",
        id=_canonical(_GROUP),
        fixed=(_PLACE,),
    ),
    "azurerm_storage_account": Kind(
        pulumi="azure-native:storage:StorageAccount",
        name_input="accountName",
        id=_canonical(_ACCOUNT),
        fixed=(
            _PLACE,
            Property(pulumi="kind", terraform=_attribute("account_kind")),
            Property(
                pulumi="isHnsEnabled",
                terraform=_attribute("is_hns_enabled"),
                missing=False,
                way="upgrade the account in place (az storage account hns-migration start --type upgrade), then "
                "terraform apply -refresh-only",
            ),
            Property(
                pulumi="encryption.requireInfrastructureEncryption",
                terraform=_attribute("infrastructure_encryption_enabled"),
                missing=False,
            ),
        ),
        changed=(
            Property(pulumi="sku.name", terraform=_sku, setting="training_data.replication"),
            Property(pulumi="allowSharedKeyAccess", terraform=_attribute("shared_access_key_enabled"), missing=True),
            Property(
                pulumi="allowBlobPublicAccess",
                terraform=_attribute("allow_nested_items_to_be_public", "allow_blob_public_access"),
                missing=False,
            ),
            Property(pulumi="minimumTlsVersion", terraform=_attribute("min_tls_version"), missing="TLS1_0"),
        ),
    ),
    "azurerm_storage_container": Kind(
        pulumi="azure-native:storage:BlobContainer", name_input="containerName", id=_container_id
    ),
    "azurerm_key_vault": Kind(
        pulumi="azure-native:keyvault:Vault",
        name_input="vaultName",
        id=_canonical(f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{n}}"),
        fixed=(_PLACE, Property(pulumi="properties.tenantId", terraform=_attribute("tenant_id"))),
        kept=(
            Property(
                pulumi="properties.softDeleteRetentionInDays",
                terraform=_attribute("soft_delete_retention_days"),
                missing=90,
                setting="key_vault.soft_delete_days",
            ),
        ),
        changed=(
            Property(
                pulumi="properties.enableRbacAuthorization",
                terraform=_attribute("rbac_authorization_enabled", "enable_rbac_authorization"),
                missing=False,
            ),
        ),
    ),
    "azurerm_log_analytics_workspace": Kind(
        pulumi="azure-native:operationalinsights:Workspace",
        name_input="workspaceName",
        id=_canonical(f"{_GROUP}/providers/Microsoft.OperationalInsights/workspaces/{{n}}"),
        fixed=(_PLACE,),
        changed=(
            Property(pulumi="sku.name", terraform=_attribute("sku")),
            Property(
                pulumi="retentionInDays",
                terraform=_attribute("retention_in_days"),
                setting="monitoring.retention_days",
            ),
            Property(pulumi="features.disableLocalAuth", terraform=_local_authentication_disabled, missing=False),
        ),
    ),
    "azurerm_application_insights": Kind(
        pulumi="azure-native:applicationinsights:Component",
        name_input="resourceName",
        id=_canonical(f"{_GROUP}/providers/Microsoft.Insights/components/{{n}}"),
        fixed=(_PLACE,),
        changed=(Property(pulumi="workspaceResourceId", terraform=_attribute("workspace_id")),),
    ),
    "azurerm_container_registry": Kind(
        pulumi="azure-native:containerregistry:Registry",
        name_input="registryName",
        id=_canonical(f"{_GROUP}/providers/Microsoft.ContainerRegistry/registries/{{n}}"),
        fixed=(_PLACE,),
        changed=(
            Property(pulumi="sku.name", terraform=_attribute("sku")),
            Property(pulumi="adminUserEnabled", terraform=_attribute("admin_enabled"), missing=False),
        ),
    ),
    "azurerm_machine_learning_workspace": Kind(
        pulumi="azure-native:machinelearningservices:Workspace",
        name_input="workspaceName",
        id=_canonical(f"{_GROUP}/providers/Microsoft.MachineLearningServices/workspaces/{{n}}"),
        fixed=(
            _PLACE,
            Property(pulumi="storageAccount", terraform=_attribute("storage_account_id")),
            Property(pulumi="keyVault", terraform=_attribute("key_vault_id")),
            Property(pulumi="hbiWorkspace", terraform=_attribute("high_business_impact"), missing=False),
        ),
    ),
    "azurerm_databricks_workspace": Kind(
        pulumi="azure-native:databricks:Workspace",
        name_input="workspaceName",
        id=_canonical(f"{_GROUP}/providers/Microsoft.Databricks/workspaces/{{n}}"),
        fixed=(
            _PLACE,
            Property(
                pulumi="managedResourceGroupId",
                terraform=_attribute("managed_resource_group_id"),
                setting="databricks.managed_resource_group",
            ),
        ),
        changed=(Property(pulumi="sku.name", terraform=_attribute("sku")),),
    ),
}
