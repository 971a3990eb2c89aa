"""/api/2.1/unity-catalog/storage-credentials: Azure managed identities, by their access connectors."""

from __future__ import annotations

import uuid

from localcloud.databricks.call import Call
from localcloud.databricks.store import Json
from localcloud.databricks.unity import listing, ownership, privileges, refusals, storage
from localcloud.databricks.unity.securables import EXTERNAL_LOCATION, METASTORE, STORAGE_CREDENTIAL
from localcloud.databricks.unity.session import Session

_FIELDS = {"name": str, "comment": str, "read_only": bool, "azure_managed_identity": dict}
_CHANGES = {"comment": str, "read_only": bool, "azure_managed_identity": dict, **ownership.FIELDS}


def create(call: Call) -> Json:
    session = Session.open(call)
    privileges.require(session, METASTORE, session.info["name"], "CREATE_STORAGE_CREDENTIAL")
    given = listing.fields(call, "storage credentials", _FIELDS, ("skip_validation",))
    name = listing.new_name(call, "CreateStorageCredential", "StorageCredentialInfo.name")
    if "azure_managed_identity" not in given:
        raise refusals.required("CreateStorageCredential", "azure_managed_identity")
    kept = storage.identity(session, given["azure_managed_identity"]) | {"credential_id": str(uuid.uuid4())}
    fields = {
        "id": str(uuid.uuid4()),
        "read_only": given.get("read_only", False),
        "azure_managed_identity": kept,
        "used_for_managed_storage": False,
    }
    if "comment" in given:
        fields["comment"] = given["comment"]
    return session.add(STORAGE_CREDENTIAL, name, fields)


def get(call: Call) -> Json:
    session = Session.open(call)
    found = session.get(STORAGE_CREDENTIAL, call.path["name"])
    privileges.require_sight(session, STORAGE_CREDENTIAL, found["name"])
    return found


def list_(call: Call) -> Json:
    return ownership.listed(call, STORAGE_CREDENTIAL, "storage_credentials")


def update(call: Call) -> Json:
    session = Session.open(call)
    found = session.get(STORAGE_CREDENTIAL, call.path["name"])
    privileges.require_owner(session, STORAGE_CREDENTIAL, found["name"])
    given = listing.fields(call, "changes of storage credentials", _CHANGES, ("skip_validation", "force"))
    changes = ownership.changes(session, STORAGE_CREDENTIAL, given)
    if "azure_managed_identity" in changes:
        kept = storage.identity(session, changes["azure_managed_identity"])
        before = {key: value for key, value in found["azure_managed_identity"].items() if key != "credential_id"}
        if kept != before and not call.flag("force"):
            _refuse_in_use(session, found["name"], "use force option to update")
        changes["azure_managed_identity"] = kept | {"credential_id": found["azure_managed_identity"]["credential_id"]}
    return session.change(STORAGE_CREDENTIAL, found, changes)


def delete(call: Call) -> Json:
    session = Session.open(call)
    found = session.get(STORAGE_CREDENTIAL, call.path["name"])
    privileges.require_owner(session, STORAGE_CREDENTIAL, found["name"])
    if not call.flag("force"):
        _refuse_in_use(
            session,
            found["name"],
            "You may use force option to delete it but the managed storage data using this storage credential cannot be"
            " purged by Unity Catalog anymore.",
        )
    session.remove(STORAGE_CREDENTIAL, found["name"])
    return {}


def _refuse_in_use(session: Session, name: str, advice: str) -> None:
    uses = sum(one["credential_name"] == name for one in session.all(EXTERNAL_LOCATION))
    if uses:
        raise refusals.in_use(
            f"Storage credential '{name}' has 0 directly dependent external table(s) and {uses} dependent storage"
            f" location(s). {advice}"
        )
