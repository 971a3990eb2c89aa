"""Handlers of calls below /api/2.1/unity-catalog. Other operations answer 501 with their name."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.databricks.request import Handler
from localcloud.databricks.unity import (
    bindings,
    catalogs,
    credentials,
    grants,
    locations,
    metastore,
    schemas,
    volumes,
)  # fmt: skip

_ROOT = "unity-catalog"
_GRANTS = "{type}/{name}"

_HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("GET", "metastore_summary"): metastore.summary,
    ("GET", "current-metastore-assignment"): metastore.assignment,
    ("GET", "metastores"): metastore.list_,
    ("POST", "storage-credentials"): credentials.create,
    ("GET", "storage-credentials"): credentials.list_,
    ("GET", "storage-credentials/{name}"): credentials.get,
    ("PATCH", "storage-credentials/{name}"): credentials.update,
    ("DELETE", "storage-credentials/{name}"): credentials.delete,
    ("POST", "validate-storage-credentials"): credentials.validate,
    ("POST", "external-locations"): locations.create,
    ("GET", "external-locations"): locations.list_,
    ("GET", "external-locations/{name}"): locations.get,
    ("PATCH", "external-locations/{name}"): locations.update,
    ("DELETE", "external-locations/{name}"): locations.delete,
    ("POST", "catalogs"): catalogs.create,
    ("GET", "catalogs"): catalogs.list_,
    ("GET", "catalogs/{name}"): catalogs.get,
    ("PATCH", "catalogs/{name}"): catalogs.update,
    ("DELETE", "catalogs/{name}"): catalogs.delete,
    ("POST", "schemas"): schemas.create,
    ("GET", "schemas"): schemas.list_,
    ("GET", "schemas/{name}"): schemas.get,
    ("PATCH", "schemas/{name}"): schemas.update,
    ("DELETE", "schemas/{name}"): schemas.delete,
    ("POST", "volumes"): volumes.create,
    ("GET", "volumes"): volumes.list_,
    ("GET", "volumes/{name}"): volumes.get,
    ("PATCH", "volumes/{name}"): volumes.update,
    ("DELETE", "volumes/{name}"): volumes.delete,
    ("GET", "tables"): volumes.list_tables,
    ("GET", "tables/{name}"): volumes.get_table,
    ("GET", f"permissions/{_GRANTS}"): grants.get,
    ("PATCH", f"permissions/{_GRANTS}"): grants.update,
    ("GET", f"effective-permissions/{_GRANTS}"): grants.get_effective,
    ("GET", f"privilege-assignments/{_GRANTS}"): grants.list_,
    ("GET", f"effective-privilege-assignments/{_GRANTS}"): grants.list_effective,
    ("GET", f"bindings/{_GRANTS}"): bindings.get,
    ("PATCH", f"bindings/{_GRANTS}"): bindings.update,
    ("GET", "workspace-bindings/catalogs/{name}"): bindings.get_catalog,
    ("PATCH", "workspace-bindings/catalogs/{name}"): bindings.update_catalog,
}
CALLS: Mapping[tuple[str, str], tuple[str, Handler]] = {
    (method, f"{_ROOT}/{path}"): ("2.1", handler) for (method, path), handler in _HANDLERS.items()
}
