"""The shape of each resource type: its path, api-version, and where its inputs sit in ARM's body.

Inputs are named as in the Python SDK's schema (camelCase). Source of paths and bodies: Azure/azure-rest-api-specs; of
the versions: the defaults of pulumi-azure-native 3.29.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

_PARAMETER = re.compile(r"\{(\w+)\}")
_TOP = frozenset(
    {"location", "tags", "sku", "kind", "identity", "plan", "zones", "extendedLocation", "managedBy", "etag"}
)


@dataclass(frozen=True, kw_only=True)
class AzureType:
    """`path` is below /subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName} unless it starts with "/"."""

    token: str = ""
    """Type such as "storage:StorageAccount"; it is the table's own key."""
    path: str
    version: str
    flat: bool = True
    """Inputs that are not in ARM's top level belong into `properties`."""
    name: str = ""
    """The input that names the resource; others of the path are its parents."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Inputs of the path that have one possible value, and may be omitted."""
    replaces: tuple[str, ...] = ()
    """Beside the path's inputs and the location."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Input to ARM's own name, at any depth; "ipRules.iPAddressOrRange" only inside of `ipRules`."""
    top: frozenset[str] = _TOP
    wrapped: frozenset[str] = frozenset()
    """Objects, and lists of objects, that have `properties` of their own in ARM and none in the SDK, at any depth."""
    permanent: bool = False
    """Exists with its parent: creating it is a PUT, deleting it leaves it."""
    query: Mapping[str, str] = field(default_factory=dict)
    """More parameters of a DELETE."""
    deleted_at: str = ""
    """Address of the service's own DELETE where ARM has none, with the path's parameters."""
    guid: bool = False
    """Its name is a GUID."""

    @property
    def template(self) -> str:
        if self.path.startswith("/"):
            return self.path
        return f"/subscriptions/{{subscriptionId}}/resourceGroups/{{resourceGroupName}}/providers/{self.path}"

    @property
    def answered(self) -> dict[str, str]:
        """The inverse of `renames`."""
        result: dict[str, str] = {}
        for ours, theirs in self.renames.items():
            parent, dot, name = ours.rpartition(".")
            result[f"{parent}{dot}{theirs}"] = name
        return result

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.template)

    def replacing(self, path: str) -> bool:
        """Whether a change of the input at `path` needs a new resource."""
        first = path.split(".", 1)[0].split("[", 1)[0]
        if first in self.parameters or first == "location":
            return True
        return any(path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")) for prefix in self.replaces)


_STORAGE = "Microsoft.Storage/storageAccounts/{accountName}"
_ML = "Microsoft.MachineLearningServices/workspaces/{workspaceName}"
_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
_VNET = "Microsoft.Network/virtualNetworks/{virtualNetworkName}"
_ML_VERSION = "2025-12-01"
_NETWORK_VERSION = "2024-05-01"
_WRAPPED = frozenset(
    {
        "subnet", "subnets", "delegations", "securityRules", "privateLinkServiceConnections", "ipConfigurations",
        "manualPrivateLinkServiceConnections", "privateDnsZoneConfigs",
    }
)  # fmt: skip

_TABLE: Mapping[str, AzureType] = {
    "resources:ResourceGroup": AzureType(
        path="/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
        version="2024-03-01", name="resourceGroupName",
    ),
    "storage:StorageAccount": AzureType(
        path=_STORAGE, version="2024-01-01", name="accountName",
        replaces=("kind", "isHnsEnabled", "enableNfsV3", "encryption.requireInfrastructureEncryption"),
        renames={
            "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly", "networkRuleSet": "networkAcls",
            "ipRules.iPAddressOrRange": "value", "virtualNetworkRules.virtualNetworkResourceId": "id",
            "enableNfsV3": "isNfsV3Enabled",
        },
    ),
    "storage:BlobServiceProperties": AzureType(
        path=f"{_STORAGE}/blobServices/{{blobServicesName}}", version="2024-01-01", name="blobServicesName",
        fixed={"blobServicesName": "default"}, permanent=True,
    ),
    "storage:BlobContainer": AzureType(
        path=f"{_STORAGE}/blobServices/default/containers/{{containerName}}", version="2024-01-01",
        name="containerName",
    ),
    "storage:ManagementPolicy": AzureType(
        path=f"{_STORAGE}/managementPolicies/{{managementPolicyName}}", version="2024-01-01",
        name="managementPolicyName", fixed={"managementPolicyName": "default"},
    ),
    "keyvault:Vault": AzureType(
        path="Microsoft.KeyVault/vaults/{vaultName}", version="2024-11-01", name="vaultName", flat=False,
        replaces=("properties.tenantId",),
    ),
    "keyvault:Key": AzureType(
        path="Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}", version="2024-11-01", name="keyName", flat=False,
        replaces=("properties",), deleted_at="https://{vaultName}.vault.azure.net/keys/{keyName}",
    ),
    "operationalinsights:Workspace": AzureType(
        path="Microsoft.OperationalInsights/workspaces/{workspaceName}", version="2023-09-01", name="workspaceName",
        top=_TOP - {"sku"},
    ),
    "applicationinsights:Workbook": AzureType(
        path="Microsoft.Insights/workbooks/{resourceName}", version="2023-06-01", name="resourceName"
    ),
    "applicationinsights:Component": AzureType(
        path="Microsoft.Insights/components/{resourceName}", version="2020-02-02", name="resourceName",
        renames={
            "applicationType": "Application_Type", "flowType": "Flow_Type", "requestSource": "Request_Source",
            "workspaceResourceId": "WorkspaceResourceId", "retentionInDays": "RetentionInDays",
            "disableIpMasking": "DisableIpMasking", "disableLocalAuth": "DisableLocalAuth",
            "ingestionMode": "IngestionMode", "samplingPercentage": "SamplingPercentage",
            "immediatePurgeDataOn30Days": "ImmediatePurgeDataOn30Days", "hockeyAppId": "HockeyAppId",
            "forceCustomerStorageForProfiler": "ForceCustomerStorageForProfiler",
        },
    ),
    "containerregistry:Registry": AzureType(
        path="Microsoft.ContainerRegistry/registries/{registryName}", version="2023-01-01-preview",
        name="registryName", replaces=("zoneRedundancy",), renames={"ipRules.iPAddressOrRange": "value"},
    ),
    "managedidentity:UserAssignedIdentity": AzureType(path=_IDENTITY, version="2023-01-31", name="resourceName"),
    "managedidentity:FederatedIdentityCredential": AzureType(
        path=f"{_IDENTITY}/federatedIdentityCredentials/{{federatedIdentityCredentialResourceName}}",
        version="2023-01-31", name="federatedIdentityCredentialResourceName",
    ),
    "authorization:RoleAssignment": AzureType(
        path="/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}", version="2022-04-01",
        name="roleAssignmentName", guid=True,
        replaces=("principalId", "principalType", "roleDefinitionId", "condition", "conditionVersion", "description"),
    ),
    "authorization:RoleDefinition": AzureType(
        path="/{scope}/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionId}",
        version="2022-05-01-preview", name="roleDefinitionId", guid=True, renames={"roleType": "type"},
    ),
    "authorization:ManagementLockByScope": AzureType(
        path="/{scope}/providers/Microsoft.Authorization/locks/{lockName}", version="2020-05-01", name="lockName",
    ),
    "authorization:ManagementLockAtResourceGroupLevel": AzureType(
        path="Microsoft.Authorization/locks/{lockName}", version="2020-05-01", name="lockName",
    ),
    "machinelearningservices:Workspace": AzureType(
        path=_ML, version=_ML_VERSION, name="workspaceName",
        replaces=("storageAccount", "keyVault", "hbiWorkspace", "encryption"),
    ),
    "machinelearningservices:Compute": AzureType(
        path=f"{_ML}/computes/{{computeName}}", version=_ML_VERSION, name="computeName", flat=False,
        replaces=("properties.computeType", "properties.properties.vmSize", "properties.properties.vmPriority",
                  "properties.properties.subnet", "properties.properties.enableNodePublicIp"),
        query={"underlyingResourceAction": "Delete"},
    ),
    "machinelearningservices:Datastore": AzureType(
        path=f"{_ML}/datastores/{{name}}", version=_ML_VERSION, name="name", flat=False,
        replaces=("properties.datastoreType",),
    ),
    "machinelearningservices:BatchEndpoint": AzureType(
        path=f"{_ML}/batchEndpoints/{{endpointName}}", version=_ML_VERSION, name="endpointName", flat=False,
        replaces=("properties.authMode",),
    ),
    "machinelearningservices:OnlineEndpoint": AzureType(
        path=f"{_ML}/onlineEndpoints/{{endpointName}}", version=_ML_VERSION, name="endpointName", flat=False,
    ),
    "machinelearningservices:OnlineDeployment": AzureType(
        path=f"{_ML}/onlineEndpoints/{{endpointName}}/deployments/{{deploymentName}}", version=_ML_VERSION,
        name="deploymentName", flat=False, replaces=("properties.endpointComputeType", "properties.instanceType"),
    ),
    "machinelearningservices:ManagedNetworkSettingsRule": AzureType(
        path=f"{_ML}/outboundRules/{{ruleName}}", version=_ML_VERSION, name="ruleName", flat=False,
        replaces=("properties.type",),
    ),
    "machinelearningservices:Registry": AzureType(
        path="Microsoft.MachineLearningServices/registries/{registryName}", version=_ML_VERSION, name="registryName",
    ),
    "databricks:Workspace": AzureType(
        path="Microsoft.Databricks/workspaces/{workspaceName}", version="2026-01-01", name="workspaceName",
        replaces=("computeMode", "managedResourceGroupId", "parameters.customVirtualNetworkId",
                  "parameters.storageAccountName", "parameters.requireInfrastructureEncryption"),
    ),
    "databricks:AccessConnector": AzureType(
        path="Microsoft.Databricks/accessConnectors/{connectorName}", version="2026-01-01", name="connectorName",
        flat=False,
    ),
    "monitor:DiagnosticSetting": AzureType(
        path="/{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}", version="2021-05-01-preview",
        name="name",
    ),
    "monitor:ActionGroup": AzureType(
        path="Microsoft.Insights/actionGroups/{actionGroupName}", version="2024-10-01-preview",
        name="actionGroupName",
    ),
    "monitor:MetricAlert": AzureType(
        path="Microsoft.Insights/metricAlerts/{ruleName}", version="2018-03-01", name="ruleName",
        renames={"odataType": "odata.type"},
    ),
    "monitor:ScheduledQueryRule": AzureType(
        path="Microsoft.Insights/scheduledQueryRules/{ruleName}", version="2025-01-01-preview", name="ruleName",
    ),
    "eventgrid:SystemTopic": AzureType(
        path="Microsoft.EventGrid/systemTopics/{systemTopicName}", version="2025-02-15", name="systemTopicName",
    ),
    "eventgrid:SystemTopicEventSubscription": AzureType(
        path="Microsoft.EventGrid/systemTopics/{systemTopicName}/eventSubscriptions/{eventSubscriptionName}",
        version="2025-02-15", name="eventSubscriptionName", wrapped=frozenset({"destination"}),
    ),
    "logic:Workflow": AzureType(
        path="Microsoft.Logic/workflows/{workflowName}", version="2019-05-01", name="workflowName",
    ),
    "consumption:Budget": AzureType(
        path="/{scope}/providers/Microsoft.Consumption/budgets/{budgetName}", version="2024-08-01", name="budgetName",
        replaces=("category", "timeGrain"), top=_TOP | {"eTag"},
    ),
    "network:VirtualNetwork": AzureType(
        path=_VNET, version=_NETWORK_VERSION, name="virtualNetworkName", wrapped=_WRAPPED,
    ),
    "network:Subnet": AzureType(
        path=f"{_VNET}/subnets/{{subnetName}}", version=_NETWORK_VERSION, name="subnetName", wrapped=_WRAPPED,
    ),
    "network:VirtualNetworkPeering": AzureType(
        path=f"{_VNET}/virtualNetworkPeerings/{{virtualNetworkPeeringName}}", version=_NETWORK_VERSION,
        name="virtualNetworkPeeringName", replaces=("remoteVirtualNetwork",),
    ),
    "network:NetworkSecurityGroup": AzureType(
        path="Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}", version=_NETWORK_VERSION,
        name="networkSecurityGroupName", wrapped=_WRAPPED,
    ),
    "network:SecurityRule": AzureType(
        path="Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}/securityRules/{securityRuleName}",
        version=_NETWORK_VERSION, name="securityRuleName",
    ),
    "network:NatGateway": AzureType(
        path="Microsoft.Network/natGateways/{natGatewayName}", version=_NETWORK_VERSION, name="natGatewayName",
    ),
    "network:PublicIPAddress": AzureType(
        path="Microsoft.Network/publicIPAddresses/{publicIpAddressName}", version=_NETWORK_VERSION,
        name="publicIpAddressName",
    ),
    "network:PrivateEndpoint": AzureType(
        path="Microsoft.Network/privateEndpoints/{privateEndpointName}", version=_NETWORK_VERSION,
        name="privateEndpointName", replaces=("subnet", "privateLinkServiceConnections"), wrapped=_WRAPPED,
    ),
    "network:PrivateDnsZoneGroup": AzureType(
        path="Microsoft.Network/privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
        version=_NETWORK_VERSION, name="privateDnsZoneGroupName", wrapped=_WRAPPED,
    ),
    "privatedns:PrivateZone": AzureType(
        path="Microsoft.Network/privateDnsZones/{privateZoneName}", version="2024-06-01", name="privateZoneName",
    ),
    "privatedns:VirtualNetworkLink": AzureType(
        path="Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
        version="2024-06-01", name="virtualNetworkLinkName", replaces=("virtualNetwork",),
    ),
}  # fmt: skip


TYPES: Mapping[str, AzureType] = {token: replace(type_, token=token) for token, type_ in _TABLE.items()}


def find(token: str) -> tuple[AzureType, str]:
    """Return the type of a token and the api-version to use. Raises KeyError for a type that is not in the table.

    Tokens are such as "azure-native:storage:StorageAccount" or "azure-native:storage/v20240101:StorageAccount".
    """
    _, module, class_name = token.split(":")
    module, _, pinned = module.partition("/")
    type_ = TYPES[f"{module}:{class_name}"]
    match = re.fullmatch(r"v(\d{4})(\d{2})(\d{2})(preview)?", pinned)
    if match is None:
        return type_, type_.version
    return type_, "-".join(match.groups()[:3]) + ("-preview" if match[4] else "")
