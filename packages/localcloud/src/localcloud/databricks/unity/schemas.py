"""/api/2.1/unity-catalog/schemas."""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors, listing, managed, ownership, privileges
from localcloud.databricks.unity.catalogs import INFORMATION_SCHEMA
from localcloud.databricks.unity.securables import CATALOG, SCHEMA, VOLUME
from localcloud.databricks.unity.session import Session

_FIELDS = {"name": str, "catalog_name": str, "comment": str, "properties": dict, "storage_root": str}
_CHANGES = {"comment": str, "properties": dict, "enable_predictive_optimization": str, "owner": str}


def create(call: Call) -> Json:
    session = Session.open(call)
    requested = listing.fields(call, "schemas", _FIELDS)
    catalog = session.get(CATALOG, listing.required(call, "CreateSchema", "catalog_name"))
    privileges.require(session, CATALOG, catalog["name"], "USE_CATALOG")
    privileges.require(session, CATALOG, catalog["name"], "CREATE_SCHEMA")
    name = f"{catalog['name']}.{listing.new_name(call, 'CreateSchema', 'SchemaInfo.name')}"
    if session.find(SCHEMA, name) is not None:
        raise errors.exists(SCHEMA, name)
    id_ = str(uuid.uuid4())
    fields: dict[str, Any] = {
        "schema_id": id_,
        "catalog_name": catalog["name"],
        "catalog_type": catalog["catalog_type"],
        "enable_predictive_optimization": "INHERIT",
    }
    if requested.get("storage_root"):
        fields |= managed.storage(session, SCHEMA, id_, requested["storage_root"])
    fields |= {key: requested[key] for key in ("comment", "properties") if key in requested}
    return session.add(SCHEMA, name, fields)


def get(call: Call) -> Json:
    return ownership.read(call, SCHEMA)


def list_(call: Call) -> Json:
    session = Session.open(call)
    catalog = session.get(CATALOG, listing.required(call, "ListSchemas", "catalog_name"))
    privileges.require_sight(session, CATALOG, catalog["name"])
    return ownership.listed(call, SCHEMA, "schemas", catalog["name"])


def update(call: Call) -> Json:
    session, document = ownership.owned(call, SCHEMA)
    _refuse_system(document)
    requested = listing.fields(call, "changes of schemas", _CHANGES)
    return session.change(SCHEMA, document, ownership.changes(session, SCHEMA, requested))


def delete(call: Call) -> Json:
    session, document = ownership.owned(call, SCHEMA)
    name = document["full_name"]
    _refuse_system(document)
    volumes = session.within(VOLUME, name)
    if volumes and not call.flag("force"):
        content = f"0 tables(s), 0 functions(s), {len(volumes)} volumes(s)"
        raise errors.not_empty(SCHEMA, name, content)
    with session.documents.database.transaction():
        for volume in volumes:
            session.remove(VOLUME, volume["full_name"])
        session.remove(SCHEMA, name)
    return {}


def _refuse_system(schema: Json) -> None:
    if schema["name"] == INFORMATION_SCHEMA:
        raise errors.not_owner(SCHEMA, schema["full_name"])
