"""/api/2.1/unity-catalog/bindings: the workspaces of an isolated object. It does not apply to open ones.

Setting isolation_mode binds nothing: until its workspace is bound, an isolated object is closed to its own workspace
as well.
"""

from __future__ import annotations

from typing import Any

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors, listing, privileges
from localcloud.databricks.unity.securables import BY_TYPE, CATALOG, Securable
from localcloud.databricks.unity.session import Session

_READ_WRITE, _READ_ONLY = "BINDING_TYPE_READ_WRITE", "BINDING_TYPE_READ_ONLY"


def get(call: Call) -> Json:
    session, securable, name = _target(call, call.path["type"])
    items = _rendered(session.bindings(securable, name))
    return listing.page(call, items, "bindings", lambda item: f"{item['workspace_id']:020}")


def update(call: Call) -> Json:
    session, securable, name = _target(call, call.path["type"])
    added = {
        _workspace(session, binding.get("workspace_id")): _type(securable, binding) for binding in _entries(call, "add")
    }
    removed = [_workspace(session, binding.get("workspace_id")) for binding in _entries(call, "remove")]
    kept = {key: type_ for key, type_ in session.bindings(securable, name).items() if key not in removed} | added
    session.put_bindings(securable, name, kept)
    return {"bindings": _rendered(kept)}


def get_catalog(call: Call) -> Json:
    """Answer the older form, which catalogs alone have."""
    session, _, name = _target(call, CATALOG.type)
    return {"workspaces": [binding["workspace_id"] for binding in _rendered(session.bindings(CATALOG, name))]}


def update_catalog(call: Call) -> Json:
    session, _, name = _target(call, CATALOG.type)
    kept = session.bindings(CATALOG, name)
    for number in _list(call, "unassign_workspaces"):
        kept.pop(_workspace(session, number), None)
    for number in _list(call, "assign_workspaces"):
        kept[_workspace(session, number)] = _READ_WRITE
    session.put_bindings(CATALOG, name, kept)
    return {"workspaces": [binding["workspace_id"] for binding in _rendered(kept)]}


def _target(call: Call, type_: str) -> tuple[Session, Securable, str]:
    securable = BY_TYPE.get(type_.lower())
    if securable is None or not securable.isolation:
        raise not_emulated(f"Unity Catalog's workspace bindings of a {type_}")
    session = Session.open(call)
    name = str(session.get(securable, call.path["name"], bound=False)["full_name"])
    privileges.require_owner(session, securable, name)
    return session, securable, name


def _entries(call: Call, field: str) -> list[Json]:
    return _list(call, field)


def _list(call: Call, field: str) -> list[Any]:
    return call.parameters.get(field) or []


def _workspace(session: Session, number: Any) -> str:
    if not str(number).isdecimal() or not session.is_attached(int(number)):
        raise errors.invalid(f"Workspace {number} is not assigned to metastore {session.info['name']}.")
    return str(number)


def _type(securable: Securable, entry: Json) -> str:
    type_ = str(entry.get("binding_type") or _READ_WRITE)
    allowed = (_READ_WRITE, _READ_ONLY) if securable is CATALOG else (_READ_WRITE,)
    if type_ not in allowed:
        raise errors.invalid(f"binding_type of a {securable.noun} must be {' or '.join(allowed)}, got {type_}.")
    return type_


def _rendered(bindings: dict[str, str]) -> list[Json]:
    return [{"workspace_id": int(key), "binding_type": type_} for key, type_ in sorted(bindings.items())]
