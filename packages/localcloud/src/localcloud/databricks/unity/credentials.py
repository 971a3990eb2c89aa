"""/api/2.1/unity-catalog/storage-credentials: Azure managed identities, by their access connectors."""

from __future__ import annotations

import uuid

from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import errors, listing, ownership, privileges, storage, storage_urls
from localcloud.databricks.unity.securables import EXTERNAL_LOCATION, METASTORE, STORAGE_CREDENTIAL
from localcloud.databricks.unity.session import Session

_FIELDS = {"name": str, "comment": str, "read_only": bool, "azure_managed_identity": dict}
_TRIAL = {
    "storage_credential_name": str, "azure_managed_identity": dict, "external_location_name": str, "url": str,
    "read_only": bool,
}  # fmt: skip
_CHANGES = {"comment": str, "read_only": bool, "azure_managed_identity": dict, **ownership.FIELDS}


def create(call: Call) -> Json:
    session = Session.open(call)
    privileges.require(session, METASTORE, session.info["name"], "CREATE_STORAGE_CREDENTIAL")
    requested = listing.fields(call, "storage credentials", _FIELDS, ("skip_validation",))
    name = listing.new_name(call, "CreateStorageCredential", "StorageCredentialInfo.name")
    if "azure_managed_identity" not in requested:
        raise errors.required("CreateStorageCredential", "azure_managed_identity")
    kept = storage.identity(session, requested["azure_managed_identity"]) | {"credential_id": str(uuid.uuid4())}
    fields = {
        "id": str(uuid.uuid4()),
        "read_only": requested.get("read_only", False),
        "azure_managed_identity": kept,
        "used_for_managed_storage": False,
    }
    if "comment" in requested:
        fields["comment"] = requested["comment"]
    return session.add(STORAGE_CREDENTIAL, name, fields)


def get(call: Call) -> Json:
    return ownership.read(call, STORAGE_CREDENTIAL)


def list_(call: Call) -> Json:
    return ownership.listed(call, STORAGE_CREDENTIAL, "storage_credentials")


def update(call: Call) -> Json:
    session, document = ownership.owned(call, STORAGE_CREDENTIAL)
    requested = listing.fields(call, "changes of storage credentials", _CHANGES, ("skip_validation", "force"))
    changes = ownership.changes(session, STORAGE_CREDENTIAL, requested)
    if "azure_managed_identity" in changes:
        kept = storage.identity(session, changes["azure_managed_identity"])
        before = {key: value for key, value in document["azure_managed_identity"].items() if key != "credential_id"}
        if kept != before and not call.flag("force"):
            _refuse_in_use(session, document["name"], "use force option to update")
        changes["azure_managed_identity"] = kept | {
            "credential_id": document["azure_managed_identity"]["credential_id"]
        }
    return session.change(STORAGE_CREDENTIAL, document, changes)


def delete(call: Call) -> Json:
    session, document = ownership.owned(call, STORAGE_CREDENTIAL)
    if not call.flag("force"):
        _refuse_in_use(
            session,
            document["name"],
            "You may use force option to delete it but the managed storage data using this storage credential cannot be"
            " purged by Unity Catalog anymore.",
        )
    session.remove(STORAGE_CREDENTIAL, document["name"])
    return {}


async def validate(call: Call) -> Json:
    """Return the identity's abilities at a place, and make nothing. A url alone may not be another location's."""
    session = Session.open(call)
    requested = listing.fields(call, "the validation of storage credentials", _TRIAL)
    if name := requested.get("storage_credential_name"):
        credential = session.get(STORAGE_CREDENTIAL, name)
        privileges.require(session, STORAGE_CREDENTIAL, credential["name"], "CREATE_EXTERNAL_LOCATION")
    elif "azure_managed_identity" in requested:
        credential = {"azure_managed_identity": storage.identity(session, requested["azure_managed_identity"])}
    else:
        raise errors.required("ValidateStorageCredential", "storage_credential_name")
    location = requested.get("external_location_name")
    document = session.get(EXTERNAL_LOCATION, location) if location else None
    if "url" in requested:
        url = storage_urls.parse(requested["url"])
        storage_urls.refuse_overlap(session, url, document["name"] if document else "", "ValidateStorageCredential")
    elif document is not None:
        url = storage_urls.parse(document["url"])
    else:
        raise errors.required("ValidateStorageCredential", "url")
    tried = await storage.trial(session, url, credential, read_only=requested.get("read_only", False))
    results: list[Json] = []
    for operation, failure in tried.items():
        result: Json = {"operation": operation, "result": "FAIL" if failure else "PASS"}
        if failure:
            result["message"] = str(errors.storage_refused(operation, str(url), failure).message)
        results.append(result)
    return {"isDir": True, "results": results}


def _refuse_in_use(session: Session, name: str, advice: str) -> None:
    uses = sum(location["credential_name"] == name for location in session.all(EXTERNAL_LOCATION))
    if uses:
        raise errors.in_use(
            f"Storage credential '{name}' has 0 directly dependent external table(s) and {uses} dependent storage"
            f" location(s). {advice}"
        )
