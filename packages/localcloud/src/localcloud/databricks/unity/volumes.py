"""/api/2.1/unity-catalog/volumes and tables.

Volumes are stored, and no client reads /Volumes. Spark makes tables, outside of this catalog: there are none.
"""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.core.json import Json
from localcloud.databricks.errors import DetailedError
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors, listing, managed, ownership, privileges, storage_urls
from localcloud.databricks.unity.securables import CATALOG, SCHEMA, VOLUME
from localcloud.databricks.unity.session import Session

_FIELDS = {
    "name": str, "catalog_name": str, "schema_name": str, "volume_type": str, "storage_location": str, "comment": str,
}  # fmt: skip
_CREATE = "CreateVolume"


def create(call: Call) -> Json:
    session = Session.open(call)
    requested = listing.fields(call, "volumes", _FIELDS)
    schema = _schema(session, call, _CREATE)
    privileges.require(session, SCHEMA, schema["full_name"], "USE_SCHEMA")
    privileges.require(session, SCHEMA, schema["full_name"], "CREATE_VOLUME")
    name = f"{schema['full_name']}.{listing.new_name(call, _CREATE, 'VolumeInfo.name')}"
    if session.find(VOLUME, name) is not None:
        raise errors.exists(VOLUME, name)
    id_, kind = str(uuid.uuid4()), listing.required(call, _CREATE, "volume_type")
    if kind not in {"EXTERNAL", "MANAGED"}:
        raise errors.invalid(f"volume_type must be EXTERNAL or MANAGED, got {kind}.")
    fields: dict[str, Any] = {
        "volume_id": id_,
        "volume_type": kind,
        "catalog_name": schema["catalog_name"],
        "schema_name": schema["name"],
        "storage_location": _external(session, call)
        if kind == "EXTERNAL"
        else _managed(session, schema, id_, requested),
    }
    if "comment" in requested:
        fields["comment"] = requested["comment"]
    return session.add(VOLUME, name, fields)


def get(call: Call) -> Json:
    return ownership.read(call, VOLUME)


def list_(call: Call) -> Json:
    schema = _schema(Session.open(call), call, "ListVolumes")
    return ownership.listed(call, VOLUME, "volumes", schema["full_name"])


def update(call: Call) -> Json:
    session, document = ownership.owned(call, VOLUME)
    requested = listing.fields(call, "changes of volumes", {"comment": str, "owner": str})
    return session.change(VOLUME, document, ownership.changes(session, VOLUME, requested))


def delete(call: Call) -> Json:
    session, document = ownership.owned(call, VOLUME)
    session.remove(VOLUME, document["full_name"])
    return {}


def list_tables(call: Call) -> Json:
    _schema(Session.open(call), call, "ListTables")
    return {}


def get_table(call: Call) -> Json:
    session, name = Session.open(call), call.path["name"]
    if name.count(".") == 2:
        session.get(SCHEMA, name.rsplit(".", 1)[0])
    raise DetailedError(404, "TABLE_DOES_NOT_EXIST", f"Table '{name}' does not exist.")


def _schema(session: Session, call: Call, rpc: str) -> Json:
    catalog, schema = (listing.required(call, rpc, field) for field in ("catalog_name", "schema_name"))
    document = session.get(SCHEMA, f"{session.get(CATALOG, catalog)['name']}.{schema}")
    privileges.enter(session, SCHEMA, document["full_name"])
    return document


def _external(session: Session, call: Call) -> str:
    url = managed.place(session, listing.required(call, _CREATE, "storage_location"), "CREATE_EXTERNAL_VOLUME")
    if any(url.overlaps(other) for other in storage_urls.managed(session)):
        raise errors.overlap(str(url), _CREATE, "managed storage")
    for other in session.all(VOLUME):
        if other["volume_type"] == "EXTERNAL" and storage_urls.parse(other["storage_location"]).overlaps(url):
            conflict = f" Conflicting tables/volumes: {other['full_name']}."
            raise errors.overlap(str(url), _CREATE, "other external tables or volumes", conflict)
    return str(url)


def _managed(session: Session, schema: Json, id_: str, requested: Json) -> str:
    if "storage_location" in requested:
        raise errors.invalid("CreateVolume storage_location can not be provided.")
    place = schema.get("storage_location") or session.get(CATALOG, schema["catalog_name"])["storage_location"]
    return f"{place}/volumes/{id_}"
