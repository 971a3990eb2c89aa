"""Models for the bodies of ARM resource types, and their known differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_ML = "azure.ai.ml._restclient.arm_ml_service.models"
"""azure-ai-ml's own models are from 2025-12-01; azure-mgmt-machinelearningservices 1.0 has 2020-08-01."""

MODELS: Mapping[str, str] = {
    "Microsoft.Resources/resourceGroups": "azure.mgmt.resource.resources.models.ResourceGroup",
    "Microsoft.Storage/storageAccounts": "azure.mgmt.storage.models.StorageAccountCreateParameters",
    "Microsoft.Storage/storageAccounts/blobServices": "azure.mgmt.storage.models.BlobServiceProperties",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "azure.mgmt.storage.models.BlobContainer",
    "Microsoft.Storage/storageAccounts/managementPolicies": "azure.mgmt.storage.models.ManagementPolicy",
    "Microsoft.KeyVault/vaults": "azure.mgmt.keyvault.models.VaultCreateOrUpdateParameters",
    "Microsoft.OperationalInsights/workspaces": "azure.mgmt.loganalytics.models.Workspace",
    "Microsoft.Insights/components": (
        "azure.mgmt.applicationinsights.v2020_02_02.models.ApplicationInsightsComponent"
    ),
    "Microsoft.Insights/workbooks": "azure.mgmt.applicationinsights.v2023_06_01.models.Workbook",
    "Microsoft.Insights/actionGroups": "azure.mgmt.monitor.models.ActionGroupResource",
    "Microsoft.Insights/metricAlerts": "azure.mgmt.monitor.models.MetricAlertResource",
    "Microsoft.Insights/scheduledQueryRules": "azure.mgmt.monitor.models.ScheduledQueryRuleResource",
    "Microsoft.ContainerRegistry/registries": "azure.mgmt.containerregistry.models.Registry",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "azure.mgmt.msi.v2024_11_30.models.Identity",
    "Microsoft.Authorization/roleAssignments": (
        "azure.mgmt.authorization.v2022_04_01.models.RoleAssignmentCreateParameters"
    ),
    "Microsoft.Authorization/locks": "azure.mgmt.resource.locks.models.ManagementLockObject",
    "Microsoft.MachineLearningServices/workspaces": f"{_ML}.Workspace",
    "Microsoft.MachineLearningServices/workspaces/computes": f"{_ML}.ComputeResource",
    "Microsoft.MachineLearningServices/workspaces/datastores": f"{_ML}.Datastore",
    "Microsoft.MachineLearningServices/workspaces/batchEndpoints": f"{_ML}.BatchEndpoint",
    "Microsoft.MachineLearningServices/workspaces/outboundRules": f"{_ML}.OutboundRuleBasicResource",
    "Microsoft.MachineLearningServices/registries": f"{_ML}.Registry",
    "Microsoft.Databricks/workspaces": "azure.mgmt.databricks.models.Workspace",
    "Microsoft.Databricks/accessConnectors": "azure.mgmt.databricks.models.AccessConnector",
    "Microsoft.Consumption/budgets": "azure.mgmt.consumption.models.Budget",
    "Microsoft.Network/virtualNetworks": "azure.mgmt.network.models.VirtualNetwork",
    "Microsoft.Network/virtualNetworks/subnets": "azure.mgmt.network.models.Subnet",
    "Microsoft.Network/networkSecurityGroups": "azure.mgmt.network.models.NetworkSecurityGroup",
    "Microsoft.Network/networkSecurityGroups/securityRules": "azure.mgmt.network.models.SecurityRule",
    "Microsoft.Network/natGateways": "azure.mgmt.network.models.NatGateway",
    "Microsoft.Network/publicIPAddresses": "azure.mgmt.network.models.PublicIPAddress",
    "Microsoft.Network/privateEndpoints": "azure.mgmt.network.models.PrivateEndpoint",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "azure.mgmt.network.models.PrivateDnsZoneGroup",
    "Microsoft.Network/privateDnsZones": "azure.mgmt.privatedns.models.PrivateZone",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "azure.mgmt.privatedns.models.VirtualNetworkLink",
}  # fmt: skip


WITHOUT_MODEL: Mapping[str, str] = {
    "Microsoft.Insights/diagnosticSettings": "azure-mgmt-monitor 7.0 has no diagnostic settings any more",
}
"""Types that no installed package describes, and why."""


@dataclass(frozen=True)
class Tolerated:
    """A finding that is no mistake: `path` as in the finding, list positions as []; `source` has the reason."""

    type: str
    path: str
    kind: str
    source: str


TOLERATED: tuple[Tolerated, ...] = ()
