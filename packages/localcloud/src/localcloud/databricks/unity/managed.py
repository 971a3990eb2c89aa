"""The managed storage of catalogs and schemas: a storage_root inside an external location.

Metastores of Azure's making have no storage of their own, so a catalog needs one.
"""

from __future__ import annotations

from localcloud.core.json import Json
from localcloud.databricks.errors import DetailedError
from localcloud.databricks.unity import errors, privileges, storage_urls
from localcloud.databricks.unity.securables import EXTERNAL_LOCATION, Securable
from localcloud.databricks.unity.session import Session
from localcloud.databricks.unity.storage_urls import Url


def storage(session: Session, securable: Securable, id_: str, root: str) -> Json:
    """Return storage_root and storage_location of a new object. Raises the refusals of `place`."""
    url = place(session, root, "CREATE_MANAGED_STORAGE")
    plural = {"catalog": "catalogs", "schema": "schemas"}[securable.type]
    kept = str(url)
    return {"storage_root": kept, "storage_location": f"{kept.rstrip('/')}/__unitystorage/{plural}/{id_}"}


def place(session: Session, address: str, privilege: str) -> Url:
    """Return an address inside an external location.

    Raises INVALID_PARAMETER_VALUE outside of every one, PERMISSION_DENIED without the privilege on it or where it is
    not open to the workspace.
    """
    url = storage_urls.parse(address)
    location = storage_urls.location_of(session, url)
    if location is None:
        raise errors.invalid(f"No parent external location found for path '{url}'. Please create one first.")
    session.get(EXTERNAL_LOCATION, location["name"])
    privileges.require(session, EXTERNAL_LOCATION, location["name"], privilege)
    return url


def no_storage() -> DetailedError:
    return errors.in_use(
        "Metastore storage root URL does not exist. Default Storage is enabled in your account. You can use the UI to"
        " create a new catalog using Default Storage, or please provide a storage location for the catalog (for example"
        " 'CREATE CATALOG myCatalog MANAGED LOCATION '<location-path>'')."
    )
