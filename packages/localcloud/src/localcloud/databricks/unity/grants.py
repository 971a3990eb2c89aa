"""/api/2.1/unity-catalog/permissions and its paged forms: privileges, granted and inherited."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors, listing, privileges
from localcloud.databricks.unity.securables import ALL, BY_TYPE, METASTORE, Securable, chain
from localcloud.databricks.unity.session import Session

_LEAST = 150
"""A page holds at least this many privileges, so that all of one principal's fit."""


def get(call: Call) -> Json:
    return _granted(call, "max_results")


def list_(call: Call) -> Json:
    return _granted(call, "page_size")


def get_effective(call: Call) -> Json:
    return _effective(call, "privilege_assignments", "max_results")


def list_effective(call: Call) -> Json:
    return _effective(call, "effective_privilege_assignments", "page_size")


def update(call: Call) -> Json:
    """Apply changes by principal: all of them or none."""
    session, securable, name = _target(call)
    if not privileges.manages(session, securable, name):
        raise errors.lacks("MANAGE", securable, name)
    changes = call.parameters.get("changes") or []
    granted = session.grants(securable, name)
    for change in changes:
        principal = _known(session, str(change.get("principal") or ""), granted)
        add, remove = (_privileges(securable, change.get(field)) for field in ("add", "remove"))
        if add & remove:
            raise errors.invalid(f"Duplicate privileges to add and delete for principal {principal}.")
        held = set() if ALL in remove else set(granted.get(principal, ())) - remove
        granted[principal] = sorted(held | add)
    granted = {principal: held for principal, held in granted.items() if held}
    session.put_grants(securable, name, granted)
    return {} if call.flag("omit_permissions_in_response") else _assignments(granted)


def _granted(call: Call, size: str) -> Json:
    session, securable, name = _target(call)
    visible = _visible(session, securable, name, session.grants(securable, name), call.optional_text("principal"))
    items = _assignments(visible).get("privilege_assignments", [])
    return listing.page(call, items, "privilege_assignments", _principal, size=size, least=_LEAST)


def _effective(call: Call, key: str, size: str) -> Json:
    session, securable, name = _target(call)
    by_principal: dict[str, list[Json]] = {}
    for grantor, full_name in chain(securable, name):
        grants = session.grants(grantor, full_name)
        for principal, held in _visible(session, securable, name, grants, call.optional_text("principal")).items():
            for privilege in held:
                entry: dict[str, Any] = {"privilege": privilege}
                if grantor is not securable:
                    entry |= {"inherited_from_type": grantor.code, "inherited_from_name": full_name}
                by_principal.setdefault(principal, []).append(entry)
    items = [{"principal": principal, "privileges": entries} for principal, entries in by_principal.items()]
    return listing.page(call, items, key, _principal, size=size, least=_LEAST)


def _target(call: Call) -> tuple[Session, Securable, str]:
    type_ = call.path["type"].lower()
    securable = BY_TYPE.get(type_)
    if securable is None:
        raise not_emulated(f"Unity Catalog's privileges on a {type_} (on {', '.join(BY_TYPE)} it does)")
    session = Session.open(call)
    return session, securable, str(session.get(securable, call.path["name"])["full_name"])


def _known(session: Session, name: str, granted: Collection[str]) -> str:
    """Return the principal, even outside of the workspaces: the account has it, and its grants can be removed."""
    return name if name in granted else session.principal(name)


def _visible(
    session: Session, securable: Securable, name: str, grants: dict[str, list[str]], principal: str | None
) -> dict[str, list[str]]:
    """Return all grants to callers that manage the object, and to others their own."""
    if principal is not None:
        wanted = _known(session, principal, grants)
        grants = {key: held for key, held in grants.items() if key == wanted}
    metastore_admin = securable is METASTORE and session.call.caller.is_admin  # as its page in the workspace shows them
    if metastore_admin or privileges.manages(session, securable, name):
        return grants
    return {key: held for key, held in grants.items() if key in session.names}


def _privileges(securable: Securable, requested: Any) -> set[str]:
    """Return the privileges; names may have spaces. Raises INVALID_PARAMETER_VALUE for others than the object's."""
    if not isinstance(requested or [], list):
        raise errors.invalid(f"Privileges must be given as a list, got {requested!r}.")
    names = {str(privilege).upper().replace(" ", "_") for privilege in requested or []}
    if wrong := sorted(names - securable.privileges):
        raise errors.no_such_privilege(securable, wrong[0])
    return names


def _assignments(grants: dict[str, list[str]]) -> Json:
    items = [{"principal": principal, "privileges": sorted(held)} for principal, held in sorted(grants.items())]
    return {"privilege_assignments": items} if items else {}


def _principal(item: Json) -> str:
    return str(item["principal"])
