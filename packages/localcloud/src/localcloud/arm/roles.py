"""Azure's built-in roles that this kind of platform uses, with their real ids and permissions.

Source: learn.microsoft.com/azure/role-based-access-control/built-in-roles (MicrosoftDocs/azure-docs,
articles/role-based-access-control/built-in-roles/*.md, as of 2026-07).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from localcloud.core.json import Json

ROLE_DEFINITION_TYPE = "Microsoft.Authorization/roleDefinitions"


@dataclass(frozen=True)
class Role:
    """A role. Patterns may have `*`; they compare case-insensitively."""

    id: str
    name: str
    description: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    def grants(self, action: str, *, data: bool) -> bool:
        """Whether the role alone allows an action (a dataAction with `data`)."""
        yes, no = (self.data_actions, self.not_data_actions) if data else (self.actions, self.not_actions)
        return _any(yes, action.lower()) and not _any(no, action.lower())

    def to_json(self, scope: str) -> Json:
        """Return ARM's JSON of the role at `scope` (a subscription, or empty for the tenant)."""
        return {
            "id": f"{scope}/providers/{ROLE_DEFINITION_TYPE}/{self.id}",
            "type": ROLE_DEFINITION_TYPE,
            "name": self.id,
            "properties": {
                "roleName": self.name,
                "type": "BuiltInRole",
                "description": self.description,
                "assignableScopes": ["/"],
                "permissions": [
                    {
                        "actions": list(self.actions),
                        "notActions": list(self.not_actions),
                        "dataActions": list(self.data_actions),
                        "notDataActions": list(self.not_data_actions),
                    }
                ],
            },
        }


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.lower().split("*")))


def _any(patterns: tuple[str, ...], action: str) -> bool:
    return any(_pattern(pattern).fullmatch(action) for pattern in patterns)


_COMMON = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
)
_VAULT_ADMIN = (
    *_COMMON,
    "Microsoft.KeyVault/checkNameAvailability/read",
    "Microsoft.KeyVault/deletedVaults/read",
    "Microsoft.KeyVault/locations/*/read",
    "Microsoft.KeyVault/vaults/*/read",
    "Microsoft.KeyVault/operations/read",
)
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"
_DELEGATION_KEY = "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action"
_ML = "Microsoft.MachineLearningServices/workspaces"
_CONNECTIONS = "privateEndpointConnections"
_APPROVER = (
    *(
        f"{type_}/{action}"
        for type_ in (
            "Microsoft.ContainerRegistry/registries", "Microsoft.Cache/redis", "Microsoft.Cache/redisEnterprise",
            "Microsoft.CognitiveServices/accounts", "Microsoft.DocumentDB/databaseAccounts",
            "Microsoft.KeyVault/vaults", _ML, "Microsoft.Storage/storageAccounts", "Microsoft.Sql/servers",
        )
        for action in (f"{_CONNECTIONS}/read", f"{_CONNECTIONS}/write")
    ),
    *(
        f"{type_}/{_CONNECTIONS}Approval/action"
        for type_ in (
            "Microsoft.ContainerRegistry/registries", "Microsoft.Cache/redis", "Microsoft.Cache/redisEnterprise",
            "Microsoft.DocumentDB/databaseAccounts", "Microsoft.KeyVault/vaults", _ML, "Microsoft.Sql/servers",
        )
    ),
    *(
        f"{type_}/{action}"
        for type_ in (
            "Microsoft.Cache/redis", "Microsoft.Cache/redisEnterprise", "Microsoft.CognitiveServices/accounts",
            "Microsoft.DocumentDB/databaseAccounts", "Microsoft.KeyVault/vaults", _ML,
            "Microsoft.Storage/storageAccounts", "Microsoft.Sql/servers",
        )
        for action in ("read", "privateLinkResources/read")
    ),
)  # fmt: skip

BUILT_IN: tuple[Role, ...] = (
    Role(
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner",
        "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
        ("*",),
    ),
    Role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor",
        "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, manage "
        "assignments in Azure Blueprints, or share image galleries.",
        ("*",),
        (
            "Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action", "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete", "Microsoft.Compute/galleries/share/action",
            "Microsoft.Purview/consents/write", "Microsoft.Purview/consents/delete",
            "Microsoft.Resources/deploymentStacks/manageDenySetting/action", "Microsoft.Subscription/cancel/action",
            "Microsoft.Subscription/enable/action",
        ),
    ),
    Role(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader",
        "View all resources, but does not allow you to make any changes.",
        ("*/read",),
    ),
    Role(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator",
        "Lets you manage user access to Azure resources.",
        ("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
    ),
    Role(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168", "Role Based Access Control Administrator",
        "Manage access to Azure resources by assigning roles using Azure RBAC. This role does not allow you to manage "
        "access using other ways, such as Azure Policy.",
        (
            "Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete",
            "*/read", "Microsoft.Support/*",
        ),
    ),
    Role(
        "28bf596f-4eb7-45ce-b5bc-6cf482fec137", "Locks Contributor", "Can Manage Locks Operations.",
        tuple(f"Microsoft.Authorization/locks/{action}" for action in ("read", "write", "delete")),
    ),
    Role(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "Storage Blob Data Owner",
        "Allows for full access to Azure Storage blob containers and data, including assigning POSIX access control.",
        (f"{_CONTAINERS}/*", _DELEGATION_KEY),
        data_actions=(f"{_BLOBS}/*",),
    ),
    Role(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "Storage Blob Data Contributor",
        "Allows for read, write and delete access to Azure Storage blob containers and data",
        (f"{_CONTAINERS}/delete", f"{_CONTAINERS}/read", f"{_CONTAINERS}/write", _DELEGATION_KEY),
        data_actions=(
            f"{_BLOBS}/delete", f"{_BLOBS}/read", f"{_BLOBS}/write", f"{_BLOBS}/move/action", f"{_BLOBS}/add/action",
        ),
    ),
    Role(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "Storage Blob Data Reader",
        "Allows for read access to Azure Storage blob containers and data",
        (f"{_CONTAINERS}/read", _DELEGATION_KEY),
        data_actions=(f"{_BLOBS}/read",),
    ),
    Role(
        "db58b8e5-c6ad-4a2a-8342-4190687cbf4a", "Storage Blob Delegator",
        "Allows for generation of a user delegation key which can be used to sign SAS tokens",
        (_DELEGATION_KEY,),
    ),
    Role(
        "17d1049b-9a84-46fb-8f53-869881c3d3ab", "Storage Account Contributor",
        "Lets you manage storage accounts, including accessing storage account keys which provide full access to "
        "storage account data.",
        (
            *_COMMON, "Microsoft.Insights/diagnosticSettings/*",
            "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
            "Microsoft.ResourceHealth/availabilityStatuses/read", "Microsoft.Storage/storageAccounts/*",
        ),
    ),
    Role(
        "69566ab7-960f-475b-8e7c-b3118f30c6bd", "Storage File Data Privileged Contributor",
        "Customer has read, write, delete and modify NTFS permission access on Azure Storage file shares.",
        data_actions=tuple(
            f"Microsoft.Storage/storageAccounts/fileServices/{action}"
            for action in (
                "fileshares/files/read", "fileshares/files/write", "fileshares/files/delete",
                "fileshares/files/modifypermissions/action", "readFileBackupSemantics/action",
                "writeFileBackupSemantics/action",
            )
        ),
    ),
    Role(
        "f6c7c914-8db3-469d-8ca1-694a8f32e121", "AzureML Data Scientist",
        "Can perform all actions within an Azure Machine Learning workspace, except for creating or deleting compute "
        "resources and modifying the workspace itself.",
        (f"{_ML}/*/read", f"{_ML}/*/action", f"{_ML}/*/delete", f"{_ML}/*/write"),
        (
            f"{_ML}/delete", f"{_ML}/write", f"{_ML}/computes/*/write", f"{_ML}/computes/*/delete",
            f"{_ML}/computes/listKeys/action", f"{_ML}/listKeys/action", f"{_ML}/hubs/write", f"{_ML}/hubs/delete",
            f"{_ML}/featurestores/write", f"{_ML}/featurestores/delete",
        ),
    ),
    Role(
        "1823dd4f-9b8c-4ab6-ab4e-7397a3684615", "AzureML Registry User",
        "Can perform all actions on Machine Learning Services Registry assets as well as get Registry resources.",
        ("Microsoft.MachineLearningServices/registries/read", "Microsoft.MachineLearningServices/registries/assets/*"),
    ),
    Role(
        "b556d68e-0be0-4f35-a333-ad7ee1ce17ea", "Azure AI Enterprise Network Connection Approver",
        "Can approve private endpoint connections to Azure AI common dependency resources",
        _APPROVER,
    ),
    Role(
        "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815", "AzureML Compute Operator",
        "Can access and perform CRUD operations on Machine Learning Services managed compute resources (including "
        "Notebook VMs).",
        (f"{_ML}/computes/*", f"{_ML}/notebooks/vm/*"),
    ),
    Role(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d", "AcrPull", "acr pull",
        ("Microsoft.ContainerRegistry/registries/pull/read",),
    ),
    Role(
        "8311e382-0749-4cb8-b61a-304f252e45ec", "AcrPush", "acr push",
        ("Microsoft.ContainerRegistry/registries/pull/read", "Microsoft.ContainerRegistry/registries/push/write"),
    ),
    Role(
        "00482a5a-887f-4fb3-b363-3b7fe8e74483", "Key Vault Administrator",
        "Perform all data plane operations on a key vault and all objects in it, including certificates, keys, and "
        "secrets. Cannot manage key vault resources or manage role assignments. Only works for key vaults that use the "
        "'Azure role-based access control' permission model.",
        _VAULT_ADMIN, data_actions=("Microsoft.KeyVault/vaults/*",),
    ),
    Role(
        "21090545-7ca7-4776-b22c-e363652d74d2", "Key Vault Reader",
        "Read metadata of key vaults and its certificates, keys, and secrets. Cannot read sensitive values such as "
        "secret contents or key material.",
        _VAULT_ADMIN,
        data_actions=("Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/secrets/readMetadata/action"),
    ),
    Role(
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "Key Vault Secrets Officer",
        "Perform any action on the secrets of a key vault, except manage permissions.",
        _VAULT_ADMIN, data_actions=("Microsoft.KeyVault/vaults/secrets/*",),
    ),
    Role(
        "4633458b-17de-408a-b874-0445c86b69e6", "Key Vault Secrets User", "Read secret contents.",
        data_actions=(
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ),
    ),
    Role(
        "14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "Key Vault Crypto Officer",
        "Perform any action on the keys of a key vault, except manage permissions.",
        _VAULT_ADMIN,
        data_actions=("Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keyrotationpolicies/*"),
    ),
    Role(
        "12338af0-0e69-4776-bea7-57ae8d297424", "Key Vault Crypto User", "Perform cryptographic operations using keys.",
        data_actions=tuple(
            f"Microsoft.KeyVault/vaults/keys/{action}"
            for action in (
                "read", "update/action", "backup/action", "encrypt/action", "decrypt/action", "wrap/action",
                "unwrap/action", "sign/action", "verify/action",
            )
        ),
    ),
    Role(
        "92aaf0da-9dab-42b6-94a3-d43ce8d16293", "Log Analytics Contributor",
        "Log Analytics Contributor can read all monitoring data and edit monitoring settings.",
        (
            "*/read", "Microsoft.ClassicCompute/virtualMachines/extensions/*",
            "Microsoft.ClassicStorage/storageAccounts/listKeys/action",
            "Microsoft.Compute/virtualMachines/extensions/*",
            "Microsoft.HybridCompute/machines/extensions/write", "Microsoft.Insights/alertRules/*",
            "Microsoft.Insights/diagnosticSettings/*", "Microsoft.OperationalInsights/*",
            "Microsoft.OperationsManagement/*", "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourcegroups/deployments/*",
            "Microsoft.Storage/storageAccounts/listKeys/action", "Microsoft.Support/*",
        ),
    ),
    Role(
        "73c42c96-874c-492b-b04d-ab87d138a893", "Log Analytics Reader",
        "Log Analytics Reader can view and search all monitoring data as well as and view monitoring settings.",
        ("*/read", "Microsoft.OperationalInsights/workspaces/analytics/query/action",
         "Microsoft.OperationalInsights/workspaces/search/action", "Microsoft.Support/*"),
        ("Microsoft.OperationalInsights/workspaces/sharedKeys/read",),
    ),
    Role(
        "3913510d-42f4-4e42-8a64-420c390055eb", "Monitoring Metrics Publisher",
        "Enables publishing metrics against Azure resources",
        ("Microsoft.Insights/Register/Action", "Microsoft.Support/*",
         "Microsoft.Resources/subscriptions/resourceGroups/read"),
        data_actions=("Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"),
    ),
    Role(
        "f1a07417-d97a-45cb-824c-7a7467783830", "Managed Identity Operator", "Read and Assign User Assigned Identity",
        (*_COMMON, "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
         "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action"),
    ),
    Role(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59", "Managed Identity Contributor",
        "Create, Read, Update, and Delete User Assigned Identity",
        (*_COMMON, "Microsoft.ManagedIdentity/userAssignedIdentities/read",
         "Microsoft.ManagedIdentity/userAssignedIdentities/write",
         "Microsoft.ManagedIdentity/userAssignedIdentities/delete"),
    ),
)  # fmt: skip

BY_ID = {role.id: role for role in BUILT_IN}
BY_NAME = {role.name: role for role in BUILT_IN}


def built_in(definition_id: str) -> Role | None:
    """Return the built-in role of a role definition id (in subscription or tenant scope) or of a bare GUID."""
    return BY_ID.get(definition_id.rstrip("/").rsplit("/", 1)[-1].lower())
