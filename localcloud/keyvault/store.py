"""Secrets of all vaults, with their versions and soft-deleted ones."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from localcloud.core.database import Database

Json = dict[str, Any]

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
    """One version. `attributes` has enabled, created, updated, and nbf and exp when set (seconds since 1970);
    `deleted` is when the secret was deleted, None while it is live."""

    vault: str
    name: str
    version: str
    value: str
    content_type: str | None
    tags: Json
    attributes: Json
    deleted: int | None


class SecretStore:
    """Vault and secret names compare case-insensitively."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def put(self, vault: str, name: str, value: str, content_type: str | None, tags: Json, attributes: Json) -> Secret:
        """Add a version, which becomes the current one."""
        now = int(time.time())
        kept = {
            "enabled": True,
            **{k: v for k, v in attributes.items() if v is not None},
            "created": now,
            "updated": now,
        }
        secret = Secret(vault.lower(), name, uuid.uuid4().hex, value, content_type, tags, kept, None)
        self._add(secret)
        return secret

    def restore(self, vault: str, versions: Sequence[Secret]) -> None:
        """Put back versions, newest first, with all that they had; their vault becomes `vault`."""
        for one in reversed(versions):
            self._add(replace(one, vault=vault.lower()))

    def _add(self, secret: Secret) -> None:
        self._database.execute(
            "INSERT INTO keyvault_secrets (vault, name, version, value, content_type, tags, attributes, serial)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(serial), 0) + 1 FROM keyvault_secrets))",
            (
                secret.vault, secret.name, secret.version, secret.value, secret.content_type, json.dumps(secret.tags),
                json.dumps(secret.attributes),
            ),
        )  # fmt: skip

    def update(self, secret: Secret, content_type: str | None, tags: Json | None, attributes: Json) -> Secret:
        """Change what is not the value."""
        merged = (
            secret.attributes | {k: v for k, v in attributes.items() if v is not None} | {"updated": int(time.time())}
        )
        self._database.execute(
            "UPDATE keyvault_secrets SET content_type = ?, tags = ?, attributes = ? WHERE vault = ? AND name = ? AND "
            "version = ?",
            (
                content_type if content_type is not None else secret.content_type,
                json.dumps(tags if tags is not None else secret.tags),
                json.dumps(merged),
                secret.vault,
                secret.name,
                secret.version,
            ),
        )
        changed = self.get(secret.vault, secret.name, secret.version)
        if changed is None:
            raise RuntimeError(f"secret {secret.name} vanished while it was updated")
        return changed

    def get(self, vault: str, name: str, version: str = "", *, deleted: bool = False) -> Secret | None:
        """A version, the newest when empty."""
        found = [one for one in self.versions(vault, name, deleted=deleted) if version in ("", one.version)]
        return found[0] if found else None

    def versions(self, vault: str, name: str, *, deleted: bool = False) -> list[Secret]:
        """Newest first."""
        rows = self._database.query(
            "SELECT * FROM keyvault_secrets WHERE vault = ? AND name = ? AND (deleted IS NOT NULL) = ? ORDER BY serial "
            "DESC",
            (vault.lower(), name, deleted),
        )
        return [_secret(row) for row in rows]

    def current(self, vault: str, *, deleted: bool = False) -> list[Secret]:
        """The newest version of every secret, by name."""
        rows = self._database.query(
            "SELECT * FROM keyvault_secrets WHERE vault = ? AND (deleted IS NOT NULL) = ? ORDER BY name, serial DESC",
            (vault.lower(), deleted),
        )
        newest: dict[str, Secret] = {}
        for row in rows:
            newest.setdefault(row["name"].lower(), _secret(row))
        return list(newest.values())

    def mark(self, vault: str, name: str, deleted: int | None) -> None:
        """Delete (the time) or recover (None) all versions of a secret."""
        self._database.execute(
            "UPDATE keyvault_secrets SET deleted = ? WHERE vault = ? AND name = ?", (deleted, vault.lower(), name)
        )

    def purge(self, vault: str, name: str | None = None) -> None:
        """Forget a deleted secret for good, or all of a vault."""
        if name is None:
            self._database.execute("DELETE FROM keyvault_secrets WHERE vault = ?", (vault.lower(),))
        else:
            self._database.execute(
                "DELETE FROM keyvault_secrets WHERE vault = ? AND name = ? AND deleted IS NOT NULL",
                (vault.lower(), name),
            )


def _secret(row: Any) -> Secret:
    return Secret(
        row["vault"], row["name"], row["version"], row["value"], row["content_type"], json.loads(row["tags"]),
        json.loads(row["attributes"]), row["deleted"],
    )  # fmt: skip
