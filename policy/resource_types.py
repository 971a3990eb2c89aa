"""Type tokens of the resources that the rules check."""

from __future__ import annotations

_AZURE = "azure-native"

RESOURCE_GROUP = f"{_AZURE}:resources:ResourceGroup"
STORAGE_ACCOUNT = f"{_AZURE}:storage:StorageAccount"
BLOB_CONTAINER = f"{_AZURE}:storage:BlobContainer"
BLOB_SERVICE = f"{_AZURE}:storage:BlobServiceProperties"
LIFECYCLE = f"{_AZURE}:storage:ManagementPolicy"
VAULT = f"{_AZURE}:keyvault:Vault"
SECRET = f"{_AZURE}:keyvault:Secret"
REGISTRY = f"{_AZURE}:containerregistry:Registry"
ML_WORKSPACE = f"{_AZURE}:machinelearningservices:Workspace"
ML_REGISTRY = f"{_AZURE}:machinelearningservices:Registry"
ML_COMPUTE = f"{_AZURE}:machinelearningservices:Compute"
ML_DATASTORE = f"{_AZURE}:machinelearningservices:Datastore"
ML_CONNECTION = f"{_AZURE}:machinelearningservices:WorkspaceConnection"
ML_BATCH_ENDPOINT = f"{_AZURE}:machinelearningservices:BatchEndpoint"
ML_ONLINE_ENDPOINT = f"{_AZURE}:machinelearningservices:OnlineEndpoint"
LOG_WORKSPACE = f"{_AZURE}:operationalinsights:Workspace"
APPLICATION_INSIGHTS = f"{_AZURE}:applicationinsights:Component"
DATABRICKS = f"{_AZURE}:databricks:Workspace"
ROLE_ASSIGNMENT = f"{_AZURE}:authorization:RoleAssignment"
SYSTEM_TOPIC = f"{_AZURE}:eventgrid:SystemTopic"
WORKFLOW = f"{_AZURE}:logic:Workflow"
IDENTITY = f"{_AZURE}:managedidentity:UserAssignedIdentity"
DIAGNOSTIC_SETTING = f"{_AZURE}:monitor:DiagnosticSetting"
ACTION_GROUP = f"{_AZURE}:monitor:ActionGroup"
WORKBOOK = f"{_AZURE}:applicationinsights:Workbook"
METRIC_ALERT = f"{_AZURE}:monitor:MetricAlert"
LOG_ALERT = f"{_AZURE}:monitor:ScheduledQueryRule"
BUDGET = f"{_AZURE}:consumption:Budget"
LOCKS = (
    f"{_AZURE}:authorization:ManagementLockByScope",
    f"{_AZURE}:authorization:ManagementLockAtResourceLevel",
    f"{_AZURE}:authorization:ManagementLockAtResourceGroupLevel",
)
NETWORK_GROUP = f"{_AZURE}:network:NetworkSecurityGroup"
PRIVATE_ENDPOINT = f"{_AZURE}:network:PrivateEndpoint"
SECURITY_RULE = f"{_AZURE}:network:SecurityRule"
VIRTUAL_NETWORK = f"{_AZURE}:network:VirtualNetwork"
PUBLIC_ADDRESS = f"{_AZURE}:network:PublicIPAddress"

DATABRICKS_PROVIDER = "pulumi:providers:databricks"
AZURE_PROVIDER = "pulumi:providers:azure-native"
POOL = "databricks:index/instancePool:InstancePool"
CLUSTER_POLICY = "databricks:index/clusterPolicy:ClusterPolicy"
DATABRICKS_TOKEN = "databricks:index/token:Token"  # noqa: S105 - a type's name
ON_BEHALF_TOKEN = "databricks:index/oboToken:OboToken"  # noqa: S105 - a type's name
SERVICE_PRINCIPAL = "databricks:index/servicePrincipal:ServicePrincipal"
