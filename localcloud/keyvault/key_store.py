"""Keys of all vaults: their versions, and the private halves that never leave this store."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.core.database import Database

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keyvault_keys (
    vault TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    version TEXT NOT NULL,
    kind TEXT NOT NULL,
    pem TEXT NOT NULL,
    operations TEXT NOT NULL,
    tags TEXT NOT NULL,
    attributes TEXT NOT NULL,
    serial INTEGER NOT NULL,
    deleted INTEGER,
    PRIMARY KEY (vault, name, version)
);
"""


@dataclass(frozen=True)
class Key:
    """One version. `kind` is RSA or RSA-HSM; `operations` those it may be used for; `attributes` as of secrets."""

    vault: str
    name: str
    version: str
    kind: str
    pem: str
    operations: tuple[str, ...]
    tags: Json
    attributes: Json
    deleted: int | None

    @property
    def private(self) -> rsa.RSAPrivateKey:
        key = serialization.load_pem_private_key(self.pem.encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"key {self.name} is not RSA")
        return key


class KeyStore:
    """Vault and key names compare case-insensitively."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def create(
        self, vault: str, name: str, kind: str, bits: int, operations: tuple[str, ...], tags: Json, attributes: Json
    ) -> Key:
        """Add a version of `bits` (2048, 3072, 4096), which becomes the current one."""
        made = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        now = int(time.time())
        kept = {"enabled": True, **{k: v for k, v in attributes.items() if v is not None}}
        kept |= {"created": now, "updated": now}
        key = Key(vault.lower(), name, uuid.uuid4().hex, kind, pem, operations, tags, kept, None)
        self._database.execute(
            "INSERT INTO keyvault_keys (vault, name, version, kind, pem, operations, tags, attributes, serial)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(serial), 0) + 1 FROM keyvault_keys))",
            (
                key.vault, name, key.version, kind, pem, json.dumps(operations), json.dumps(tags), json.dumps(kept),
            ),
        )  # fmt: skip
        return key

    def update(self, key: Key, operations: tuple[str, ...] | None, tags: Json | None, attributes: Json) -> Key:
        """Change what is not the key itself."""
        merged = key.attributes | {k: v for k, v in attributes.items() if v is not None}
        merged["updated"] = int(time.time())
        self._database.execute(
            "UPDATE keyvault_keys SET operations = ?, tags = ?, attributes = ?"
            " WHERE vault = ? AND name = ? AND version = ?",
            (
                json.dumps(operations if operations is not None else key.operations),
                json.dumps(tags if tags is not None else key.tags), json.dumps(merged), key.vault, key.name,
                key.version,
            ),
        )  # fmt: skip
        changed = self.get(key.vault, key.name, key.version)
        if changed is None:
            raise RuntimeError(f"key {key.name} vanished while it was updated")
        return changed

    def get(self, vault: str, name: str, version: str = "", *, deleted: bool = False) -> Key | None:
        """A version, the newest when empty."""
        found = [one for one in self.versions(vault, name, deleted=deleted) if version in ("", one.version)]
        return found[0] if found else None

    def versions(self, vault: str, name: str, *, deleted: bool = False) -> list[Key]:
        """Newest first."""
        rows = self._database.query(
            "SELECT * FROM keyvault_keys WHERE vault = ? AND name = ? AND (deleted IS NOT NULL) = ?"
            " ORDER BY serial DESC",
            (vault.lower(), name, deleted),
        )
        return [_key(row) for row in rows]

    def current(self, vault: str, *, deleted: bool = False) -> list[Key]:
        """The newest version of every key, by name."""
        rows = self._database.query(
            "SELECT * FROM keyvault_keys WHERE vault = ? AND (deleted IS NOT NULL) = ? ORDER BY name, serial DESC",
            (vault.lower(), deleted),
        )
        newest: dict[str, Key] = {}
        for row in rows:
            newest.setdefault(row["name"].lower(), _key(row))
        return list(newest.values())

    def mark(self, vault: str, name: str, deleted: int | None) -> None:
        """Delete (the time) or recover (None) all versions of a key."""
        self._database.execute(
            "UPDATE keyvault_keys SET deleted = ? WHERE vault = ? AND name = ?", (deleted, vault.lower(), name)
        )

    def purge(self, vault: str, name: str | None = None) -> None:
        """Forget a deleted key for good, or all of a vault."""
        if name is None:
            self._database.execute("DELETE FROM keyvault_keys WHERE vault = ?", (vault.lower(),))
        else:
            self._database.execute(
                "DELETE FROM keyvault_keys WHERE vault = ? AND name = ? AND deleted IS NOT NULL", (vault.lower(), name)
            )


def _key(row: Any) -> Key:
    return Key(
        row["vault"], row["name"], row["version"], row["kind"], row["pem"], tuple(json.loads(row["operations"])),
        json.loads(row["tags"]), json.loads(row["attributes"]), row["deleted"],
    )  # fmt: skip
