"""The types of objects that localcloud keeps: their names, the kinds of their documents, and their privileges.

Privileges: docs.databricks.com "Unity Catalog privileges reference" (privilege model 1.0), and the Terraform provider's
documentation of databricks_grants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ALL = "ALL_PRIVILEGES"
NOT_IN_ALL = frozenset({"MANAGE", "EXTERNAL_USE_SCHEMA", "EXTERNAL_USE_LOCATION"})


@dataclass(frozen=True)
class Securable:
    """`type` is the name in paths, `noun` in messages, `entity` in the refusal of a privilege.

    `parts` counts the names in a full name; `use` is the privilege without which an object and its content are closed;
    `isolation`: the values of isolation_mode (open, isolated), empty where objects are not bound to workspaces.
    """

    type: str
    noun: str
    entity: str
    privileges: frozenset[str]
    parts: int = 1
    use: str = ""
    isolation: tuple[str, str] | tuple[()] = ()

    @property
    def code(self) -> str:
        """The prefix of error codes, and the SecurableType."""
        return self.type.upper()

    @property
    def kind(self) -> str:
        """The kind of its documents in the store."""
        return f"uc-{self.type}"


_DATA = frozenset(
    {
        ALL, "APPLY_TAG", "CREATE_FUNCTION", "CREATE_MATERIALIZED_VIEW", "CREATE_MODEL", "CREATE_TABLE",
        "CREATE_VOLUME", "EXECUTE", "EXTERNAL_USE_SCHEMA", "MANAGE", "MODIFY", "READ_VOLUME", "REFRESH", "SELECT",
        "USE_SCHEMA", "WRITE_VOLUME",
    }
)  # fmt: skip
_ISOLATION = ("ISOLATION_MODE_OPEN", "ISOLATION_MODE_ISOLATED")

METASTORE = Securable(
    "metastore", "Metastore", "METASTORE/METASTORE_STANDARD",
    frozenset(
        {
            "CREATE_CATALOG", "CREATE_CLEAN_ROOM", "CREATE_CONNECTION", "CREATE_EXTERNAL_LOCATION",
            "CREATE_MATERIALIZED_VIEW", "CREATE_PROVIDER", "CREATE_RECIPIENT", "CREATE_SERVICE_CREDENTIAL",
            "CREATE_SHARE", "CREATE_STORAGE_CREDENTIAL", "MANAGE_ALLOWLIST", "SET_SHARE_PERMISSION",
            "USE_MARKETPLACE_ASSETS", "USE_PROVIDER", "USE_RECIPIENT", "USE_SHARE",
        }
    ),
)  # fmt: skip
CATALOG = Securable(
    "catalog", "Catalog", "CATALOG/CATALOG_STANDARD",
    _DATA | {"BROWSE", "CREATE_CONNECTION", "CREATE_SCHEMA", "USE_CATALOG"},
    use="USE_CATALOG", isolation=("OPEN", "ISOLATED"),
)  # fmt: skip
SCHEMA = Securable("schema", "Schema", "SCHEMA/SCHEMA_STANDARD", _DATA, parts=2, use="USE_SCHEMA")
VOLUME = Securable(
    "volume", "Volume", "VOLUME/VOLUME_STANDARD",
    frozenset({ALL, "APPLY_TAG", "MANAGE", "READ_VOLUME", "WRITE_VOLUME"}), parts=3,
)  # fmt: skip
EXTERNAL_LOCATION = Securable(
    "external_location", "External Location", "EXTERNAL_LOCATION/EXTERNAL_LOCATION_STANDARD",
    frozenset(
        {
            ALL, "BROWSE", "CREATE_EXTERNAL_TABLE", "CREATE_EXTERNAL_VOLUME", "CREATE_FOREIGN_SECURABLE",
            "CREATE_MANAGED_STORAGE", "EXTERNAL_USE_LOCATION", "MANAGE", "READ_FILES", "WRITE_FILES",
        }
    ),
    isolation=_ISOLATION,
)  # fmt: skip
STORAGE_CREDENTIAL = Securable(
    "storage_credential", "Storage Credential", "STORAGE_CREDENTIAL/STORAGE_CREDENTIAL_AZURE_MANAGED_IDENTITY",
    frozenset({ALL, "CREATE_EXTERNAL_LOCATION", "CREATE_EXTERNAL_TABLE", "MANAGE", "READ_FILES", "WRITE_FILES"}),
    isolation=_ISOLATION,
)  # fmt: skip

BY_TYPE: Mapping[str, Securable] = {
    securable.type: securable
    for securable in (METASTORE, CATALOG, SCHEMA, VOLUME, EXTERNAL_LOCATION, STORAGE_CREDENTIAL)
}
_PARENTS = {SCHEMA.type: CATALOG, VOLUME.type: SCHEMA}


def chain(securable: Securable, name: str) -> list[tuple[Securable, str]]:
    """Return the object and the objects above it, nearest first. Nothing is inherited from the metastore."""
    objects = [(securable, name)]
    while (parent := _PARENTS.get(securable.type)) is not None:
        securable, name = parent, name.rsplit(".", 1)[0]
        objects.append((securable, name))
    return objects
