"""/api/2.1/unity-catalog/external-locations: places in storage, each with the credential that opens it."""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors, listing, ownership, privileges, storage, storage_urls
from localcloud.databricks.unity.securables import (
    CATALOG,
    EXTERNAL_LOCATION,
    METASTORE,
    SCHEMA,
    STORAGE_CREDENTIAL,
    VOLUME,
)  # fmt: skip
from localcloud.databricks.unity.session import Session
from localcloud.databricks.unity.storage_urls import Url

_SHARED: dict[str, type] = {"url": str, "credential_name": str, "comment": str, "read_only": bool, "fallback": bool}
_CREATE, _UPDATE = "CreateExternalLocation", "UpdateExternalLocation"


async def create(call: Call) -> Json:
    session = Session.open(call)
    privileges.require(session, METASTORE, session.info["name"], "CREATE_EXTERNAL_LOCATION")
    requested = listing.fields(call, "external locations", {"name": str, **_SHARED}, ("skip_validation",))
    name = listing.new_name(call, _CREATE, "ExternalLocationInfo.name")
    listing.required(call, _CREATE, "credential_name")
    url = storage_urls.parse(listing.required(call, _CREATE, "url"))
    if session.find(EXTERNAL_LOCATION, name) is not None:
        raise errors.exists(EXTERNAL_LOCATION, name)
    credential = _credential(session, requested["credential_name"])
    storage_urls.refuse_overlap(session, url, name, _CREATE)
    read_only = requested.get("read_only", False)
    if not call.flag("skip_validation"):
        await storage.check(session, url, credential, read_only=read_only)
        storage_urls.refuse_overlap(session, url, name, _CREATE)  # another may exist meanwhile
    fields: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "url": str(url),
        "credential_name": credential["name"],
        "credential_id": credential["id"],
        "read_only": read_only,
        "fallback": requested.get("fallback", False),
        "securable_kind": "EXTERNAL_LOCATION_STANDARD",
    }
    if "comment" in requested:
        fields["comment"] = requested["comment"]
    return session.add(EXTERNAL_LOCATION, name, fields)


def get(call: Call) -> Json:
    return ownership.read(call, EXTERNAL_LOCATION)


def list_(call: Call) -> Json:
    return ownership.listed(call, EXTERNAL_LOCATION, "external_locations")


async def update(call: Call) -> Json:
    session, document = ownership.owned(call, EXTERNAL_LOCATION)
    known = _SHARED | ownership.FIELDS
    requested = listing.fields(call, "changes of external locations", known, ("skip_validation", "force"))
    changes = ownership.changes(session, EXTERNAL_LOCATION, requested)
    before = storage_urls.parse(document["url"])
    url = storage_urls.parse(changes["url"]) if "url" in changes else before
    name = str(changes.get("credential_name") or document["credential_name"])
    same = name == document["credential_name"]
    credential = session.find(STORAGE_CREDENTIAL, name) if same else _credential(session, name)
    if url != before:
        storage_urls.refuse_overlap(session, url, document["name"], _UPDATE)
        if any(_dependents(session, before).values()) and not call.flag("force"):
            raise errors.in_use(
                "External Location has dependent catalogs, schemas, managed or external tables/volumes; use force"
                " option to update url anyway"
            )
    read_only = bool(changes.get("read_only", document["read_only"]))
    moved = url != before or not same or (document["read_only"] and not read_only)
    if moved and not call.flag("skip_validation"):
        if credential is None:
            raise errors.missing(STORAGE_CREDENTIAL, name)
        await storage.check(session, url, credential, read_only=read_only)
        document = session.get(EXTERNAL_LOCATION, document["name"])  # it may have been deleted or changed meanwhile
        if url != before:
            storage_urls.refuse_overlap(session, url, document["name"], _UPDATE)
    if credential is not None:
        changes |= {"credential_name": credential["name"], "credential_id": credential["id"]}
    return session.change(EXTERNAL_LOCATION, document, changes | {"url": str(url)})


def delete(call: Call) -> Json:
    session, document = ownership.owned(call, EXTERNAL_LOCATION)
    uses = _dependents(session, storage_urls.parse(document["url"]))
    if any(uses.values()) and not call.flag("force"):
        counts = ", ".join(f"{count} dependent {kind}" for kind, count in uses.items())
        head, _, last = counts.rpartition(", ")
        raise errors.in_use(
            f"Cannot delete external location (name = {document['name']}) because the location has {head}, and {last}."
            " You may use force option to delete it but the managed storage data under this location cannot be purged"
            " by Unity Catalog anymore."
        )
    session.remove(EXTERNAL_LOCATION, document["name"])
    return {}


def _credential(session: Session, name: str) -> Json:
    """Raise STORAGE_CREDENTIAL_DOES_NOT_EXIST, or PERMISSION_DENIED for callers that cannot use it for a location."""
    credential = session.get(STORAGE_CREDENTIAL, name)
    privileges.require(session, STORAGE_CREDENTIAL, credential["name"], "CREATE_EXTERNAL_LOCATION")
    return credential


def _dependents(session: Session, url: Url) -> dict[str, int]:
    """Return the number of objects of each type that keep data at the location, as the service counts them."""

    def at(document: Json, field: str) -> bool:
        return bool(document.get(field)) and url.holds(storage_urls.parse(document[field]))

    volumes = [item for item in session.all(VOLUME) if at(item, "storage_location")]
    return {
        "metastores": 0,
        "catalogs": sum(at(item, "storage_root") for item in session.all(CATALOG)),
        "schemas": sum(at(item, "storage_root") for item in session.all(SCHEMA)),
        "managed tables": 0,
        "external tables": 0,
        "external volumes": sum(item["volume_type"] == "EXTERNAL" for item in volumes),
        "managed volumes": sum(item["volume_type"] == "MANAGED" for item in volumes),
        "registered model versions": 0,
        "shares": 0,
        "shared notebook files": 0,
    }
