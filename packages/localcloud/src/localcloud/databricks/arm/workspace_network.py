"""VNet injection of Azure Databricks: the requirements of the two subnets, and the rules that the service adds.

Source: learn.microsoft.com "Deploy Azure Databricks in your Azure virtual network (VNet injection)".
"""

from __future__ import annotations

import ipaddress

from localcloud.arm.types.security_groups import RULE
from localcloud.arm.types.virtual_networks import DATABRICKS, databricks_subnets, prefixes_of, services_of
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

_SMALLEST = 26
_PREFIX = "Microsoft.Databricks-workspaces_UseOnly_databricks-worker-to-"
_VNET = "VirtualNetwork"
# Name, priority, direction, protocol, destination, ports.
_RULES = (
    ("worker-inbound", 100, "Inbound", "*", _VNET, ("*",)),
    ("databricks-webapp", 100, "Outbound", "Tcp", "AzureDatabricks", ("443", "3306", "8443-8451")),
    ("sql", 101, "Outbound", "Tcp", "Sql", ("3306",)),
    ("storage", 102, "Outbound", "Tcp", "Storage", ("443",)),
    ("worker-outbound", 103, "Outbound", "*", _VNET, ("*",)),
    ("eventhub", 104, "Outbound", "Tcp", "EventHub", ("9093",)),
)


def _refused(message: str) -> ServiceError:
    return ServiceError(400, "ApplianceInvalidParameters", message)


def check(ctx: Context, workspace: Resource) -> None:
    """Raise 400 that names the subnet and its missing settings."""
    parameters = workspace.properties["parameters"]
    names = ("customVirtualNetworkId", "customPublicSubnetName", "customPrivateSubnetName")
    named = [name for name in names if (parameters.get(name) or {}).get("value")]
    if not named:
        return
    if len(named) < len(names):
        missing = ", ".join(name for name in names if name not in named)
        raise _refused(
            f"VNet injection of workspace '{workspace.name}' needs {', '.join(names)}; {missing} is missing."
        )
    network_id = parameters[names[0]]["value"]
    network = ctx.resources.get(network_id)
    if network is None or network.location != workspace.location:
        where = "was not found" if network is None else f"is in {network.location}"
        raise _refused(
            f"The virtual network '{network_id}' of workspace '{workspace.name}' {where}; it must be in the "
            f"workspace's region {workspace.location}."
        )
    host, container = databricks_subnets(workspace)
    if host.lower() == container.lower():
        raise _refused(f"Workspace '{workspace.name}' needs two subnets; it was given '{host}' twice.")
    for id_ in (host, container):
        _check_subnet(ctx, workspace, id_)


def _check_subnet(ctx: Context, workspace: Resource, id_: str) -> None:
    subnet = ctx.resources.get(id_)
    if subnet is None:
        raise _refused(f"The subnet '{id_}' of workspace '{workspace.name}' was not found.")
    if DATABRICKS not in services_of(subnet):
        raise _refused(f"The subnet '{id_}' must be delegated to {DATABRICKS}.")
    if not subnet.properties.get("networkSecurityGroup"):
        raise _refused(f"The subnet '{id_}' must have a network security group.")
    for prefix in prefixes_of(subnet):
        if isinstance(prefix, ipaddress.IPv4Network) and prefix.prefixlen > _SMALLEST:
            raise _refused(f"The subnet '{id_}' with {prefix} is too small: Databricks needs at least a /{_SMALLEST}.")
    for other in ctx.resources.list(DATABRICKS):
        is_used = id_.lower() in {subnet_id.lower() for subnet_id in databricks_subnets(other)}
        if is_used and other.id.lower() != workspace.id.lower():
            raise _refused(f"The subnet '{id_}' is used by workspace '{other.name}': a subnet serves one workspace.")


def _groups(ctx: Context, workspace: Resource) -> list[str]:
    subnets = [ctx.resources.get(id_) for id_ in databricks_subnets(workspace)]
    groups = (subnet.properties.get("networkSecurityGroup") for subnet in subnets if subnet is not None)
    return sorted({str(group["id"]) for group in groups if group})


def claim(ctx: Context, workspace: Resource) -> None:
    """Put the service's own rules into the subnets' groups, as the delegation lets it."""
    back_end = workspace.properties.get("requiredNsgRules") == "NoAzureDatabricksRules"
    for group in _groups(ctx, workspace):
        for name, priority, direction, protocol, destination, ports in _RULES:
            if back_end and destination == "AzureDatabricks":
                continue
            many = len(ports) > 1
            ctx.resources.put(
                Resource(
                    id=f"{group}/securityRules/{_PREFIX}{name}",
                    type=RULE,
                    name=f"{_PREFIX}{name}",
                    properties={
                        "provisioningState": "Succeeded",
                        "description": "Required for the workers of an Azure Databricks workspace.",
                        "protocol": protocol, "access": "Allow", "priority": priority, "direction": direction,
                        "sourcePortRange": "*", "sourcePortRanges": [], "sourceAddressPrefix": _VNET,
                        "sourceAddressPrefixes": [], "destinationAddressPrefix": destination,
                        "destinationAddressPrefixes": [], "destinationPortRanges": list(ports) if many else [],
                        **({} if many else {"destinationPortRange": ports[0]}),
                    },
                )
            )  # fmt: skip


def release(ctx: Context, workspace: Resource) -> None:
    """Take the rules away with the last workspace of a group."""
    others = [other for other in ctx.resources.list(DATABRICKS) if other.id.lower() != workspace.id.lower()]
    kept = {group.lower() for other in others for group in _groups(ctx, other)}
    for group in _groups(ctx, workspace):
        if group.lower() not in kept:
            for rule in ctx.resources.children(group, RULE):
                if rule.name.startswith(_PREFIX):
                    ctx.resources.delete(rule.id)
