"""Every rule finds violations, names the remedy, and lets right resources pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policy import resource_types as types
from policy.pack import RULES
from tests.unit.policy.checker import resource, violations

TAGS = {"project": "dataopsml", "environment": "dev", "owner": "mlops@example.com", "cost_center": "research-42"}
SCOPE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/st"
ROLE = "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/"

GOOD: dict[str, dict[str, Any]] = {
    types.STORAGE_ACCOUNT: {
        "allowSharedKeyAccess": False, "allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2",
        "allowCrossTenantReplication": False, "isLocalUserEnabled": False, "enableHttpsTrafficOnly": True,
        "publicNetworkAccess": "Disabled", "networkRuleSet": {"defaultAction": "Deny"}, "tags": TAGS,
    },
    types.BLOB_CONTAINER: {"publicAccess": "None"},
    types.BLOB_SERVICE: {
        "isVersioningEnabled": True, "deleteRetentionPolicy": {"enabled": True},
        "containerDeleteRetentionPolicy": {"enabled": True},
    },
    types.VAULT: {
        "properties": {
            "enableRbacAuthorization": True, "enablePurgeProtection": True, "enableSoftDelete": True,
            "publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny"},
        },
        "tags": TAGS,
    },
    types.REGISTRY: {
        "adminUserEnabled": False, "anonymousPullEnabled": False, "publicNetworkAccess": "Disabled", "tags": TAGS,
        "networkRuleSet": {"defaultAction": "Deny"},
    },
    types.ML_WORKSPACE: {
        "systemDatastoresAuthMode": "Identity", "v1LegacyMode": False, "identity": {"type": "UserAssigned"},
        "publicNetworkAccess": "Disabled", "tags": TAGS,
    },
    types.ML_COMPUTE: {
        "identity": {"type": "UserAssigned"},
        "properties": {
            "computeType": "AmlCompute", "disableLocalAuth": True,
            "properties": {"remoteLoginPortPublicAccess": "Disabled", "scaleSettings": {"minNodeCount": 0}},
        },
        "tags": TAGS,
    },
    types.ML_DATASTORE: {"properties": {"credentials": {"credentialsType": "None"}}},
    types.ML_BATCH_ENDPOINT: {"properties": {"authMode": "AADToken"}, "tags": TAGS},
    types.ML_ONLINE_ENDPOINT: {
        "properties": {"authMode": "AADToken", "publicNetworkAccess": "Disabled"},
        "identity": {"type": "UserAssigned"}, "tags": TAGS,
    },
    types.LOG_WORKSPACE: {"features": {"disableLocalAuth": True}, "tags": TAGS},
    types.APPLICATION_INSIGHTS: {"disableLocalAuth": True, "tags": TAGS},
    types.DATABRICKS: {
        "sku": {"name": "premium"}, "parameters": {"enableNoPublicIp": {"value": True}},
        "publicNetworkAccess": "Disabled", "tags": TAGS,
    },
    types.POOL: {"minIdleInstances": 0, "idleInstanceAutoterminationMinutes": 10},
    types.CLUSTER_POLICY: {
        "definition": json.dumps(
            {
                "cluster_type": {"type": "fixed", "value": "job"}, "spark_version": {"type": "fixed", "value": "17.3"},
                "data_security_mode": {"type": "fixed", "value": "SINGLE_USER"},
            }
        )
    },
    types.DATABRICKS_PROVIDER: {"host": "https://adb-1.azuredatabricks.net"},
    types.SERVICE_PRINCIPAL: {"applicationId": "id", "displayName": "pipeline"},
    types.ROLE_ASSIGNMENT: {
        "roleDefinitionId": f"{ROLE}ba92f5b4-2d11-453d-a403-e96b0029c9fe", "principalType": "ServicePrincipal",
        "scope": SCOPE, "roleAssignmentName": "0b1f6471-1bf0-5dda-aec3-111122223333",
    },
    types.SECURITY_RULE: {"access": "Allow", "direction": "Inbound", "sourceAddressPrefix": "VirtualNetwork"},
    types.RESOURCE_GROUP: {"tags": TAGS},
    types.AZURE_PROVIDER: {"location": "westeurope"},
    types.ML_CONNECTION: {"properties": {"authType": "ManagedIdentity"}},
}  # fmt: skip

# Rule, type, change of the good resource (None removes it), and a part of the message.
BAD: list[tuple[str, str, dict[str, Any], str]] = [
    ("storage-no-shared-keys", types.STORAGE_ACCOUNT, {"allowSharedKeyAccess": True}, "allow_shared_key_access=False"),
    ("storage-no-shared-keys", types.STORAGE_ACCOUNT, {"allowSharedKeyAccess": None}, "allow_shared_key_access=False"),
    ("storage-no-public-blobs", types.STORAGE_ACCOUNT, {"allowBlobPublicAccess": True}, "allow_blob_public_access"),
    ("storage-no-public-blobs", types.BLOB_CONTAINER, {"publicAccess": "Blob"}, "'Blob' opens the container"),
    ("storage-tls", types.STORAGE_ACCOUNT, {"minimumTlsVersion": None}, "left at the default, TLS1_0"),
    ("storage-tls", types.STORAGE_ACCOUNT, {"minimumTlsVersion": "TLS1_1"}, "it is TLS1_1"),
    ("storage-tls", types.STORAGE_ACCOUNT, {"enableHttpsTrafficOnly": False}, "enable_https_traffic_only"),
    ("storage-entra-only", types.STORAGE_ACCOUNT, {"allowCrossTenantReplication": True}, "another tenant"),
    ("storage-entra-only", types.STORAGE_ACCOUNT, {"isLocalUserEnabled": None}, "is_local_user_enabled=False"),
    ("storage-recoverable", types.BLOB_SERVICE, {"deleteRetentionPolicy": None}, "soft delete of blobs"),
    ("storage-recoverable", types.BLOB_SERVICE, {"containerDeleteRetentionPolicy": None}, "of containers"),
    ("key-vault-roles", types.VAULT, {"properties.enableRbacAuthorization": False}, "enable_rbac_authorization=True"),
    ("key-vault-roles", types.VAULT, {"properties.accessPolicies": [{"objectId": "me"}]}, "Remove access_policies"),
    ("key-vault-roles", types.VAULT, {"properties.enableSoftDelete": False}, "enable_soft_delete"),
    ("key-vault-purge-protection", types.VAULT, {"properties.enablePurgeProtection": None}, "purge_protection"),
    ("registry-entra-only", types.REGISTRY, {"adminUserEnabled": True}, "admin_user_enabled=False"),
    ("registry-entra-only", types.REGISTRY, {"anonymousPullEnabled": True}, "anonymous_pull_enabled=False"),
    ("ml-identity-datastores", types.ML_WORKSPACE, {"systemDatastoresAuthMode": None}, "the default, AccessKey"),
    ("ml-workspace-identity", types.ML_WORKSPACE, {"v1LegacyMode": True}, "v1_legacy_mode=False"),
    ("ml-workspace-identity", types.ML_WORKSPACE, {"identity": {"type": "SystemAssigned"}}, "UserAssigned identity"),
    (
        "ml-datastores-without-secrets", types.ML_DATASTORE,
        {"properties.credentials": {"credentialsType": "AccountKey"}}, "AccountKey puts a secret into the state",
    ),
    ("ml-compute", types.ML_COMPUTE, {"properties.computeType": "Databricks"}, "Do not attach Databricks"),
    ("ml-compute", types.ML_COMPUTE, {"properties.disableLocalAuth": None}, "disable_local_auth=True"),
    ("ml-compute", types.ML_COMPUTE, {"identity": None}, "user-assigned identity"),
    ("ml-compute", types.ML_COMPUTE, {"properties.properties.remoteLoginPortPublicAccess": "Enabled"}, "logs in to"),
    ("ml-compute", types.ML_COMPUTE, {"properties.properties.scaleSettings": {"minNodeCount": 1}}, "min_node_count"),
    ("ml-endpoints-entra-only", types.ML_BATCH_ENDPOINT, {"properties.authMode": "Key"}, "Key is a shared secret"),
    ("ml-endpoints-entra-only", types.ML_ONLINE_ENDPOINT, {"properties.authMode": "Key"}, "Key is a shared secret"),
    ("ml-online-endpoint-identity", types.ML_ONLINE_ENDPOINT, {"identity": {"type": "None"}}, "user-assigned"),
    ("ml-online-endpoint-identity", types.ML_ONLINE_ENDPOINT, {"identity": None}, "user-assigned identity"),
    ("logs-entra-only", types.LOG_WORKSPACE, {"features": None}, "disable_local_auth=True"),
    ("logs-entra-only", types.APPLICATION_INSIGHTS, {"disableLocalAuth": False}, "disable_local_auth=True"),
    ("databricks-no-public-addresses", types.DATABRICKS, {"sku": {"name": "standard"}}, "premium tier"),
    ("databricks-no-public-addresses", types.DATABRICKS, {"parameters": None}, "enable_no_public_ip"),
    ("databricks-pool-ends", types.POOL, {"minIdleInstances": 1}, "min_idle_instances to 0"),
    ("databricks-pool-ends", types.POOL, {"idleInstanceAutoterminationMinutes": 600}, "at most 60: it is 600"),
    ("databricks-policy-job-clusters", types.CLUSTER_POLICY, {"definition": "{}"}, "Fix cluster_type to job"),
    (
        "databricks-policy-job-clusters", types.CLUSTER_POLICY,
        {"definition": '{"data_security_mode": {"type": "fixed", "value": "NONE"}}'},
        "Unity Catalog gives clusters of the mode NONE no credentials",
    ),
    ("databricks-no-tokens", types.DATABRICKS_TOKEN, {"comment": "mine"}, "Do not make access tokens"),
    ("databricks-no-tokens", types.ON_BEHALF_TOKEN, {"applicationId": "id"}, "Do not make access tokens"),
    ("databricks-no-tokens", types.DATABRICKS_PROVIDER, {"token": "dapi1"}, "Take token off the provider"),
    ("databricks-no-tokens", types.DATABRICKS_PROVIDER, {"azureClientSecret": "x"}, "Take azureClientSecret off"),
    ("databricks-plain-identity", types.SERVICE_PRINCIPAL, {"allowClusterCreate": True}, "Leave allowClusterCreate"),
    (
        "roles-least-privilege", types.ROLE_ASSIGNMENT,
        {"roleDefinitionId": f"{ROLE}8e3af657-a8ff-443c-a75c-2fe8c4bcb635"}, "Do not give Owner",
    ),
    ("roles-least-privilege", types.ROLE_ASSIGNMENT, {"principalType": None}, "Set principal_type"),
    ("roles-least-privilege", types.ROLE_ASSIGNMENT, {"roleAssignmentName": None}, "Set role_assignment_name"),
    ("no-secrets-in-state", types.SECRET, {"properties.value": "hunter2"}, "Do not make secrets in the vault"),
    ("no-secrets-in-state", types.AZURE_PROVIDER, {"clientSecret": "hunter2"}, "Remove clientSecret from the provider"),
    (
        "no-secrets-in-state", types.ML_CONNECTION, {"properties.credentials": {"key": "hunter2"}},
        "Take the credentials off the connection",
    ),
    ("roles-least-privilege", types.ROLE_ASSIGNMENT, {"scope": SCOPE.split("/providers/")[0]}, "on one resource"),
    ("network-no-open-rule", types.SECURITY_RULE, {"sourceAddressPrefix": "Internet"}, "lets the whole internet in"),
    ("network-no-open-rule", types.SECURITY_RULE, {"sourceAddressPrefix": "*"}, "Name a source_address_prefix"),
    (
        "network-no-open-rule", types.SECURITY_RULE,
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.0.0.0/24", "0.0.0.0/0"]}, "the whole internet in",
    ),
    ("required-tags", types.RESOURCE_GROUP, {"tags": None}, "Set the tags project, environment, owner, cost_center"),
    ("required-tags", types.STORAGE_ACCOUNT, {"tags": TAGS | {"owner": ""}}, "Set the tags owner"),
]  # fmt: skip
STACK_RULES = {
    "diagnostic-settings", "alerts", "budget", "data-protected", "storage-lifecycle", "storage-versions",
    "storage-data-lake",
}  # fmt: skip


def changed(props: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(props))
    for path, value in changes.items():
        *folders, last = path.split(".")
        target = copy
        for folder in folders:
            target = target.setdefault(folder, {})
        if value is None:
            target.pop(last, None)
        else:
            target[last] = value
    return copy


SEALED = ("connectionString", "instrumentationKey")


def violations_of(
    type_: str, props: Mapping[str, Any], config: Mapping[str, Any] | None = None, sealed: tuple[str, ...] = SEALED
) -> list[tuple[str, str]]:
    resources = [resource(type_, props, secret_outputs=sealed)]
    return [(rule, text) for rule, _, text in violations(resources, config) if rule not in STACK_RULES]


@pytest.mark.parametrize("type_", GOOD)
def test_a_correct_resource_passes(type_: str) -> None:
    assert violations_of(type_, GOOD[type_]) == []


@pytest.mark.parametrize(("rule", "type_", "changes", "message"), BAD, ids=[f"{bad[0]}: {bad[3][:40]}" for bad in BAD])
def test_a_violation_is_reported_only_by_its_own_rule(
    rule: str, type_: str, changes: dict[str, Any], message: str
) -> None:
    problems = violations_of(type_, changed(GOOD.get(type_, {}), changes))
    assert {name for name, _ in problems} == {rule}, problems
    assert any(message in text for _, text in problems), problems


@pytest.mark.parametrize("sealed", [(), SEALED[:1]], ids=["none", "one"])
def test_keys_of_the_logs_in_the_state_are_reported(sealed: tuple[str, ...]) -> None:
    ((rule, text),) = violations_of(types.APPLICATION_INSIGHTS, GOOD[types.APPLICATION_INSIGHTS], sealed=sealed)
    assert rule == "logs-keys-sealed" and "instrumentationKey in additional_secret_outputs" in text


@pytest.mark.parametrize(
    ("profile", "type_", "changes", "message"),
    [
        ("private", types.STORAGE_ACCOUNT, {"publicNetworkAccess": "Enabled"}, "network.profile to private"),
        ("private", types.STORAGE_ACCOUNT, {"publicNetworkAccess": None}, "network.profile to private"),
        ("private", types.VAULT, {"properties.publicNetworkAccess": "Enabled"}, "network.profile to private"),
        ("private", types.REGISTRY, {"publicNetworkAccess": "Enabled"}, "network.profile to private"),
        ("private", types.ML_WORKSPACE, {"publicNetworkAccess": "Enabled"}, "network.profile to private"),
        ("private", types.DATABRICKS, {"publicNetworkAccess": "Enabled"}, "network.profile to private"),
        (
            "restricted", types.STORAGE_ACCOUNT,
            {"publicNetworkAccess": "Enabled", "networkRuleSet": {"defaultAction": "Allow"}}, "to every address",
        ),
        (
            "restricted", types.VAULT, {"properties.publicNetworkAccess": "Enabled", "properties.networkAcls": None},
            "to every address",
        ),
        ("restricted", types.REGISTRY, {"publicNetworkAccess": "Enabled", "networkRuleSet": None}, "to every address"),
    ],
)  # fmt: skip
def test_services_too_open_for_their_environment_are_reported(
    profile: str, type_: str, changes: dict[str, Any], message: str
) -> None:
    props = changed(GOOD[type_], changes)
    assert violations_of(type_, props) == [], "nothing is too open for the public profile"
    ((rule, text),) = violations_of(type_, props, {"network-profile": {"profile": profile}})
    assert rule == "network-profile" and message in text


@pytest.mark.parametrize("type_", [types.STORAGE_ACCOUNT, types.VAULT, types.REGISTRY])
def test_a_firewall_is_enough_for_the_restricted_profile(type_: str) -> None:
    path = "properties.publicNetworkAccess" if type_ == types.VAULT else "publicNetworkAccess"
    props = changed(GOOD[type_], {path: "Enabled"})
    assert violations_of(type_, props, {"network-profile": {"profile": "restricted"}}) == []


def stack_violations(*resources: Any, **config: Any) -> list[tuple[str, str, str]]:
    settings = {rule: {"required": True} for rule in ("alerts", "budget", "data-protected")} | config
    return [violation for violation in violations(resources, settings) if violation[0] in STACK_RULES]


def test_a_resource_without_logs_is_reported() -> None:
    vault = resource(types.VAULT, GOOD[types.VAULT], name="vault", protect=True)
    logged = resource(types.DIAGNOSTIC_SETTING, {}, name="logs", reads={"resourceUri": [vault]})
    off: dict[str, dict[str, bool]] = {"alerts": {}, "budget": {}, "data-protected": {}}
    ((rule, name, text),) = stack_violations(vault, **off)
    assert (rule, name) == ("diagnostic-settings", "vault") and "diagnostic setting" in text
    assert stack_violations(vault, logged, **off) == []


def test_missing_alerts_and_budgets_are_reported_where_they_are_required() -> None:
    group = resource(types.ACTION_GROUP, {"tags": TAGS}, name="people")
    assert {rule for rule, _, _ in stack_violations()} == {"alerts", "budget"}
    assert stack_violations(alerts={}, budget={}) == []
    texts = [text for rule, _, text in stack_violations(group) if rule == "alerts"]
    assert texts == ["Keep the alerts on failed pipeline runs and failed notebook runs."]
    rest = [
        resource(type_, {"tags": TAGS}, name=type_) for type_ in (types.METRIC_ALERT, types.LOG_ALERT, types.BUDGET)
    ]
    assert stack_violations(group, *rest) == []


def test_data_without_a_lock_or_protection_are_reported() -> None:
    account = resource(types.STORAGE_ACCOUNT, GOOD[types.STORAGE_ACCOUNT], name="data")
    texts = [text for rule, _, text in stack_violations(account) if rule == "data-protected"]
    assert len(texts) == 2 and "protection.lock" in texts[0] and "protection.protect" in texts[1]
    safe = resource(types.STORAGE_ACCOUNT, GOOD[types.STORAGE_ACCOUNT], name="data", protect=True)
    lock = resource(types.LOCKS[0], {"level": "CanNotDelete"}, name="lock", reads={"scope": [safe]})
    assert not [rule for rule, _, _ in stack_violations(safe, lock) if rule == "data-protected"]


def account_with(
    *, flat: bool = True, versions: bool = True, service: bool = True, more: Any = ()
) -> list[tuple[str, str]]:
    """Return the problems of an account and its blob service; `more` is made from the account."""
    account = resource(
        types.STORAGE_ACCOUNT, GOOD[types.STORAGE_ACCOUNT] | {"isHnsEnabled": not flat}, name="data", protect=True
    )
    parts = [account]
    if service:
        props = GOOD[types.BLOB_SERVICE] | {"isVersioningEnabled": versions}
        parts.append(resource(types.BLOB_SERVICE, props, name="blobs", reads={"accountName": [account]}))
    for type_, props, reads in more:
        parts.append(resource(type_, props, name=type_, reads={reads: [account]}))
    violations = stack_violations(*parts)
    return [(rule, text) for rule, _, text in violations if rule.startswith("storage-")]


LIFECYCLE: tuple[str, dict[str, Any], str] = (types.LIFECYCLE, {}, "accountName")
CONTAINER = (types.BLOB_CONTAINER, GOOD[types.BLOB_CONTAINER], "accountName")
LAKE = (types.ML_DATASTORE, {"properties": {"datastoreType": "AzureDataLakeGen2"}}, "properties")
BLOBS = (types.ML_DATASTORE, {"properties": {"datastoreType": "AzureBlob"}}, "properties")
LINK = "privateLinkServiceConnections"
DFS = (types.PRIVATE_ENDPOINT, {LINK: [{"groupIds": ["dfs"]}]}, LINK)


def test_storage_without_lifecycle_rules_is_reported() -> None:
    for more in ((), (CONTAINER,)):
        ((rule, text),) = account_with(more=more)
        assert rule == "storage-lifecycle" and "lifecycle policy" in text
    ((rule, _),) = account_with(flat=False, versions=False, more=(CONTAINER,))
    assert rule == "storage-lifecycle"
    assert account_with(more=(CONTAINER, LIFECYCLE)) == []


def test_blob_versions_are_required_only_where_azure_has_them() -> None:
    assert account_with(more=(LIFECYCLE,)) == account_with(flat=False, versions=False) == []
    ((rule, text),) = account_with(versions=False)
    assert rule == "storage-versions" and "Set is_versioning_enabled=True" in text
    ((rule, text),) = account_with(flat=False, more=(LIFECYCLE,))
    assert rule == "storage-versions" and "Azure refuses it" in text
    ((rule, text),) = account_with(service=False)
    assert rule == "storage-versions" and "blob service properties" in text


@pytest.mark.parametrize("reader", [LAKE, DFS], ids=["datastore", "private endpoint"])
def test_a_flat_account_for_spark_is_reported(reader: Any) -> None:
    ((rule, text),) = account_with(more=(LIFECYCLE, reader))
    assert rule == "storage-data-lake" and "is_hns_enabled=True" in text
    assert account_with(flat=False, versions=False, more=(LIFECYCLE, reader)) == []
    assert account_with(more=(LIFECYCLE, BLOBS)) == []


def test_every_rule_is_tried() -> None:
    assert {bad[0] for bad in BAD} | STACK_RULES | {"network-profile", "logs-keys-sealed"} == {
        rule.name for rule in RULES
    }


def test_rules_name_the_remedy() -> None:
    for _, type_, changes, _ in BAD:
        for _, text in violations_of(type_, changed(GOOD.get(type_, {}), changes)):
            assert text.split(" ", 1)[0] in {
                "Set", "Leave", "Enable", "Remove", "Use", "Give", "Do", "Fix", "Take", "Name", "Keep",
            }, text  # fmt: skip
