"""Refusals of Microsoft.Storage in firewalls, blob services and lifecycle policies.

Texts: hashicorp/terraform-provider-azurerm issue threads that quote the service;
learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure.
"""

from __future__ import annotations

import ipaddress

from localcloud.arm.resource_types import Call
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_MOST_RULES, _MOST_PREFIXES = 100, 10
_BASE_ACTIONS = ("tierToCool", "tierToCold", "tierToHot", "tierToArchive", "delete")
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")
_AGES = (
    "daysAfterModificationGreaterThan", "daysAfterLastAccessTimeGreaterThan", "daysAfterLastTierChangeGreaterThan",
    "daysAfterCreationGreaterThan",
)  # fmt: skip


def invalid(path: str, detail: str = "") -> ServiceError:
    return ServiceError(
        400, "InvalidValuesForRequestParameters", f"Values for request parameters are invalid: {path}.{detail}"
    )


def check_network(ctx: Context, acls: Json) -> None:
    """IP rules are public addresses or ranges up to /30; network rules name subnets with the storage endpoint."""
    if acls.get("defaultAction") not in {"Allow", "Deny"}:
        raise invalid("networkAcls.defaultAction", f" Got {acls.get('defaultAction')!r}; use Allow or Deny.")
    bypass = {part.strip() for part in str(acls.get("bypass") or "None").split(",")}
    if not bypass <= {"None", "Logging", "Metrics", "AzureServices"}:
        raise invalid("networkAcls.bypass", f" Got {acls.get('bypass')!r}; use AzureServices or None.")
    for rule in acls.get("ipRules") or []:
        value = str(rule.get("value") or rule.get("iPAddressOrRange") or "")
        try:
            network = ipaddress.IPv4Network(value)
        except ValueError:
            network = ipaddress.IPv4Network("10.0.0.0/8")
        # RFC 1918 and single hosts written as ranges are refused; TEST-NET addresses are public to the service.
        private = any(network.subnet_of(ipaddress.IPv4Network(private_range)) for private_range in _PRIVATE)
        if private or ("/" in value and network.prefixlen > 30):
            raise invalid(
                "networkAcls.ipRule[*].value",
                f" Got '{value}': use public IPv4 addresses, or ranges up to /30. For more information, see - "
                "https://aka.ms/storagenetworkruleset",
            )
    for rule in acls.get("virtualNetworkRules") or []:
        _check_subnet(ctx, str(rule.get("id") or ""))


def _check_subnet(ctx: Context, id_: str) -> None:
    subnet = ctx.resources.get(id_)
    if subnet is None:
        raise ServiceError(
            400,
            "NetworkAclsValidationFailure",
            f"Validation of network acls failure: SubnetsNotProvisioned: Cannot proceed with operation because subnet "
            f"{id_} does not exist.",
        )
    services = [str(endpoint.get("service")) for endpoint in subnet.properties.get("serviceEndpoints") or []]
    if not any(service.startswith("Microsoft.Storage") for service in services):
        raise ServiceError(
            400,
            "NetworkAclsValidationFailure",
            f"Validation of network acls failure: SubnetsHaveNoServiceEndpointsConfigured: Subnets {subnet.name} of "
            f"virtual network {id_.rsplit('/', 2)[0]} do not have ServiceEndpoints for Microsoft.Storage resources "
            "configured. Add Microsoft.Storage to subnet's ServiceEndpoints collection before trying to ACL "
            "Microsoft.Storage resources to these subnets.",
        )


def check_blob_service(account: Resource | None, properties: Json) -> None:
    """Check retention in days, the needs of point-in-time restore, and the limits of a hierarchical namespace."""
    for name in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        policy = properties.get(name) or {}
        days = policy.get("days")
        if policy.get("enabled") and (not isinstance(days, int) or not 1 <= days <= 365):
            raise ServiceError(
                400,
                "InvalidXmlNodeValue",
                f"The value for one of the properties is not valid: {name}.days is {days!r}, use 1 to 365.",
            )
    restore = properties.get("restorePolicy") or {}
    if restore.get("enabled"):
        retention = properties.get("deleteRetentionPolicy") or {}
        feed = (properties.get("changeFeed") or {}).get("enabled")
        ready = properties.get("isVersioningEnabled") and feed and retention.get("enabled")
        if not ready or not int(restore.get("days") or 0) < int(retention.get("days") or 0):
            raise invalid(
                "restorePolicy",
                " Point-in-time restore needs versioning, the change feed and soft delete for more days than it has.",
            )
    hierarchical = account is not None and bool(account.properties.get("isHnsEnabled"))
    if hierarchical and properties.get("isVersioningEnabled"):
        raise ServiceError(
            409,
            "FeatureNotSupportedForAccount",
            "Blob versioning is not supported for accounts with a hierarchical namespace (isHnsEnabled).",
        )


async def upgrade(ctx: Context, account: Resource, body: Json, call: Call) -> Json:
    """Give a flat account a hierarchical namespace, or check whether it can have one. It cannot be undone.

    Properties that have to be off before:
    learn.microsoft.com/azure/storage/blobs/upgrade-to-data-lake-storage-gen2-how-to.
    """
    request = call.query.get("requestType", "")
    if request not in {"HnsOnValidationRequest", "HnsOnHydrationRequest"}:
        raise invalid("requestType", f" Got {request!r}; use HnsOnValidationRequest or HnsOnHydrationRequest.")
    service = ctx.resources.get(f"{account.id}/blobServices/default")
    properties = {} if service is None else service.properties
    on = [
        name
        for name in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy", "changeFeed", "restorePolicy")
        if (properties.get(name) or {}).get("enabled")
    ]
    if properties.get("isVersioningEnabled"):
        on.append("isVersioningEnabled")
    if on or account.kind not in {"StorageV2", "BlockBlobStorage"} or account.properties.get("isHnsEnabled"):
        reason = f"switch off {', '.join(on)}" if on else f"it is of kind {account.kind}, or upgraded already"
        raise ServiceError(
            409, "FeatureNotSupportedForAccount", f"HnsOnMigration is not supported for the account: {reason}."
        )
    if request == "HnsOnHydrationRequest":
        account.properties["isHnsEnabled"] = True
        ctx.resources.put(account)
    return {}


def complete_policy(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check a lifecycle policy: each rule has a name of its own, a known action and an age. Raises 400."""
    rules = (resource.properties["policy"] or {}).get("rules")
    if not isinstance(rules, list) or not 1 <= len(rules) <= _MOST_RULES:
        raise invalid("policy.rules", " Give 1 to 100 rules.")
    names = [str(rule.get("name") or "") for rule in rules]
    if "" in names or len(set(names)) != len(names):
        raise invalid("policy.rules[*].name", f" Every rule needs a name of its own: {names}.")
    service = ctx.resources.get(f"{resource.id.rsplit('/', 2)[0]}/blobServices/default")
    policy = {} if service is None else service.properties.get("lastAccessTimeTrackingPolicy") or {}
    for rule in rules:
        _check_rule(rule, bool(policy.get("enable")))
        rule.setdefault("enabled", True)
    resource.properties["lastModifiedTime"] = resource.system_data["lastModifiedAt"] if resource.system_data else ""
    resource.system_data = None


def _check_rule(rule: Json, tracking: bool) -> None:
    where = f"rule '{rule['name']}'"
    if rule.get("type") != "Lifecycle":
        raise invalid("policy.rules[*].type", f" {where} has {rule.get('type')!r}; use Lifecycle.")
    definition = rule.get("definition") or {}
    filters = definition.get("filters") or {}
    kinds = filters.get("blobTypes") or []
    if not kinds or not set(kinds) <= {"blockBlob", "appendBlob"}:
        raise invalid("policy.rules[*].definition.filters.blobTypes", f" {where} has {kinds!r}; use ['blockBlob'].")
    if len(filters.get("prefixMatch") or []) > _MOST_PREFIXES:
        raise invalid("policy.rules[*].definition.filters.prefixMatch", f" {where} has more than 10 prefixes.")
    actions = definition.get("actions") or {}
    if not any(actions.get(part) for part in ("baseBlob", "snapshot", "version")):
        raise invalid("policy.rules[*].definition.actions", f" {where} has no baseBlob, snapshot or version.")
    for part in ("baseBlob", "snapshot", "version"):
        for name, action in (actions.get(part) or {}).items():
            if name == "enableAutoTierToHotFromCool":
                continue
            if name not in _BASE_ACTIONS or not isinstance(action, dict):
                raise invalid(f"policy.rules[*].definition.actions.{part}.{name}", f" {where} has no such action.")
            ages = {key: value for key, value in action.items() if value is not None}
            if not ages or not set(ages) <= set(_AGES) or any(value < 0 for value in ages.values()):
                raise invalid(f"policy.rules[*].definition.actions.{part}.{name}", f" {where} has {ages!r}.")
            if "daysAfterLastAccessTimeGreaterThan" in ages and not tracking:
                raise invalid(
                    f"policy.rules[*].definition.actions.{part}.{name}",
                    f" {where} needs last access time tracking, which is off in the blob service.",
                )
