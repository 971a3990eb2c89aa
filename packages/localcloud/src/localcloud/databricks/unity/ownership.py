"""The common parts of all types: showing, listing and changing objects, their owner and isolation."""

from __future__ import annotations

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import listing, privileges
from localcloud.databricks.unity.securables import Securable
from localcloud.databricks.unity.session import Session

FIELDS = {"owner": str, "isolation_mode": str}


def changes(session: Session, securable: Securable, requested: Json) -> Json:
    """Return the fields of a PATCH in their stored form. Raises PRINCIPAL_DOES_NOT_EXIST."""
    kept = dict(requested)
    if "owner" in kept:
        kept["owner"] = session.principal(kept["owner"])
    return kept


def read(call: Call, securable: Securable) -> Json:
    """Return the object that the path names, to callers that can see it."""
    session = Session.open(call)
    document = session.get(securable, call.path["name"])
    _refuse_browsing(session, securable, [document])
    privileges.require_sight(session, securable, document["full_name"])
    return document


def owned(call: Call, securable: Securable) -> tuple[Session, Json]:
    """Return the object that the path names, to callers that can change it."""
    session = Session.open(call)
    document = session.get(securable, call.path["name"])
    privileges.require_owner(session, securable, document["full_name"])
    return session, document


def listed(call: Call, securable: Securable, key: str, parent: str | None = None) -> Json:
    """Return the objects of a type that are open to the caller's workspace and visible to the caller."""
    session = Session.open(call)
    items = session.all(securable) if parent is None else session.within(securable, parent)
    unbound = call.flag("include_unbound")

    def is_shown(item: Json) -> bool:
        name = item["full_name"]
        reachable = session.is_bound(securable, item) or (unbound and privileges.manages(session, securable, name))
        return reachable and privileges.sees(session, securable, name)

    _refuse_browsing(session, securable, items)
    visible = [item for item in items if is_shown(item)]
    return listing.page(call, visible, key, lambda item: str(item["full_name"]))


def _refuse_browsing(session: Session, securable: Securable, items: list[Json]) -> None:
    """Refuse callers with BROWSE alone: it shows a part of an object's fields, which Databricks does not publish."""
    if not session.call.flag("include_browse"):
        return
    for item in items:
        if privileges.only_browses(session, securable, item["full_name"]):
            raise not_emulated(f"Unity Catalog's include_browse, for who has BROWSE alone on {item['full_name']}")
