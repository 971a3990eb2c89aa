"""Service principals of a workspace, and Me: the caller's."""

from __future__ import annotations

import re
from typing import Annotated, Any

from scim2_models import (
    URN,
    Context,
    Entitlement,
    GroupMembership,
    Mutability,
    Reference,
    Resource,
    Returned,
    Role,
    Uniqueness,
)  # fmt: skip

from localcloud.core.json import Json
from localcloud.databricks import access, groups
from localcloud.databricks.errors import ScimError
from localcloud.databricks.request import Call
from localcloud.databricks.scim import messages

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Membership(GroupMembership):
    """A group of a principal.

    Databricks accepts it in bodies: the vendor's provider sends back the groups that it read.
    """

    value: str | None = None


class ServicePrincipal(Resource[Any]):
    """A service principal (docs.databricks.com/api/workspace/serviceprincipals).

    The vendor's provider reads `applicationId` from answers for which it names other attributes.
    """

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal")

    application_id: Annotated[str | None, Mutability.immutable, Returned.always, Uniqueness.server] = None
    display_name: str | None = None
    active: bool | None = None
    entitlements: list[Entitlement] | None = None
    roles: list[Role] | None = None
    groups: list[Membership] | None = None


def me(call: Call) -> Json:
    """Return the caller; its user name is its application id."""
    document = _document(call, call.caller.id)
    return messages.rendered(call, _resource(call, document)) | {"userName": document["applicationId"]}


def create(call: Call) -> Json:
    """Add a service principal. Raises ScimError 409 when the workspace has it."""
    call.require_admin("add service principals")
    body = messages.body(call, ServicePrincipal, Context.RESOURCE_CREATION_REQUEST)
    application_id = body.application_id or ""
    if _GUID.fullmatch(application_id) is None:
        raise ScimError(
            400, f"applicationId must be the client id of an Entra application, a GUID, got {application_id!r}."
        )
    if access.find_principal(call.documents, application_id) is not None:
        raise ScimError(409, f"Service principal with application ID {application_id} already exists.")
    fields = _fields(call, body)
    with call.documents.database.transaction():
        document = access.new_principal(call.documents, application_id, body.display_name or application_id)
        return _saved(call, document | fields)


def get(call: Call) -> Json:
    """Return one service principal."""
    return messages.rendered(call, _resource(call, _document(call, call.path["id"])))


def list_(call: Call) -> Json:
    """Return the service principals that match the filter."""
    return messages.listed(
        call, ServicePrincipal, [_resource(call, document) for document in call.documents.all("principal")]
    )


def replace(call: Call) -> Json:
    """Replace all attributes: missing ones are cleared."""
    call.require_admin("change service principals")
    document = _document(call, call.path["id"])
    body = messages.body(call, ServicePrincipal, Context.RESOURCE_REPLACEMENT_REQUEST)
    application_id = body.application_id
    if application_id and application_id.lower() != document["applicationId"].lower():
        raise ScimError(400, f"applicationId of service principal {document['id']} cannot be changed.", "mutability")
    return _saved(call, _without_external_id(document) | {"active": True} | _fields(call, body))


def patch(call: Call) -> Json:
    """Apply operations to one service principal."""
    call.require_admin("change service principals")
    document = _document(call, call.path["id"])
    resource = _resource(call, document)
    memberships = messages.values(resource.groups)
    messages.patch(call, resource)
    if messages.values(resource.groups) != memberships:
        raise ScimError(400, "Groups of a service principal are changed through the group's members.", "mutability")
    return _saved(call, _without_external_id(document) | _fields(call, resource))


def delete(call: Call) -> Json:
    """Remove a service principal from the workspace and from every access control list."""
    call.require_admin("remove service principals")
    document = _document(call, call.path["id"])
    call.documents.delete("principal", document["id"])
    messages.forget(call.documents, f"service_principal_name:{document['applicationId']}")
    return {}


def _document(call: Call, id_: str) -> Json:
    document = call.documents.get("principal", id_)
    if document is None:
        raise ScimError(404, f"Service principal with id {id_} not found.")
    return document


def _saved(call: Call, document: Json) -> Json:
    call.documents.put("principal", document["id"], document)
    return messages.rendered(call, _resource(call, document))


def _without_external_id(document: Json) -> Json:
    return {key: value for key, value in document.items() if key != "externalId"}


def _fields(call: Call, resource: ServicePrincipal) -> Json:
    """Return the stored form of the attributes that the resource has. Raises ScimError for unknown entitlements."""
    names = {group["id"]: group["displayName"] for group in groups.all_groups(call.documents)}
    memberships = {names[value] for value in messages.values(resource.groups) if value in names} - {"users"}
    fields: Json = {
        "displayName": resource.display_name,
        "active": resource.active,
        "externalId": resource.external_id,
        "entitlements": messages.checked_entitlements(resource.entitlements),
        "roles": messages.values(resource.roles),
        "groups": sorted(memberships),
    }
    return {key: value for key, value in fields.items() if value is not None}


def _resource(call: Call, document: Json) -> ServicePrincipal:
    ids = {group["displayName"]: group["id"] for group in groups.all_groups(call.documents)}
    memberships = [
        Membership(value=ids[name], display=name, type="direct", ref=Reference(f"Groups/{ids[name]}"))
        for name in document["groups"]
        if name in ids
    ]
    return ServicePrincipal(
        id=document["id"],
        external_id=document.get("externalId"),
        application_id=document["applicationId"],
        display_name=document["displayName"],
        active=document["active"],
        entitlements=[Entitlement(value=value) for value in document["entitlements"]],
        roles=[Role(value=value) for value in document["roles"]],
        groups=memberships,
    )
