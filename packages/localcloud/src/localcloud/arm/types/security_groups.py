"""Microsoft.Network/networkSecurityGroups and their rules."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from localcloud.arm.resource_types import Call, ResourceType
from localcloud.arm.types.network_common import (
    NAME,
    VERSIONS,
    bad_request,
    etag,
    inline_children,
    refers_to,
    render_child,
    sync_children,
)
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource

SECURITY_GROUP = "Microsoft.Network/networkSecurityGroups"
RULE = f"{SECURITY_GROUP}/securityRules"
DEFAULT_RULE = f"{SECURITY_GROUP}/defaultSecurityRules"
_SUBNET = "Microsoft.Network/virtualNetworks/subnets"
_LOWEST, _HIGHEST = 100, 4096
_CHOICES = {
    "direction": ("Inbound", "Outbound"),
    "access": ("Allow", "Deny"),
    "protocol": ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*"),
}
_EITHER = (
    ("sourcePortRange", "sourcePortRanges"),
    ("destinationPortRange", "destinationPortRanges"),
    ("sourceAddressPrefix", "sourceAddressPrefixes", "sourceApplicationSecurityGroups"),
    ("destinationAddressPrefix", "destinationAddressPrefixes", "destinationApplicationSecurityGroups"),
)
_DEFAULTS = (
    ("AllowVnetInBound", "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Inbound"),
    ("AllowAzureLoadBalancerInBound", "AzureLoadBalancer", "*", "Allow", 65001, "Inbound"),
    ("DenyAllInBound", "*", "*", "Deny", 65500, "Inbound"),
    ("AllowVnetOutBound", "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Outbound"),
    ("AllowInternetOutBound", "*", "Internet", "Allow", 65001, "Outbound"),
    ("DenyAllOutBound", "*", "*", "Deny", 65500, "Outbound"),
)


def _check_rule(rule: Resource) -> None:
    """Check a rule. Raises 400 SecurityRuleInvalidPriority, SecurityRuleInvalid…, SecurityRuleParameterNotSpecified."""
    properties = rule.properties
    priority = properties.get("priority")
    if not isinstance(priority, int) or not _LOWEST <= priority <= _HIGHEST:
        raise bad_request(
            "SecurityRuleInvalidPriority",
            f"Security rule has invalid Priority. Value provided: {priority} Allowed range {_LOWEST}-{_HIGHEST}. Rule "
            f"{rule.id}.",
        )
    for key, allowed in _CHOICES.items():
        known = {value.lower(): value for value in allowed}
        value = str(properties.get(key, ""))
        if value.lower() not in known:
            raise bad_request(
                f"SecurityRuleInvalid{key.capitalize()}",
                f"Security rule {rule.id} has {key} '{value}': use one of {', '.join(allowed)}.",
            )
        properties[key] = known[value.lower()]
    for names in _EITHER:
        if not any(properties.get(name) for name in names):
            raise bad_request(
                "SecurityRuleParameterNotSpecified",
                f"Required security rule parameters are missing for security rule with Id: {rule.id}. Security rule "
                f"must specify {' or '.join(names)}.",
            )
        for name in names[1:]:
            properties.setdefault(name, [])


def _check_conflicts(rule: Resource, others: Iterable[Resource]) -> None:
    for other in others:
        same = all(other.properties[key] == rule.properties[key] for key in ("priority", "direction"))
        if same and other.name.lower() != rule.name.lower():
            raise bad_request(
                "SecurityRuleConflict",
                f"Security rule {rule.name} conflicts with rule {other.name}. Rules cannot have the same Priority and "
                "Direction. To learn more, see aka.ms/nsgrules.",
            )


def _complete_group(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Rules in the body replace all; a body without them leaves the existing ones."""
    rules = inline_children(resource, "securityRules", RULE)
    if rules is not None:
        for index, rule in enumerate(rules):
            _check_rule(rule)
            _check_conflicts(rule, rules[:index])
        resource.private["rules"] = [{"name": declared.name, "properties": declared.properties} for declared in rules]
    resource.properties["resourceGuid"] = (
        existing.properties["resourceGuid"] if existing is not None else str(uuid.uuid4())
    )
    for key in ("defaultSecurityRules", "subnets", "networkInterfaces"):
        resource.properties.pop(key, None)
    resource.system_data = None


async def _put_group(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    bodies = resource.private.pop("rules", None)
    if bodies is not None:
        sync_children(ctx, resource, RULE, "securityRules", bodies)


def subnets_of(ctx: Context, group: Resource) -> list[str]:
    return [
        subnet.id
        for subnet in ctx.resources.list(_SUBNET)
        if refers_to(subnet.properties.get("networkSecurityGroup"), group.id)
    ]


def _default_rules(group_id: str) -> list[Resource]:
    """Return the six rules that every group has behind its own."""
    return [
        Resource(
            id=f"{group_id}/defaultSecurityRules/{name}",
            type=DEFAULT_RULE,
            name=name,
            properties={
                "provisioningState": "Succeeded", "protocol": "*", "sourcePortRange": "*",
                "destinationPortRange": "*", "sourceAddressPrefix": source, "destinationAddressPrefix": destination,
                "access": access, "priority": priority, "direction": direction, "sourcePortRanges": [],
                "destinationPortRanges": [], "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
            },
        )
        for name, source, destination, access, priority, direction in _DEFAULTS
    ]  # fmt: skip


async def _list_default_rules(ctx: Context, parent: str, call: Call) -> list[Resource]:
    return _default_rules(parent)


async def _read_default_rule(ctx: Context, id_: str) -> Resource | None:
    group, _, name = id_.rsplit("/", 2)
    existing = ctx.resources.get(group)
    rules = [] if existing is None else _default_rules(existing.id)
    return next((rule for rule in rules if rule.name.lower() == name.lower()), None)


def _render(ctx: Context, resource: Resource) -> Json:
    body = resource.to_json()
    body["etag"] = etag(resource)
    properties = body["properties"]
    properties["securityRules"] = [render_child(rule) for rule in ctx.resources.children(resource.id, RULE)]
    properties["defaultSecurityRules"] = [render_child(rule) for rule in _default_rules(resource.id)]
    subnets = subnets_of(ctx, resource)
    if subnets:
        properties["subnets"] = [{"id": id_} for id_ in subnets]
    return body


def _check_unused(ctx: Context, resource: Resource) -> None:
    subnets = subnets_of(ctx, resource)
    if subnets:
        raise bad_request(
            "InUseNetworkSecurityGroupCannotBeDeleted",
            f"Network security group {resource.id} cannot be deleted because it is in use by the following resources: "
            f"{', '.join(subnets)}. In order to delete the Network security group, remove the association with the "
            "resource(s). To learn how to do this, see aka.ms/deletensg.",
        )


def _complete_rule(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    _check_rule(resource)
    _check_conflicts(resource, ctx.resources.children(resource.id.rsplit("/", 2)[0], RULE))
    resource.system_data = None


def _render_rule(ctx: Context, resource: Resource) -> Json:
    return render_child(resource)


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=SECURITY_GROUP,
            api_versions=VERSIONS,
            name=NAME,
            tracked=True,
            complete=_complete_group,
            on_put=_put_group,
            check_delete=_check_unused,
            render=_render,
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type=RULE,
            api_versions=VERSIONS,
            name=NAME,
            complete=_complete_rule,
            render=_render_rule,
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type=DEFAULT_RULE,
            api_versions=VERSIONS,
            read=_read_default_rule,
            list_in=_list_default_rules,
            render=_render_rule,
            allow_put=False,
            patchable=False,
        ),
    )
