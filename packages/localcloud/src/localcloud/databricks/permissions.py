"""Access control lists of pools, policies, notebooks, folders, jobs and clusters, and the checks against them.

An ACL is {principal key: level}, principal keys being "service_principal_name:…", "user_name:…" or "group_name:…".
Workspace admins can manage everything. Notebooks, files and folders inherit from the folders above them.
Source: docs.databricks.com "Access control lists" and the Permissions API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors, groups, workspace_objects
from localcloud.databricks.access import find_principal
from localcloud.databricks.request import Call, Caller
from localcloud.databricks.store import Documents

PRINCIPAL_FIELDS = ("service_principal_name", "user_name", "group_name")


@dataclass(frozen=True)
class Securable:
    """A type of object: its noun, its levels from weakest to strongest, and the kind of its documents."""

    noun: str
    levels: Mapping[str, str]
    kind: str


_WORKSPACE_LEVELS = {
    "CAN_READ": "Can view", "CAN_RUN": "Can view and run", "CAN_EDIT": "Can view, run and edit",
    "CAN_MANAGE": "Can view, run, edit and change permissions",
}  # fmt: skip
SECURABLES: Mapping[str, Securable] = {
    "instance-pools": Securable(
        "instance pool", {"CAN_ATTACH_TO": "Can attach to the pool", "CAN_MANAGE": "Can manage the pool"}, "pool"
    ),
    "cluster-policies": Securable("cluster policy", {"CAN_USE": "Can use the policy"}, "policy"),
    "notebooks": Securable("notebook", _WORKSPACE_LEVELS, "object"),
    "directories": Securable("folder", _WORKSPACE_LEVELS, "object"),
    "files": Securable("file", _WORKSPACE_LEVELS, "object"),
    "jobs": Securable(
        "job",
        {"CAN_VIEW": "Can view", "CAN_MANAGE_RUN": "Can view and run", "CAN_MANAGE": "Can manage", "IS_OWNER": "Owner"},
        "job",
    ),
}


def read_acl(documents: Documents, type_: str, id_: str) -> dict[str, str]:
    return dict((documents.get("acl", f"{type_}/{id_}") or {}).get("levels", {}))


def write_acl(documents: Documents, type_: str, id_: str, levels: Mapping[str, str]) -> None:
    documents.put("acl", f"{type_}/{id_}", {"levels": dict(levels)})


def delete_acl(documents: Documents, type_: str, id_: str) -> None:
    documents.delete("acl", f"{type_}/{id_}")


def allows(documents: Documents, caller: Caller, type_: str, id_: str, level: str) -> bool:
    """Whether the caller holds `level` or a stronger one, directly, by group, as admin, or from a folder above."""
    if caller.is_admin:
        return True
    order = list(SECURABLES[type_].levels)
    index = order.index(level)
    names = caller.names()
    for owner_type, owner_id in _chain(documents, type_, id_):
        for name, held in read_acl(documents, owner_type, owner_id).items():
            if name in names and order.index(held) >= index:
                return True
    return False


def require(documents: Documents, caller: Caller, type_: str, id_: str, level: str, object_: str) -> None:
    """Raise PERMISSION_DENIED that names the caller, the level and the object."""
    if not allows(documents, caller, type_, id_, level):
        raise errors.permission_denied(
            f"{caller.name} does not have {level} permission on {object_}."
            " Please contact the owner or an administrator for access."
        )


def readable(documents: Documents, caller: Caller) -> Callable[[Json], bool]:
    """Return a test for CAN_READ on objects of the workspace tree that checks each folder once."""
    known: dict[str, bool] = {}

    def check(item: Json) -> bool:
        path = item["path"]
        if path not in known:
            own = read_acl(documents, workspace_objects.acl_type(item), str(item["object_id"]))
            above = workspace_objects.find(documents, workspace_objects.parent(path)) if path != "/" else None
            known[path] = caller.is_admin or bool(caller.names() & set(own)) or (above is not None and check(above))
        return known[path]

    return check


def levels(call: Call) -> Json:
    securable, _ = _target(call)
    return {
        "permission_levels": [
            {"permission_level": level, "description": text} for level, text in securable.levels.items()
        ]
    }


def get(call: Call) -> Json:
    securable, id_ = _target(call)
    if "CAN_MANAGE" in securable.levels and not allows(
        call.documents, call.caller, call.path["type"], id_, next(iter(securable.levels))
    ):
        raise errors.permission_denied(f"{call.caller.name} does not have permission to view this {securable.noun}.")
    return _render(call, securable, id_)


def set_(call: Call) -> Json:
    """Replace the list."""
    securable, id_ = _writable(call)
    write_acl(call.documents, call.path["type"], id_, _requested(call, securable))
    return _render(call, securable, id_)


def update(call: Call) -> Json:
    """Add or change entries; remove none."""
    securable, id_ = _writable(call)
    merged = read_acl(call.documents, call.path["type"], id_) | _requested(call, securable)
    write_acl(call.documents, call.path["type"], id_, merged)
    return _render(call, securable, id_)


def _chain(documents: Documents, type_: str, id_: str) -> list[tuple[str, str]]:
    """Return the object and the objects that it inherits from, nearest first."""
    if SECURABLES[type_].kind != "object":
        return [(type_, id_)]
    target = workspace_objects.by_id(documents, int(id_))
    if target is None:
        return []
    return [
        (workspace_objects.acl_type(item), str(item["object_id"]))
        for item in [target, *workspace_objects.ancestors(documents, target["path"])]
    ]


def _target(call: Call) -> tuple[Securable, str]:
    type_, id_ = call.path["type"], call.path["id"]
    securable = SECURABLES.get(type_)
    if securable is None:
        raise not_emulated(f"permissions of {type_} (of {', '.join(SECURABLES)} it does)")
    if securable.kind == "object":
        item = workspace_objects.by_id(call.documents, int(id_)) if id_.isdigit() else None
        if item is None or workspace_objects.acl_type(item) != type_:
            raise errors.missing(f"{securable.noun.capitalize()} with id {id_} does not exist.")
    elif call.documents.get(securable.kind, id_) is None:
        raise errors.missing(f"{securable.noun.capitalize()} {id_} does not exist.")
    return securable, id_


def _writable(call: Call) -> tuple[Securable, str]:
    securable, id_ = _target(call)
    type_ = call.path["type"]
    if type_ == "cluster-policies":
        call.require_admin("change permissions of cluster policies")
    else:
        require(call.documents, call.caller, type_, id_, "CAN_MANAGE", f"{securable.noun} {id_}")
    return securable, id_


def _requested(call: Call, securable: Securable) -> dict[str, str]:
    result: dict[str, str] = {}
    for entry in call.parameters.get("access_control_list") or []:
        named = [(field, entry[field]) for field in PRINCIPAL_FIELDS if entry.get(field)]
        if len(named) != 1:
            raise errors.invalid(f"Each access control entry names one of {', '.join(PRINCIPAL_FIELDS)}: {entry}.")
        field, name = named[0]
        level = entry.get("permission_level")
        if level not in securable.levels:
            raise errors.invalid(
                f"Permission level {level} is not supported for a {securable.noun};"
                f" choose one of {', '.join(securable.levels)}."
            )
        field, name = _principal(call.documents, field, name)
        if (field, name) == ("group_name", "admins") and level != list(securable.levels)[-1]:
            raise errors.invalid("Cannot modify the permissions of the admins group.")
        result[f"{field}:{name}"] = level
    return result


def _principal(documents: Documents, field: str, name: str) -> tuple[str, str]:
    """Return the field and the name of a principal in the workspace's form. Raises RESOURCE_DOES_NOT_EXIST.

    A service principal's user name is its application id, in any letter case: the vendor's provider names its own
    identity by the answer of Me (terraform-provider-databricks, permissions/update/customizers.go).
    """
    if field == "user_name" and any(user["userName"] == name for user in documents.all("user")):
        return field, name
    if field == "group_name":
        if any(group["displayName"] == name for group in groups.all_groups(documents)):
            return field, name
    elif (principal := find_principal(documents, name)) is not None:
        return "service_principal_name", str(principal["applicationId"])
    raise errors.missing(f"Principal: {field.removesuffix('_name').replace('_', ' ')} {name} does not exist.")


def _render(call: Call, securable: Securable, id_: str) -> Json:
    documents, type_ = call.documents, call.path["type"]
    entries: dict[str, list[Json]] = {}
    for owner_type, owner_id in _chain(documents, type_, id_):
        inherited = (owner_type, owner_id) != (type_, id_)
        for name, level in read_acl(documents, owner_type, owner_id).items():
            entry: Json = {"permission_level": level, "inherited": inherited}
            if inherited:
                entry["inherited_from_object"] = [f"/{owner_type}/{owner_id}"]
            entries.setdefault(name, []).append(entry)
    if type_ != "cluster-policies":
        entries.setdefault("group_name:admins", []).append(
            {"permission_level": "CAN_MANAGE", "inherited": True, "inherited_from_object": [f"/{_root(type_)}"]}
        )
    listed: list[Json] = []
    for name, held in entries.items():
        field, _, value = name.partition(":")
        item: Json = {field: value, "all_permissions": held}
        if field == "service_principal_name":
            item["display_name"] = (find_principal(documents, value) or {}).get("displayName", value)
        listed.append(item)
    return {
        "object_id": f"/{type_}/{id_}",
        "object_type": securable.noun.replace(" ", "-").replace("folder", "directory"),
        "access_control_list": listed,
    }


def _root(type_: str) -> str:
    return "directories/0" if SECURABLES[type_].kind == "object" else f"{type_}/"
