"""A resource group, a storage account with a container, and a key vault."""

import pulumi
from pulumi_azure_native import authorization, keyvault, resources, storage

group = resources.ResourceGroup("group", location="westeurope")
account = storage.StorageAccount(
    "account",
    account_name=pulumi.Config().require("account"),
    resource_group_name=group.name,
    location=group.location,
    kind=storage.Kind.STORAGE_V2,
    sku=storage.SkuArgs(name=storage.SkuName.STANDARD_LRS),
    allow_shared_key_access=False,
)
container = storage.BlobContainer("data", account_name=account.name, resource_group_name=group.name)
vault = keyvault.Vault(
    "vault",
    resource_group_name=group.name,
    location=group.location,
    properties=keyvault.VaultPropertiesArgs(
        tenant_id=authorization.get_client_config().tenant_id,
        sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName.STANDARD),
        enable_rbac_authorization=True,
    ),
)
pulumi.export("blobs", account.primary_endpoints.blob)
pulumi.export("vault", vault.properties.vault_uri)
