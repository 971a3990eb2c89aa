"""Microsoft.Network/privateEndpoints/privateDnsZoneGroups: the endpoint's records in private DNS zones."""

from __future__ import annotations

from localcloud.arm.resource_types import Call, ResourceType
from localcloud.arm.types.network_common import NAME, bad_request, reference, since
from localcloud.arm.types.private_dns import ADDRESS_RECORD, ZONE
from localcloud.arm.types.private_endpoints import address_of, host_names
from localcloud.arm.types.virtual_networks import PRIVATE_ENDPOINT
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource

ZONE_GROUP = f"{PRIVATE_ENDPOINT}/privateDnsZoneGroups"
_RECORD_SECONDS = 10


def _complete_group(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    configs = resource.properties.get("privateDnsZoneConfigs") or []
    endpoint = ctx.resources.get(resource.id.rsplit("/", 2)[0])
    if not configs or endpoint is None:
        raise bad_request("InvalidRequestFormat", f"The zone group {resource.id} has no privateDnsZoneConfigs.")
    others = [
        other for other in ctx.resources.children(endpoint.id, ZONE_GROUP) if other.id.lower() != resource.id.lower()
    ]
    if others:
        raise bad_request(
            "PrivateDnsZoneGroupLimitExceeded",
            f"Private endpoint {endpoint.id} has the private DNS zone group {others[0].name} already: one is allowed.",
        )
    result = []
    for config in configs:
        settings = config.get("properties") or {}
        zone = reference(ctx, resource, {"id": settings.get("privateDnsZoneId")}, ZONE)
        if not config.get("name") or zone is None:
            raise bad_request(
                "InvalidRequestFormat",
                f"A configuration of zone group {resource.id} has no name or no privateDnsZoneId.",
            )
        result.append(
            {
                "name": config["name"],
                "id": f"{resource.id}/privateDnsZoneConfigs/{config['name']}",
                "type": f"{ZONE_GROUP}/privateDnsZoneConfigs",
                "properties": {
                    "provisioningState": "Succeeded",
                    "privateDnsZoneId": zone.id,
                    "recordSets": _record_sets(ctx, endpoint, zone),
                },
            }
        )
    resource.properties["privateDnsZoneConfigs"] = result
    resource.system_data = None


def _record_sets(ctx: Context, endpoint: Resource, zone: Resource) -> list[Json]:
    """Return a record for each of the target's names in this zone."""
    suffix = zone.name.lower().removeprefix("privatelink.").replace("vaultcore.azure.net", "vault.azure.net")
    return [
        {
            "recordType": "A",
            "recordSetName": name.removesuffix(f".{suffix}"),
            "fqdn": f"{name.removesuffix(f'.{suffix}')}.{zone.name}",
            "ttl": _RECORD_SECONDS,
            "ipAddresses": [address_of(ctx, endpoint)],
            "provisioningState": "Succeeded",
        }
        for name in host_names(ctx, endpoint)
        if name.endswith(f".{suffix}")
    ]


async def _put_group(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    if existing is not None:
        _drop_records(ctx, existing)
    for config in resource.properties["privateDnsZoneConfigs"]:
        zone = config["properties"]["privateDnsZoneId"]
        for record in config["properties"]["recordSets"]:
            name = record["recordSetName"]
            ctx.resources.put(
                Resource(
                    id=f"{zone}/A/{name}",
                    type=ADDRESS_RECORD,
                    name=name,
                    properties={
                        "fqdn": f"{record['fqdn']}.",
                        "ttl": record["ttl"],
                        "isAutoRegistered": False,
                        "aRecords": [{"ipv4Address": address} for address in record["ipAddresses"]],
                        "metadata": {"creator": f"created by private endpoint {resource.id.split('/')[8]}"},
                    },
                )
            )


async def _delete_group(ctx: Context, resource: Resource, call: Call) -> None:
    _drop_records(ctx, resource)


def _drop_records(ctx: Context, group: Resource) -> None:
    for config in group.properties["privateDnsZoneConfigs"]:
        for record in config["properties"]["recordSets"]:
            ctx.resources.delete(f"{config['properties']['privateDnsZoneId']}/A/{record['recordSetName']}")


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=ZONE_GROUP,
            api_versions=since("2020-03-01"),
            name=NAME,
            complete=_complete_group,
            on_put=_put_group,
            on_delete=_delete_group,
            long_running=frozenset({"put", "delete"}),
        )
    )
