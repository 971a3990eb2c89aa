"""Rules on storage of data and secrets: storage accounts, Key Vault, the container registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import PolicyResource

from policy import resource_types as types
from policy.rules import Findings, Problems, Subject, get, rule, stack_rule, targets

_TLS = ("TLS1_2", "TLS1_3")
_LINKS = "privateLinkServiceConnections"


def _shared_keys(account: Subject) -> Problems:
    if get(account.props, "allowSharedKeyAccess") is not False:
        yield "Set allow_shared_key_access=False: a key allows everything, and leaves no name in the logs."


def _public_blobs(resource: Subject) -> Problems:
    if resource.type == types.STORAGE_ACCOUNT:
        if get(resource.props, "allowBlobPublicAccess") is not False:
            yield "Set allow_blob_public_access=False: otherwise a container can be opened to everyone."
    elif get(resource.props, "publicAccess") not in (None, "None"):
        yield f"Set public_access to None: {get(resource.props, 'publicAccess')!r} opens the container to everyone."


def _transport(account: Subject) -> Problems:
    version = get(account.props, "minimumTlsVersion")
    if version not in _TLS:
        yield f"Set minimum_tls_version to TLS1_2: it is {version or 'left at the default, TLS1_0'}."
    if get(account.props, "enableHttpsTrafficOnly") is False:
        yield "Leave enable_https_traffic_only on: plain HTTP shows the data to the network."


def _tenants_and_users(account: Subject) -> Problems:
    if get(account.props, "allowCrossTenantReplication") is not False:
        yield "Set allow_cross_tenant_replication=False: otherwise data may be replicated to another tenant."
    if get(account.props, "isLocalUserEnabled") is not False:
        yield "Set is_local_user_enabled=False: local users have passwords of their own, outside of Entra."


def _recoverable(service: Subject) -> Problems:
    for name, kind in (("deleteRetentionPolicy", "blob"), ("containerDeleteRetentionPolicy", "container")):
        if get(service.props, name, "enabled") is not True:
            yield f"Enable the soft delete of {kind}s: a deleted {kind} is lost otherwise."


def _versions(resources: Sequence[PolicyResource], config: Mapping[str, Any]) -> Findings:
    """Check the blob services of accounts. An undeclared service has defaults that recover nothing."""
    declared = targets(resources, [types.BLOB_SERVICE], "accountName")
    for resource in resources:
        if resource.resource_type == types.STORAGE_ACCOUNT and resource.urn not in declared:
            yield "Give the account blob service properties: it has no soft delete otherwise.", resource.urn
        if resource.resource_type != types.BLOB_SERVICE:
            continue
        versions = get(resource.props, "isVersioningEnabled") is True
        for account in resource.property_dependencies.get("accountName", []):
            hierarchical = get(account.props, "isHnsEnabled") is True
            if hierarchical and versions:
                yield "Leave is_versioning_enabled off: Azure refuses it with a hierarchical namespace.", resource.urn
            elif not hierarchical and not versions:
                yield "Set is_versioning_enabled=True: an overwritten blob is lost otherwise.", resource.urn


def _data_lake(resources: Sequence[PolicyResource], config: Mapping[str, Any]) -> Findings:
    """Refuse data lakes in flat accounts.

    The dfs endpoint answers 409 EndpointUnsupportedAccountFeatures for a flat account with soft delete.
    """
    lakes = [
        resource
        for resource in resources
        if get(resource.props, "properties", "datastoreType") == "AzureDataLakeGen2"
        or any("dfs" in (get(link, "groupIds") or ()) for link in get(resource.props, _LINKS) or ())
    ]
    reached = targets(lakes, [types.ML_DATASTORE], "properties") | targets(lakes, [types.PRIVATE_ENDPOINT], _LINKS)
    for resource in resources:
        flat = resource.resource_type == types.STORAGE_ACCOUNT and get(resource.props, "isHnsEnabled") is not True
        if flat and resource.urn in reached:
            yield "Set is_hns_enabled=True: Spark cannot read a flat account with soft delete.", resource.urn


def _vault(vault: Subject) -> Problems:
    properties = get(vault.props, "properties")
    if get(properties, "enableRbacAuthorization") is not True:
        yield "Set enable_rbac_authorization=True: access policies cannot be granted or reviewed like roles."
    if get(properties, "accessPolicies"):
        yield "Remove access_policies: access is by role."
    if get(properties, "enableSoftDelete") is False:
        yield "Leave enable_soft_delete on: deleted secrets are lost otherwise."


def _purge_protection(vault: Subject) -> Problems:
    if get(vault.props, "properties", "enablePurgeProtection") is not True:
        yield "Set key_vault.purge_protection to true: otherwise the vault can be deleted for good at once."


def _registry(registry: Subject) -> Problems:
    if get(registry.props, "adminUserEnabled") is True:
        yield "Set admin_user_enabled=False: the admin user has a password that everyone shares."
    if get(registry.props, "anonymousPullEnabled") is True:
        yield "Set anonymous_pull_enabled=False: images may hold private content."


def _secrets(resource: Subject) -> Problems:
    if resource.type == types.SECRET:
        yield "Do not make secrets in the vault: their values would be in the state. Its owner puts a secret there."
    if get(resource.props, "clientSecret") is not None:
        yield "Remove clientSecret from the provider: it is in the state. The provider signs in by Entra's tokens."
    if get(resource.props, "properties", "credentials") is not None and resource.type == types.ML_CONNECTION:
        yield "Take the credentials off the connection: they stand in the state. Use an identity."


RULES = [
    rule(
        "no-secrets-in-state",
        "The program holds no secret, so that the state holds none.",
        [types.SECRET, types.AZURE_PROVIDER, types.ML_CONNECTION],
        _secrets,
    ),
    rule("storage-no-shared-keys", "Storage accounts refuse account keys.", [types.STORAGE_ACCOUNT], _shared_keys),
    rule(
        "storage-no-public-blobs",
        "No blob is open to everyone.",
        [types.STORAGE_ACCOUNT, types.BLOB_CONTAINER],
        _public_blobs,
    ),
    rule("storage-tls", "Storage accounts speak TLS 1.2 or newer.", [types.STORAGE_ACCOUNT], _transport),
    rule(
        "storage-entra-only",
        "Storage accounts stay in their tenant and know no local users.",
        [types.STORAGE_ACCOUNT],
        _tenants_and_users,
    ),
    rule("storage-recoverable", "Deleted blobs and containers come back.", [types.BLOB_SERVICE], _recoverable),
    stack_rule("storage-versions", "Blobs have versions where Azure has them.", _versions),
    stack_rule("storage-data-lake", "Accounts that Spark reads have a hierarchical namespace.", _data_lake),
    rule("key-vault-roles", "Key Vault decides by roles and retains deleted objects.", [types.VAULT], _vault),
    rule("key-vault-purge-protection", "Key Vault cannot be deleted for good.", [types.VAULT], _purge_protection),
    rule("registry-entra-only", "The container registry asks for an Entra sign-in.", [types.REGISTRY], _registry),
]
