"""Microsoft.Network/privateDnsZones: zones, links to virtual networks, address records."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from localcloud.arm.resource_types import Call, NameRule, ProviderRoute, ResourceType
from localcloud.arm.types.network_common import bad_request, etag, reference
from localcloud.arm.types.virtual_networks import VIRTUAL_NETWORK
from localcloud.arm.wire import page
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

ZONE = "Microsoft.Network/privateDnsZones"
LINK = f"{ZONE}/virtualNetworkLinks"
ADDRESS_RECORD = f"{ZONE}/A"
_VERSIONS = ("2018-09-01", "2020-01-01", "2020-06-01", "2024-06-01")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ANYWHERE = ("global",)


def _complete_zone(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    kept = existing.properties if existing is not None else {}
    resource.properties = {
        "maxNumberOfRecordSets": 25000,
        "maxNumberOfVirtualNetworkLinks": 1000,
        "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
        "internalId": kept.get("internalId") or str(uuid.uuid4()),
    }
    resource.system_data = None


def _render_zone(ctx: Context, resource: Resource) -> Json:
    body = resource.to_json()
    body["etag"] = etag(resource)
    links = ctx.resources.children(resource.id, LINK)
    body["properties"] |= {
        # The SOA record of every zone counts.
        "numberOfRecordSets": 1 + len(ctx.resources.children(resource.id, ADDRESS_RECORD)),
        "numberOfVirtualNetworkLinks": len(links),
        "numberOfVirtualNetworkLinksWithRegistration": sum(
            bool(link.properties.get("registrationEnabled")) for link in links
        ),
    }
    return body


def _check_zone_unused(ctx: Context, resource: Resource) -> None:
    links = ctx.resources.children(resource.id, LINK)
    if links:
        raise ServiceError(
            409,
            "CannotDeleteResource",
            "Cannot delete resource while nested resources exist. Some existing nested resource IDs include: "
            f"'{', '.join(link.id for link in links)}'. Please delete all nested resources before deleting this "
            "resource.",
        )


def _complete_link(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check a link. Raises ServiceError 400 BadRequest when the network has a zone of the same name already."""
    properties = resource.properties
    network = reference(ctx, resource, properties.get("virtualNetwork"), VIRTUAL_NETWORK)
    if network is None:
        raise bad_request("BadRequest", f"The virtual network link '{resource.name}' names no virtual network.")
    zone = resource.id.split("/")[8]
    for other in ctx.resources.list(LINK):
        same = str(other.properties["virtualNetwork"]["id"]).lower() == network.id.lower()
        if same and other.id.lower() != resource.id.lower() and other.id.split("/")[8].lower() == zone.lower():
            raise bad_request(
                "BadRequest",
                "A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to link "
                f"virtual network with '{zone}' and '{other.id.split('/')[8]}' zones.",
            )
    properties["virtualNetwork"] = {"id": network.id}
    properties.setdefault("registrationEnabled", False)
    properties.setdefault("resolutionPolicy", "Default")
    properties["virtualNetworkLinkState"] = "Completed"
    resource.system_data = None


def _complete_record(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    if not properties.get("aRecords"):
        raise bad_request("BadRequest", f"The record set '{resource.name}' has no aRecords.")
    properties.setdefault("ttl", 3600)
    properties["fqdn"] = f"{resource.name}.{resource.id.split('/')[8]}."
    properties["isAutoRegistered"] = False
    resource.system_data = None


async def _all_records(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    scope = "/subscriptions/{subscription}/resourceGroups/{group}".format_map(dict(parameters))
    zone = f"{scope}/providers/{ZONE}/{parameters['zone']}"
    if ctx.resources.get(zone) is None:
        raise ServiceError(404, "ResourceNotFound", f"The private DNS zone '{parameters['zone']}' was not found.")
    records = [record.to_json() | {"etag": etag(record)} for record in ctx.resources.children(zone, ADDRESS_RECORD)]
    return page(records, call.query, f"{call.base_url}{zone}/ALL")


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=ZONE,
            api_versions=_VERSIONS,
            name=NameRule(
                rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL}){{1,33}}",
                "The domain name '{name}' is invalid. A private zone has 2 to 34 labels of letters, digits, hyphens "
                "and underscores, separated by periods.",
                "BadRequest",
            ),
            tracked=True,
            locations=_ANYWHERE,
            complete=_complete_zone,
            check_delete=_check_zone_unused,
            render=_render_zone,
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type=LINK,
            api_versions=_VERSIONS,
            name=NameRule(
                r"[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?",
                "The virtual network link name '{name}' is invalid: use 1 to 80 letters, digits, periods, hyphens and "
                "underscores.",
            ),
            tracked=True,
            locations=_ANYWHERE,
            required=("properties.virtualNetwork.id",),
            immutable=("properties.virtualNetwork.id",),
            complete=_complete_link,
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type=ADDRESS_RECORD,
            api_versions=_VERSIONS,
            complete=_complete_record,
            provisioning_state=False,
        ),
    )
    ctx.types.register_routes(
        ProviderRoute(
            method="GET",
            template=f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{ZONE}/{{zone}}/ALL",
            permission=f"{ZONE}/ALL/read",
            handler=_all_records,
            api_versions=_VERSIONS,
        )
    )
