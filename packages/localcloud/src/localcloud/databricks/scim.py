"""/api/2.0/preview/scim/v2: Me, ServicePrincipals, Users and Groups of a workspace (RFC 7644 as Databricks has it)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localcloud.core.json import Json
from localcloud.databricks import access
from localcloud.databricks.errors import ScimError
from localcloud.databricks.request import Call
from localcloud.databricks.store import Documents

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:"
_BUILT_IN_GROUPS = ("admins", "users")


def me(call: Call) -> Json:
    document = _require_principal(call, call.caller.id)
    return _principal(document) | {"userName": document["applicationId"]}


def create_principal(call: Call) -> Json:
    call.require_admin("add service principals")
    application_id = str(call.parameters.get("applicationId") or "")
    if _GUID.fullmatch(application_id) is None:
        raise ScimError(
            400, f"applicationId must be the client id of an Entra application, a GUID, got {application_id!r}."
        )
    if access.find_principal(call.documents, application_id) is not None:
        raise ScimError(409, f"Service principal with application ID {application_id} already exists.", "uniqueness")
    name = str(call.parameters.get("displayName") or application_id)
    document = access.new_principal(call.documents, application_id, name)
    _apply(call.documents, document, call.parameters)
    if not call.parameters.get("entitlements"):
        document["entitlements"] = ["databricks-sql-access", "workspace-access"]  # what the "users" group grants
    return _principal(_save(call.documents, document))


def get_principal(call: Call) -> Json:
    return _principal(_require_principal(call, call.path["id"]))


def list_principals(call: Call) -> Json:
    return _listed(call, [_principal(item) for item in call.documents.all("principal")])


def replace_principal(call: Call) -> Json:
    call.require_admin("change service principals")
    document = _require_principal(call, call.path["id"])
    changed = call.parameters.get("applicationId")
    if changed and changed.lower() != document["applicationId"].lower():
        raise ScimError(400, f"applicationId of service principal {document['id']} cannot be changed.", "mutability")
    document |= {"entitlements": [], "active": True}
    _apply(call.documents, document, call.parameters)
    return _principal(_save(call.documents, document))


def patch_principal(call: Call) -> Json:
    call.require_admin("change service principals")
    document = _require_principal(call, call.path["id"])
    for operation in call.parameters.get("Operations") or []:
        _patch(call.documents, document, operation)
    return _principal(_save(call.documents, document))


def delete_principal(call: Call) -> Json:
    call.require_admin("remove service principals")
    document = _require_principal(call, call.path["id"])
    call.documents.delete("principal", document["id"])
    _forget(call.documents, f"service_principal_name:{document['applicationId']}")
    return {}


def create_user(call: Call) -> Json:
    call.require_admin("add users")
    name = call.text("userName")
    if any(user["userName"].lower() == name.lower() for user in call.documents.all("user")):
        raise ScimError(409, f"User with username {name} already exists.", "uniqueness")
    user: Json = {
        "schemas": [_SCHEMA + "User"],
        "id": str(call.documents.next_id()),
        "userName": name,
        "displayName": call.parameters.get("displayName") or name,
        "active": call.parameters.get("active", True),
        "entitlements": call.parameters.get("entitlements") or [],
        "emails": [{"type": "work", "value": name, "primary": True}],
    }
    call.documents.put("user", user["id"], user)
    return user


def get_user(call: Call) -> Json:
    user = call.documents.get("user", call.path["id"])
    if user is None:
        raise ScimError(404, f"User with id {call.path['id']} not found.")
    return user


def list_users(call: Call) -> Json:
    return _listed(call, call.documents.all("user"))


def delete_user(call: Call) -> Json:
    call.require_admin("remove users")
    user = get_user(call)
    call.documents.delete("user", user["id"])
    _forget(call.documents, f"user_name:{user['userName']}")
    return {}


def list_groups(call: Call) -> Json:
    return _listed(call, [_group(call.documents, item) for item in _groups(call.documents)])


def get_group(call: Call) -> Json:
    return _group(call.documents, _require_group(call))


def create_group(call: Call) -> Json:
    call.require_admin("add groups")
    name = call.text("displayName")
    if any(group["displayName"] == name for group in _groups(call.documents)):
        raise ScimError(409, f"Group with name {name} already exists.", "uniqueness")
    group: Json = {"id": str(call.documents.next_id()), "displayName": name}
    call.documents.put("group", group["id"], group)
    for member in call.parameters.get("members") or []:
        _join(call.documents, str(member["value"]), name, joined=True)
    return _group(call.documents, group)


def patch_group(call: Call) -> Json:
    """Members only: add and remove."""
    call.require_admin("change groups")
    group = _require_group(call)
    for operation in call.parameters.get("Operations") or []:
        path = str(operation.get("path") or "members")
        in_path = re.fullmatch(r'members\[value eq "([^"]+)"\]', path)
        value = operation.get("value") or []
        members = value.get("members", []) if isinstance(value, dict) else value
        ids = [in_path.group(1)] if in_path else [str(member["value"]) for member in members]
        for id_ in ids:
            _join(call.documents, id_, group["displayName"], joined=str(operation.get("op")).lower() != "remove")
    return _group(call.documents, group)


def delete_group(call: Call) -> Json:
    call.require_admin("remove groups")
    group = _require_group(call)
    if group["displayName"] in _BUILT_IN_GROUPS:
        raise ScimError(400, f"Group {group['displayName']} cannot be deleted.")
    for document in call.documents.all("principal"):
        _join(call.documents, document["id"], group["displayName"], joined=False)
    call.documents.delete("group", group["id"])
    _forget(call.documents, f"group_name:{group['displayName']}")
    return {}


def _require_principal(call: Call, id_: str) -> Json:
    document = call.documents.get("principal", id_)
    if document is None:
        raise ScimError(404, f"Service principal with id {id_} not found.")
    return document


def _save(documents: Documents, document: Json) -> Json:
    documents.put("principal", document["id"], document)
    return document


def _apply(documents: Documents, document: Json, body: Json) -> None:
    if "displayName" in body:
        document["displayName"] = body["displayName"]
    if "active" in body:
        document["active"] = bool(body["active"])
    if body.get("externalId"):
        document["externalId"] = body["externalId"]
    if "entitlements" in body:
        document["entitlements"] = _values(body["entitlements"])
    if "roles" in body:
        document["roles"] = _values(body["roles"])
    if body.get("groups"):
        names = {group["id"]: group["displayName"] for group in _groups(documents)}
        document["groups"] = sorted({*document["groups"], *(names[v] for v in _values(body["groups"]) if v in names)})
    unknown = [value for value in document["entitlements"] if value not in access.ENTITLEMENTS]
    if unknown:
        raise ScimError(
            400, f"Unknown entitlement {unknown[0]}; known are {', '.join(access.ENTITLEMENTS)}.", "invalidValue"
        )


def _patch(documents: Documents, document: Json, operation: Json) -> None:
    action, path, value = str(operation.get("op", "")).lower(), operation.get("path"), operation.get("value")
    if action not in ("add", "remove", "replace"):
        raise ScimError(400, f"op must be add, remove or replace, got {operation.get('op')!r}.", "invalidSyntax")
    if path is None and isinstance(value, dict):
        for key, each in value.items():
            _patch(documents, document, {"op": action, "path": key, "value": each})
        return
    selected = re.fullmatch(r'(entitlements|roles|groups)(?:\[value eq "([^"]+)"\])?', str(path))
    if selected is None:
        if path in ("displayName", "active", "externalId") and action != "remove":
            _apply(documents, document, {str(path): value})
            return
        raise ScimError(400, f"Path {path} is not supported for {action}.", "invalidPath")
    field, filtered = selected.groups()
    if field == "groups":
        raise ScimError(400, "Groups of a service principal are changed through the group's members.", "mutability")
    given = [filtered] if filtered else _values(value)
    held = list(document[field])
    if action == "add":
        held += [each for each in given if each not in held]
    elif action == "replace":
        held = given
    else:
        held = [each for each in held if given and each not in given]
    _apply(documents, document, {field: held})


def _values(items: Any) -> list[str]:
    return [str(item["value"]) if isinstance(item, dict) else str(item) for item in items or []]


def _principal(document: Json) -> Json:
    body: Json = {
        "schemas": [_SCHEMA + "ServicePrincipal"],
        "id": document["id"],
        "applicationId": document["applicationId"],
        "displayName": document["displayName"],
        "active": document["active"],
        "entitlements": [{"value": value} for value in document["entitlements"]],
        "roles": [{"value": value} for value in document["roles"]],
        "groups": [{"display": name, "value": name, "type": "direct"} for name in document["groups"]],
    }
    if "externalId" in document:
        body["externalId"] = document["externalId"]
    return body


def _groups(documents: Documents) -> list[Json]:
    groups = documents.all("group")
    present = {group["displayName"] for group in groups}
    for name in _BUILT_IN_GROUPS:
        if name not in present:
            group: Json = {"id": str(documents.next_id()), "displayName": name}
            documents.put("group", group["id"], group)
            groups.append(group)
    return groups


def _require_group(call: Call) -> Json:
    for group in _groups(call.documents):
        if group["id"] == call.path["id"]:
            return group
    raise ScimError(404, f"Group with id {call.path['id']} not found.")


def _group(documents: Documents, group: Json) -> Json:
    members = [
        {"value": document["id"], "display": document["displayName"], "$ref": f"ServicePrincipals/{document['id']}"}
        for document in documents.all("principal")
        if group["displayName"] == "users" or group["displayName"] in document["groups"]
    ]
    return {"schemas": [_SCHEMA + "Group"], **group, "members": members, "meta": {"resourceType": "WorkspaceGroup"}}


def _join(documents: Documents, principal_id: str, group: str, *, joined: bool) -> None:
    document = documents.get("principal", principal_id)
    if document is None:
        raise ScimError(404, f"Member {principal_id} not found: service principals of this workspace can be members.")
    names = {*document["groups"], group} if joined else {*document["groups"]} - {group}
    documents.put("principal", principal_id, document | {"groups": sorted(names)})


def _forget(documents: Documents, name: str) -> None:
    """A principal that is gone is in no access control list."""
    rows = documents.database.query(
        "SELECT key FROM databricks_documents WHERE workspace = ? AND kind = 'acl'", (documents.workspace,)
    )
    for row in rows:
        acl = documents.get("acl", row["key"])
        if acl is not None and name in acl["levels"]:
            del acl["levels"][name]
            documents.put("acl", row["key"], acl)


def _listed(call: Call, items: list[Json]) -> Json:
    """`filter` has "attribute eq value" and its like; startIndex and count page."""
    matches = _filter(call.optional_text("filter"))
    found = [item for item in items if matches(item)]
    start = max(call.number("startIndex", 1), 1)
    page = found[start - 1 : start - 1 + call.number("count", 100)]
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(found),
        "startIndex": start,
        "itemsPerPage": len(page),
        "Resources": page,
    }


def _filter(text: str | None) -> Callable[[Json], bool]:
    if text is None:
        return lambda item: True
    match = re.fullmatch(r"""\s*([\w.]+)\s+(eq|ne|co|sw)\s+(["']?)(.*?)\3\s*""", text, re.IGNORECASE)
    if match is None:
        raise ScimError(400, f"Filter {text} is not understood: use ATTRIBUTE eq|ne|co|sw VALUE.", "invalidFilter")
    name, operator, wanted = match.group(1).lower(), match.group(2).lower(), match.group(4).lower()

    def matches(item: Json) -> bool:
        value = next((str(v).lower() for k, v in item.items() if k.lower() == name), "")
        return {
            "eq": value == wanted, "ne": value != wanted, "co": wanted in value, "sw": value.startswith(wanted),
        }[operator]  # fmt: skip

    return matches
