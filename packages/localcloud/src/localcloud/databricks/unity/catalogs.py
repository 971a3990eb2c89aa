"""/api/2.1/unity-catalog/catalogs. Each begins with the schemas `default` and `information_schema`."""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors, listing, managed, ownership, privileges
from localcloud.databricks.unity.securables import CATALOG, METASTORE, SCHEMA, VOLUME
from localcloud.databricks.unity.session import SYSTEM, Session

INFORMATION_SCHEMA = "information_schema"
_FIELDS = {"name": str, "comment": str, "properties": dict, "storage_root": str}
_CHANGES = {"comment": str, "properties": dict, "enable_predictive_optimization": str, **ownership.FIELDS}


def create(call: Call) -> Json:
    session = Session.open(call)
    privileges.require(session, METASTORE, session.info["name"], "CREATE_CATALOG")
    requested = listing.fields(call, "catalogs", _FIELDS)
    name = listing.new_name(call, "CreateCatalog", "CatalogInfo.name")
    if session.find(CATALOG, name) is not None:
        raise errors.exists(CATALOG, name)
    id_ = str(uuid.uuid4())
    fields: dict[str, Any] = {"id": id_, "catalog_type": "MANAGED_CATALOG", "securable_kind": "CATALOG_STANDARD"}
    if not requested.get("storage_root"):
        raise managed.no_storage()
    fields |= managed.storage(session, CATALOG, id_, requested["storage_root"])
    fields |= {key: requested[key] for key in ("comment", "properties") if key in requested}
    with session.documents.database.transaction():
        document = session.add(CATALOG, name, fields)
        inside = {"catalog_name": name, "catalog_type": "MANAGED_CATALOG"}
        comment = "Default schema (auto-created)"
        session.add(SCHEMA, f"{name}.default", inside | {"schema_id": str(uuid.uuid4()), "comment": comment})
        own = {"schema_id": str(uuid.uuid4()), "owner": SYSTEM, "created_by": SYSTEM, "updated_by": SYSTEM}
        comment = "Information schema (auto-created)"
        session.add(SCHEMA, f"{name}.{INFORMATION_SCHEMA}", inside | own | {"comment": comment})
    return document


def get(call: Call) -> Json:
    return ownership.read(call, CATALOG)


def list_(call: Call) -> Json:
    return ownership.listed(call, CATALOG, "catalogs")


def update(call: Call) -> Json:
    session, document = ownership.owned(call, CATALOG)
    requested = listing.fields(call, "changes of catalogs", _CHANGES)
    return session.change(CATALOG, document, ownership.changes(session, CATALOG, requested))


def delete(call: Call) -> Json:
    """Delete a catalog; without `force` it has to be empty but for the information schema."""
    session, document = ownership.owned(call, CATALOG)
    name = document["name"]
    schemas = session.within(SCHEMA, name)
    content = [child for child in schemas if child["name"] != INFORMATION_SCHEMA]
    if content and not call.flag("force"):
        raise errors.not_empty(CATALOG, name, f"{len(content)} schema(s)")
    with session.documents.database.transaction():
        for securable in (VOLUME, SCHEMA):
            for child in session.within(securable, name):
                session.remove(securable, child["full_name"])
        session.remove(CATALOG, name)
    return {}
