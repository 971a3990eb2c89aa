"""Secrets of all vaults, with their versions and soft-deleted ones."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from localcloud.core.database import Database
from localcloud.core.json import Json
from localcloud.keyvault.versions import Versions, changed_attributes, new_attributes

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keyvault_secrets (
    vault TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    version TEXT NOT NULL,
    value TEXT NOT NULL,
    content_type TEXT,
    tags TEXT NOT NULL,
    attributes TEXT NOT NULL,
    serial INTEGER NOT NULL,
    deleted INTEGER,
    PRIMARY KEY (vault, name, version)
);
"""


@dataclass(frozen=True)
class Secret:
    """A version of a secret.

    `attributes` has enabled, created, updated, and nbf and exp when set (seconds since 1970). `deleted` is the time of
    the secret's deletion, None while it is live.
    """

    vault: str
    name: str
    version: str
    value: str
    content_type: str | None
    tags: Json
    attributes: Json
    deleted: int | None


class SecretStore(Versions[Secret]):
    """Secrets and their values."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "secret", _SCHEMA, _secret)

    def put(self, vault: str, name: str, value: str, content_type: str | None, tags: Json, attributes: Json) -> Secret:
        """Add a version, which becomes the current one."""
        kept = new_attributes(attributes)
        secret = Secret(vault.lower(), name, uuid.uuid4().hex, value, content_type, tags, kept, None)
        self._add(secret)
        return secret

    def restore(self, vault: str, versions: Sequence[Secret]) -> None:
        """Restore versions, newest first, with all their values; their vault becomes `vault`."""
        for version in reversed(versions):
            self._add(replace(version, vault=vault.lower()))

    def _add(self, secret: Secret) -> None:
        self.insert(
            {
                "vault": secret.vault, "name": secret.name, "version": secret.version, "value": secret.value,
                "content_type": secret.content_type, "tags": json.dumps(secret.tags),
                "attributes": json.dumps(secret.attributes),
            }
        )  # fmt: skip

    def update(self, secret: Secret, content_type: str | None, tags: Json | None, attributes: Json) -> Secret:
        """Change a secret's attributes."""
        return self.change(
            secret,
            {
                "content_type": content_type if content_type is not None else secret.content_type,
                "tags": json.dumps(tags if tags is not None else secret.tags),
                "attributes": json.dumps(changed_attributes(secret.attributes, attributes)),
            },
        )


def _secret(row: Any) -> Secret:
    return Secret(
        row["vault"], row["name"], row["version"], row["value"], row["content_type"], json.loads(row["tags"]),
        json.loads(row["attributes"]), row["deleted"],
    )  # fmt: skip
