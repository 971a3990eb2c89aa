"""Rules on roles and networks: as little as is needed, and from nowhere else."""

from __future__ import annotations

from policy import resource_types as types
from policy.rules import Problems, Subject, get, rule

_TOO_MUCH = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
}
_PROFILES = ("public", "restricted", "private")
_GUARDED = (
    types.STORAGE_ACCOUNT,
    types.VAULT,
    types.REGISTRY,
    types.ML_WORKSPACE,
    types.DATABRICKS,
    types.ML_ONLINE_ENDPOINT,
)


def _role(assignment: Subject) -> Problems:
    role = str(get(assignment.props, "roleDefinitionId")).rsplit("/", 1)[-1].lower()
    if role in _TOO_MUCH:
        yield f"Do not give {_TOO_MUCH[role]}: its holder can assign every other role."
    if get(assignment.props, "principalType") is None:
        yield "Set principal_type: Azure cannot look up an identity that was just made."
    # Last, for a preview may not know these yet.
    if get(assignment.props, "roleAssignmentName") is None:
        yield "Set role_assignment_name to a GUID made of scope, role and identity: a random one changes each time."
    scope = get(assignment.props, "scope")
    if scope is not None and "/providers/" not in str(scope):
        yield f"Give the role on one resource: {scope} holds others as well."


def _closed(resource: Subject) -> Problems:
    profile = resource.config.get("profile", "public")
    if profile == "public":
        return
    nested = resource.type in (types.VAULT, types.ML_ONLINE_ENDPOINT)
    properties = get(resource.props, "properties") if nested else resource.props
    public = str(get(properties, "publicNetworkAccess")).lower() != "disabled"
    if profile == "private":
        if public:
            yield "Set network.profile to private: the service answers on the internet (public_network_access)."
        return
    firewall = {types.STORAGE_ACCOUNT: "networkRuleSet", types.VAULT: "networkAcls", types.REGISTRY: "networkRuleSet"}
    name = firewall.get(resource.type)
    if public and name is not None and get(properties, name, "defaultAction") != "Deny":
        yield "Set network.profile to restricted or private: the service answers to every address."


def _inbound(rule_: Subject) -> Problems:
    open_ = get(rule_.props, "access") == "Allow" and get(rule_.props, "direction") == "Inbound"
    sources = {get(rule_.props, "sourceAddressPrefix"), *(get(rule_.props, "sourceAddressPrefixes") or ())}
    if open_ and sources & {"*", "Internet", "0.0.0.0/0", "::/0"}:
        yield "Name a source_address_prefix: the rule lets the whole internet in."


RULES = [
    rule(
        "roles-least-privilege",
        "Roles are narrow, and none can give others.",
        [types.ROLE_ASSIGNMENT],
        _role,
    ),
    rule(
        "network-profile",
        "Services answer to no more than the environment's network profile lets them.",
        _GUARDED,
        _closed,
        settings={"profile": {"type": "string", "enum": list(_PROFILES), "default": "public"}},
    ),
    rule("network-no-open-rule", "No security rule lets the whole internet in.", [types.SECURITY_RULE], _inbound),
]
