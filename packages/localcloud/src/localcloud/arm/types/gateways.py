"""Microsoft.Network: outbound traffic of a virtual network: NAT gateways, public IP addresses, route tables."""

from __future__ import annotations

import hashlib
import uuid

from localcloud.arm.resource_types import ResourceType
from localcloud.arm.types.network_common import NAME, VERSIONS, bad_request, etag, reference, refers_to, since
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource

NAT_GATEWAY = "Microsoft.Network/natGateways"
PUBLIC_IP = "Microsoft.Network/publicIPAddresses"
ROUTE_TABLE = "Microsoft.Network/routeTables"
_SUBNET = "Microsoft.Network/virtualNetworks/subnets"


def _complete_address(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    sku = str((resource.sku or {}).get("name") or "Standard")
    if sku not in {"Basic", "Standard", "StandardV2"}:
        raise bad_request("InvalidRequestFormat", f"The SKU '{sku}' is not valid: use Standard.")
    method = resource.properties.setdefault("publicIPAllocationMethod", "Static" if sku == "Standard" else "Dynamic")
    if sku != "Basic" and method != "Static":
        raise bad_request(
            "PublicIPWithStandardSkuMustUseStaticAllocation",
            f"Standard sku publicIp {resource.id} must have AllocationMethod set to Static.",
        )
    if existing is not None and existing.sku is not None and existing.sku["name"] != sku:
        raise bad_request("SkuCannotBeChangedOnUpdate", f"Sku property of {resource.id} cannot be changed.")
    resource.sku = {"name": sku, "tier": (resource.sku or {}).get("tier") or "Regional"}
    # 203.0.113.0/24 is reserved for documentation (RFC 5737): no host has such an address.
    digest = hashlib.sha256(resource.id.lower().encode()).digest()
    resource.properties["ipAddress"] = f"203.0.113.{1 + digest[0] % 254}"
    resource.properties.setdefault("publicIPAddressVersion", "IPv4")
    resource.properties.setdefault("idleTimeoutInMinutes", 4)
    _keep_guid(resource, existing)


def _complete_nat(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    sku = str((resource.sku or {}).get("name") or "")
    if sku not in {"Standard", "StandardV2"}:
        raise bad_request("InvalidRequestFormat", f"The SKU '{sku}' of NAT gateway {resource.name} must be Standard.")
    resource.sku = {"name": sku, "tier": (resource.sku or {}).get("tier") or "Regional"}
    for address in resource.properties.get("publicIpAddresses") or []:
        reference(ctx, resource, address, PUBLIC_IP)
    resource.properties.setdefault("idleTimeoutInMinutes", 4)
    _keep_guid(resource, existing)


def _complete_table(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    resource.properties.setdefault("routes", [])
    resource.properties.setdefault("disableBgpRoutePropagation", False)
    _keep_guid(resource, existing)


def _keep_guid(resource: Resource, existing: Resource | None) -> None:
    resource.properties["resourceGuid"] = (
        existing.properties["resourceGuid"] if existing is not None else str(uuid.uuid4())
    )
    resource.properties.pop("subnets", None)
    resource.system_data = None


def _users(ctx: Context, resource: Resource) -> list[str]:
    """Subnets of a gateway or table; the NAT gateway of an address."""
    if resource.type == PUBLIC_IP:
        return [
            user.id
            for user in ctx.resources.list(NAT_GATEWAY)
            if any(refers_to(address, resource.id) for address in user.properties.get("publicIpAddresses") or [])
        ]
    key = "natGateway" if resource.type == NAT_GATEWAY else "routeTable"
    return [user.id for user in ctx.resources.list(_SUBNET) if refers_to(user.properties.get(key), resource.id)]


def _check_unused(ctx: Context, resource: Resource) -> None:
    users = _users(ctx, resource)
    if users:
        code = {PUBLIC_IP: "PublicIPAddressCannotBeDeleted", ROUTE_TABLE: "InUseRouteTableCannotBeDeleted"}
        raise bad_request(
            code.get(resource.type, "InUseNatGatewayCannotBeDeleted"),
            f"{resource.id} can not be deleted since it is still used by {', '.join(users)}.",
        )


def _render(ctx: Context, resource: Resource) -> Json:
    body = resource.to_json()
    body["etag"] = etag(resource)
    users = _users(ctx, resource)
    if users and resource.type != PUBLIC_IP:
        body["properties"]["subnets"] = [{"id": id_} for id_ in users]
    elif users:
        body["properties"]["natGateway"] = {"id": users[0]}
    return body


def register(ctx: Context) -> None:
    types = ((PUBLIC_IP, VERSIONS, _complete_address), (ROUTE_TABLE, VERSIONS, _complete_table))
    for type_, versions, complete in (*types, (NAT_GATEWAY, since("2019-02-01"), _complete_nat)):
        ctx.types.register(
            ResourceType(
                type=type_,
                api_versions=versions,
                name=NAME,
                tracked=True,
                complete=complete,
                check_delete=_check_unused,
                render=_render,
                long_running=frozenset({"put", "delete"}),
            )
        )
