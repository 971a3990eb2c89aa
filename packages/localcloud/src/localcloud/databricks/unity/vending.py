"""Short-lived credentials for places in external locations, as Unity Catalog vends them to clusters and engines.

A credential is a user delegation SAS of the access connector's identity for one directory and one mode: the field is
`azure_user_delegation_sas` in databricks-sdk's GenerateTemporaryPathCredentialResponse, and clusters meet a refusal as
"Failed to acquire a SAS token" of ABFS (openillumi.com, "Fix the SAS Token Error"). So the account's own answer to a
cluster follows the connector's roles and the account's firewall.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from localcloud.core.errors import not_emulated
from localcloud.databricks.unity import errors, privileges, storage, storage_urls
from localcloud.databricks.unity.securables import EXTERNAL_LOCATION, STORAGE_CREDENTIAL, VOLUME
from localcloud.databricks.unity.session import Session
from localcloud.databricks.unity.storage_urls import Url

LIFETIME = timedelta(minutes=15)
_READ, _WRITE = "rle", "acwdm"


@dataclass(frozen=True)
class Credential:
    """A SAS token for a directory and all below it."""

    sas: str
    place: Url
    expires: datetime


def accounts(session: Session) -> dict[str, bool]:
    """Return the storage accounts of locations that are open to the workspace, and whether each is hierarchical."""
    hierarchical = {}
    for location in session.all(EXTERNAL_LOCATION):
        if session.is_bound(EXTERNAL_LOCATION, location):
            name = storage_urls.parse(location["url"]).account
            account = session.context.resources.named(storage.ACCOUNT, name)
            hierarchical[name] = account is not None and account.properties.get("isHnsEnabled") is True
    return hierarchical


def vend(session: Session, url: Url, *, write: bool) -> Credential:
    """Return a credential for the url, to read or to write.

    Raises EXTERNAL_LOCATION_DOES_NOT_EXIST outside of every location; PERMISSION_DENIED for a caller without READ FILES
    or WRITE FILES, where the location is read-only or not open to the workspace, or where the access connector lacks
    its role; LOCATION_OVERLAP for managed storage, which is reached through its tables and volumes alone
    (kb.databricks.com "overlaps with managed storage error").
    """
    location = storage_urls.location_of(session, url)
    if location is None:
        raise errors.no_location(str(url))
    session.get(EXTERNAL_LOCATION, location["name"])
    privilege = "WRITE_FILES" if write else "READ_FILES"
    privileges.require(session, EXTERNAL_LOCATION, location["name"], privilege)
    credential = session.get(STORAGE_CREDENTIAL, location["credential_name"], bound=False)
    if write and (location["read_only"] or credential["read_only"]):
        raise errors.read_only(location["name"])
    kept = list(storage_urls.managed(session))
    if any(url.overlaps(managed) for managed in kept):
        raise errors.overlap(str(url), "CheckPathAccess", "managed storage")
    volumes = [storage_urls.parse(volume["storage_location"]) for volume in session.all(VOLUME)]
    if any(volume.overlaps(url) for volume in volumes):
        raise not_emulated("reaching a volume's files by their abfss address")
    place = _scope(storage_urls.parse(location["url"]), url, [*kept, *volumes])
    account, principal = storage.delegator(session, url, credential, "WRITE" if write else "READ")
    sas, expires = session.context.storage.directory_sas(
        account.name, url.container, place.path.strip("/"), object_id=principal.object_id,
        permissions=_WRITE if write else _READ, lifetime=LIFETIME,
    )  # fmt: skip
    return Credential(sas, place, expires)


def _scope(location: Url, url: Url, kept: list[Url]) -> Url:
    """Return the highest directory on the way from the location to the url that contains none of `kept`."""
    parts = [part for part in url.path.split("/") if part]
    first = len([part for part in location.path.split("/") if part])
    for depth in range(first, len(parts)):
        place = Url(url.account, url.container, "/" + "/".join(parts[:depth]))
        if not any(place.holds(managed) for managed in kept):
            return place
    return url
