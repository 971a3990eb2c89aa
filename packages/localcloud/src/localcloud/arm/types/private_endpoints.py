"""Microsoft.Network/privateEndpoints, and the connections that their targets show."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from localcloud.arm import ids, resource_types, rules
from localcloud.arm.exclusive import parent_of
from localcloud.arm.private_link import CONNECTIONS, SUB_RESOURCES
from localcloud.arm.resource_types import Call, ProviderRoute, ResourceType
from localcloud.arm.types import addresses
from localcloud.arm.types.network_common import NAME, bad_request, etag, reference, since
from localcloud.arm.types.virtual_networks import (
    NETWORK_INTERFACE,
    PRIVATE_ENDPOINT,
    SUBNET,
    network_of,
    prefixes_of,
    services_of,
)
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_ZONE_GROUP = f"{PRIVATE_ENDPOINT}/privateDnsZoneGroups"
_LISTS = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check its connection to an existing target with one of its group ids, and its subnet, which has no delegation."""
    properties = resource.properties
    subnet = reference(ctx, resource, properties.get("subnet"), SUBNET)
    if subnet is None:
        raise bad_request("InvalidRequestFormat", f"Private endpoint {resource.name} names no subnet.")
    network = network_of(ctx, subnet.id)
    if network is None or network.location != resource.location:
        raise bad_request(
            "InvalidResourceReference",
            f"Resource {subnet.id} referenced by resource {resource.id} was not found. Please make sure that the "
            "referenced resource exists, and that both resources are in the same region.",
        )
    if services_of(subnet):
        raise bad_request(
            "PrivateEndpointCreationNotAllowedAsSubnetIsDelegated",
            f"Private endpoint {resource.id} cannot be created in subnet {subnet.id}, because the subnet is delegated "
            f"to {services_of(subnet)[0]}.",
        )
    connections = [(name, entry) for name in _LISTS for entry in properties.get(name) or []]
    if len(connections) != 1:
        raise bad_request(
            "InvalidRequestFormat",
            f"Private endpoint {resource.name} has {len(connections)} private link service connections: give one.",
        )
    kind, connection = connections[0]
    checked = _connection(ctx, resource, kind, connection)
    if existing is not None:
        before = _own_connection(existing)["properties"]
        for key in ("privateLinkServiceId", "groupIds"):
            if before[key] != checked["properties"][key]:
                raise bad_request(
                    "PrivateEndpointConnectionCannotBeChanged",
                    f"{key} of private endpoint {resource.id} cannot be changed from {before[key]} to "
                    f"{checked['properties'][key]}.",
                )
    for name in _LISTS:
        properties[name] = [checked] if name == kind else []
    kept = existing.properties if existing is not None else {}
    nic = properties.get("customNetworkInterfaceName") or f"{resource.name}.nic.{uuid.uuid4()}"
    group = resource.id.rsplit("/providers/", 1)[0]
    properties["subnet"] = {"id": subnet.id}
    properties["resourceGuid"] = kept.get("resourceGuid") or str(uuid.uuid4())
    properties["networkInterfaces"] = kept.get("networkInterfaces") or [
        {"id": f"{group}/providers/{NETWORK_INTERFACE}/{nic}"}
    ]
    properties.setdefault("customNetworkInterfaceName", "")
    properties.setdefault("ipConfigurations", [])
    properties.pop("customDnsConfigs", None)
    resource.system_data = None


def _connection(ctx: Context, endpoint: Resource, kind: str, requested: Json) -> Json:
    properties = dict(requested.get("properties") or {})
    id_ = f"{endpoint.id}/{kind}/{requested.get('name')}"
    if not requested.get("name"):
        raise bad_request("InvalidRequestFormat", "Cannot parse the request: a connection has no name.")
    target = ctx.resources.get(str(properties.get("privateLinkServiceId") or ""))
    if target is None or target.type.lower() not in SUB_RESOURCES:
        raise bad_request(
            "InvalidResourceReference",
            f"Resource {properties.get('privateLinkServiceId')} referenced by resource {id_} was not found, or has no "
            "private link.",
        )
    groups = properties.get("groupIds") or []
    allowed = [sub_resource.group for sub_resource in SUB_RESOURCES[target.type.lower()]]
    if not groups:
        raise bad_request(
            "MissingParameterOnPrivateLinkServiceConnection",
            f"Private link service connection {id_} is missing required parameter 'group Id'.",
        )
    if len(groups) > 1:
        raise bad_request(
            "OnlyOneGroupIdPermitted", f"Private link service connection {id_} has {len(groups)} group Ids: give one."
        )
    if groups[0] not in allowed:
        raise bad_request(
            "BadRequest",
            f"Call to {target.type} failed. Error message: Invalid groupId '{groups[0]}': use one of "
            f"{', '.join(allowed)}.",
        )
    return {
        "name": requested["name"],
        "id": id_,
        "properties": {
            "provisioningState": "Succeeded",
            "privateLinkServiceId": target.id,
            "groupIds": groups,
            "requestMessage": properties.get("requestMessage", ""),
        },
        "type": f"{PRIVATE_ENDPOINT}/{kind}",
    }


def _target(ctx: Context, endpoint: Resource) -> Resource | None:
    return ctx.resources.get(_own_connection(endpoint)["properties"]["privateLinkServiceId"])


def _own_connection(endpoint: Resource) -> Json:
    connection: Json = next(entry for name in _LISTS for entry in endpoint.properties.get(name) or [])
    return connection


async def _put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Make the network interface and the target's connection, approved at once for a caller who may approve it."""
    if existing is not None and _target_connection(ctx, existing) is not None:
        return
    connection = _own_connection(resource)
    target = ctx.resources.get(connection["properties"]["privateLinkServiceId"])
    if target is None:
        raise ServiceError(404, "ResourceNotFound", f"The target of {resource.id} was deleted meanwhile.")
    automatic = bool(resource.properties[_LISTS[0]])
    approval = f"{target.type}/PrivateEndpointConnectionsApproval/action"
    if automatic and not ctx.authorizer.allows(call.principal, approval, target.id):
        raise ServiceError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}' has permission to "
            f"perform action '{PRIVATE_ENDPOINT}/write' on scope '{resource.id}'; however, it does not have permission "
            f"to perform action(s) 'PrivateEndpointConnectionsApproval/action' on the linked scope(s) '{target.id}'.",
        )
    subnet = ctx.resources.get(resource.properties["subnet"]["id"])
    if subnet is None:
        raise ServiceError(404, "ResourceNotFound", f"The subnet of {resource.id} was deleted meanwhile.")
    ctx.resources.put(_interface(ctx, resource, subnet))
    name = f"{resource.name}.{resource.properties['resourceGuid']}"
    status = {"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}
    if not automatic:
        message = connection["properties"]["requestMessage"]
        status = {"status": "Pending", "description": message, "actionsRequired": "None"}
    ctx.resources.put(
        Resource(
            id=f"{target.id}/{CONNECTIONS}/{name}",
            type=f"{target.type}/{CONNECTIONS}",
            name=name,
            properties={
                "provisioningState": "Succeeded",
                "privateEndpoint": {"id": resource.id},
                "groupIds": connection["properties"]["groupIds"],
                "privateLinkServiceConnectionState": status,
            },
        )
    )


def _interface(ctx: Context, endpoint: Resource, subnet: Resource) -> Resource:
    id_ = endpoint.properties["networkInterfaces"][0]["id"]
    used = {
        configuration["properties"]["privateIPAddress"]
        for nic in ctx.resources.list(NETWORK_INTERFACE)
        for configuration in nic.properties["ipConfigurations"]
        if configuration["properties"]["subnet"]["id"].lower() == subnet.id.lower()
    }
    address = addresses.free_address(prefixes_of(subnet), used)
    if address is None:
        raise bad_request(
            "SubnetIsFull", f"Subnet {subnet.name} with address prefix {prefixes_of(subnet)[0]} does not have enough "
            "capacity for 1 IP addresses."
        )  # fmt: skip
    return Resource(
        id=id_,
        type=NETWORK_INTERFACE,
        name=id_.rsplit("/", 1)[-1],
        location=endpoint.location,
        tags=dict(endpoint.tags or {}),
        properties={
            "provisioningState": "Succeeded",
            "privateEndpoint": {"id": endpoint.id},
            "ipConfigurations": [
                {
                    "name": "privateEndpointIpConfig",
                    "id": f"{id_}/ipConfigurations/privateEndpointIpConfig",
                    "properties": {
                        "provisioningState": "Succeeded",
                        "privateIPAddress": address,
                        "privateIPAllocationMethod": "Dynamic",
                        "subnet": {"id": subnet.id},
                        "primary": True,
                    },
                }
            ],
        },
    )


def _target_connection(ctx: Context, endpoint: Resource) -> Resource | None:
    target = _own_connection(endpoint)["properties"]["privateLinkServiceId"]
    for child in ctx.resources.children(target):
        mine = (child.properties.get("privateEndpoint") or {}).get("id", "").lower() == endpoint.id.lower()
        if mine and child.type.endswith(f"/{CONNECTIONS}"):
            return child
    return None


def address_of(ctx: Context, endpoint: Resource) -> str:
    """Return the endpoint's private IP address."""
    nic = ctx.resources.get(endpoint.properties["networkInterfaces"][0]["id"])
    if nic is None:
        return ""
    address: str = nic.properties["ipConfigurations"][0]["properties"]["privateIPAddress"]
    return address


def host_names(ctx: Context, endpoint: Resource) -> list[str]:
    """Return the public names of the target's sub-resource."""
    properties = _own_connection(endpoint)["properties"]
    target = ctx.resources.get(properties["privateLinkServiceId"])
    if target is None:
        return []
    name, group = target.name.lower(), properties["groupIds"][0]
    if target.type.lower() == "microsoft.storage/storageaccounts":
        return [f"{name}.{group}.core.windows.net"]
    if target.type.lower() == "microsoft.keyvault/vaults":
        return [f"{name}.vault.azure.net"]
    if target.type.lower() == "microsoft.containerregistry/registries":
        return [f"{name}.azurecr.io", f"{name}.{target.location}.data.azurecr.io"]
    if target.type.lower() == "microsoft.databricks/workspaces":
        return [str(target.properties["workspaceUrl"])]
    number = str(target.properties.get("workspaceId", name))
    return [f"{number}.workspace.{target.location}.api.azureml.ms", f"ml-{name}-{target.location}.notebooks.azure.net"]


def _render(ctx: Context, resource: Resource) -> Json:
    body = resource.to_json()
    body["etag"] = etag(resource)
    connection = _target_connection(ctx, resource)
    state = {"status": "Disconnected", "description": "Deleted", "actionsRequired": "None"}
    if connection is not None:
        state = connection.properties["privateLinkServiceConnectionState"]
    for name in _LISTS:
        for linked in body["properties"][name]:
            linked["properties"]["privateLinkServiceConnectionState"] = state
    grouped = ctx.resources.children(resource.id, _ZONE_GROUP)
    body["properties"]["customDnsConfigs"] = (
        []
        if grouped
        else [{"fqdn": name, "ipAddresses": [address_of(ctx, resource)]} for name in host_names(ctx, resource)]
    )
    return body


async def _delete(ctx: Context, resource: Resource, call: Call) -> None:
    connection = _target_connection(ctx, resource)
    if connection is not None:
        ctx.resources.delete(connection.id)
    ctx.resources.delete(resource.properties["networkInterfaces"][0]["id"])


def _complete_connection(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Approve or reject: the endpoint's own side cannot be changed here."""
    state = resource.properties.get("privateLinkServiceConnectionState") or {}
    if existing is None:
        raise ServiceError(404, "PrivateEndpointConnectionNotFound", f"There is no connection '{resource.name}'.")
    if state.get("status") not in {"Approved", "Rejected"}:
        raise bad_request(
            "InvalidRequestContent",
            f"The connection status '{state.get('status')}' is not valid: use Approved or Rejected.",
        )
    resource.properties = existing.properties | {
        "privateLinkServiceConnectionState": {
            "status": state["status"],
            "description": state.get("description", ""),
            "actionsRequired": "None",
        }
    }
    resource.system_data = None


async def _link_resources(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """GET TARGET/privateLinkResources: the group ids that an endpoint may ask for."""
    target = ctx.resources.get(parameters["target"])
    if target is None or target.type.lower() not in SUB_RESOURCES:
        raise ServiceError(404, "ResourceNotFound", f"'{parameters['target']}' was not found, or has no private link.")
    rules.authorize(ctx, call.principal, f"{target.type}/privateLinkResources/read", target.id)
    return {
        "value": [
            {
                "id": f"{target.id}/privateLinkResources/{sub_resource.group}",
                "name": sub_resource.group,
                "type": f"{target.type}/privateLinkResources",
                "properties": {
                    "groupId": sub_resource.group,
                    "requiredMembers": [sub_resource.group],
                    "requiredZoneNames": list(sub_resource.zones),
                },
            }
            for sub_resource in SUB_RESOURCES[target.type.lower()]
        ]
    }


def register(ctx: Context) -> None:
    versions = since("2018-08-01")
    ctx.types.register(
        ResourceType(
            type=PRIVATE_ENDPOINT,
            api_versions=versions,
            name=NAME,
            tracked=True,
            required=("properties.subnet",),
            immutable=("properties.subnet.id", "properties.customNetworkInterfaceName"),
            complete=_complete,
            on_put=_put,
            on_delete=_delete,
            render=_render,
            locks=_target,
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type=NETWORK_INTERFACE,
            api_versions=versions,
            name=NAME,
            tracked=True,
            allow_put=False,
            patchable=False,
            check_delete=_check_interface_unused,
        ),
    )
    ctx.types.register_routes(
        ProviderRoute(
            method="GET", template="{target...}/privateLinkResources", permission=None, handler=_link_resources
        )
    )

    async def register_connections() -> None:
        """TARGET/privateEndpointConnections in the target's own versions, once all services have registered theirs."""
        for target in resource_types.of(ctx).all():
            type_ = f"{target.type}/{CONNECTIONS}"
            if target.type.lower() in SUB_RESOURCES and resource_types.of(ctx).get(type_) is None:
                ctx.types.register(
                    ResourceType(
                        type=type_,
                        api_versions=target.api_versions,
                        complete=_complete_connection,
                        locks=parent_of(1),
                        create_status=200,
                    )
                )

    ctx.on_start.append(register_connections)


def _check_interface_unused(ctx: Context, resource: Resource) -> None:
    endpoint = resource.properties["privateEndpoint"]["id"]
    if ids.parse(endpoint) is not None and ctx.resources.get(endpoint) is not None:
        raise bad_request(
            "NicInUseWithPrivateEndpoint",
            f"Network Interface {resource.id} is used by existing resource {endpoint}. In order to delete the network "
            "interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
        )
