"""Groups of a workspace. Their members are service principals."""

from __future__ import annotations

from typing import Any

from scim2_models import URN, Context, Entitlement, GroupMember, Meta, Reference, Resource, Role

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks import groups
from localcloud.databricks.errors import ScimError
from localcloud.databricks.request import Call
from localcloud.databricks.scim import messages


class Group(Resource[Any]):
    """A workspace-local group (docs.databricks.com/api/workspace/groups)."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: str | None = None
    members: list[GroupMember] | None = None
    entitlements: list[Entitlement] | None = None
    roles: list[Role] | None = None


def list_(call: Call) -> Json:
    """Return the groups that match the filter."""
    resources = [_resource(call, document) for document in groups.all_groups(call.documents)]
    return messages.listed(call, Group, resources)


def get(call: Call) -> Json:
    """Return one group with its members."""
    return messages.rendered(call, _resource(call, _document(call)))


def create(call: Call) -> Json:
    """Add a group. Raises ScimError 409 for a used name, 404 for members that the workspace does not have."""
    call.require_admin("add groups")
    group = messages.body(call, Group, Context.RESOURCE_CREATION_REQUEST)
    name = call.text("displayName")
    if any(other["displayName"] == name for other in groups.all_groups(call.documents)):
        raise ScimError(409, f"Group with name {name} already exists.")
    document: Json = {"id": str(call.documents.next_id()), "displayName": name}
    return _saved(call, document, group, members=[])


def patch(call: Call) -> Json:
    """Add and remove members, entitlements and roles."""
    call.require_admin("change groups")
    document = _document(call)
    group = _resource(call, document)
    members = messages.values(group.members)
    messages.patch(call, group)
    if group.display_name != document["displayName"]:
        raise not_emulated("another displayName of a group")
    return _saved(call, document, group, members=members)


def delete(call: Call) -> Json:
    """Delete a group, and remove its members."""
    call.require_admin("remove groups")
    document = _document(call)
    if document["displayName"] in groups.BUILT_IN:
        raise ScimError(400, f"Group {document['displayName']} cannot be deleted.")
    for principal in groups.members(call.documents, document):
        groups.set_member(call.documents, principal, document["displayName"], member=False)
    call.documents.delete("group", document["id"])
    messages.forget(call.documents, f"group_name:{document['displayName']}")
    return {}


def _document(call: Call) -> Json:
    for document in groups.all_groups(call.documents):
        if document["id"] == call.path["id"]:
            return document
    raise ScimError(404, f"Group with id {call.path['id']} not found.")


def _saved(call: Call, document: Json, group: Group, *, members: list[str]) -> Json:
    """Store the group, with the changes from `members` to the group's. Raises ScimError before anything is stored."""
    fields: Json = {
        "entitlements": messages.checked_entitlements(group.entitlements), "roles": messages.values(group.roles),
    }  # fmt: skip
    member_ids = messages.values(group.members)
    changed = {id_: id_ in member_ids for id_ in {*members, *member_ids} if (id_ in members) != (id_ in member_ids)}
    principals = {id_: call.documents.get("principal", id_) for id_ in changed}
    document = document | fields
    with call.documents.database.transaction():
        for id_, principal in principals.items():
            if principal is None:
                raise _no_principal(call, id_)
            groups.set_member(call.documents, principal, document["displayName"], member=changed[id_])
        call.documents.put("group", document["id"], document)
    return messages.rendered(call, _resource(call, document))


def _no_principal(call: Call, id_: str) -> Exception:
    """Return the refusal of a member: 501 for a user or group, which Databricks accepts, 404 for an unknown id."""
    for kind in ("user", "group"):
        if call.documents.get(kind, id_) is not None:
            return not_emulated(f"a {kind} as a member of a group: members are service principals")
    return ScimError(404, f"Member {id_} not found: service principals of this workspace can be members.")


def _resource(call: Call, document: Json) -> Group:
    return Group(
        id=document["id"],
        meta=Meta(resource_type="WorkspaceGroup"),
        display_name=document["displayName"],
        members=[
            GroupMember(
                value=principal["id"],
                display=principal["displayName"],
                ref=Reference(f"ServicePrincipals/{principal['id']}"),
                type=None,
            )
            for principal in groups.members(call.documents, document)
        ],
        entitlements=[Entitlement(value=value) for value in document.get("entitlements") or ()],
        roles=[Role(value=value) for value in document.get("roles") or ()],
    )
