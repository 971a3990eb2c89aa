"""Keys of all vaults: their versions, and the private halves that never leave this store."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.core.database import Database
from localcloud.core.json import Json
from localcloud.keyvault.versions import Versions, changed_attributes, new_attributes

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
    """A version of a key.

    `kind` is RSA or RSA-HSM; `operations` are its permitted uses; `attributes` as of secrets.
    """

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


class KeyStore(Versions[Key]):
    """Keys, made here."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "key", _SCHEMA, _key)

    def create(
        self, vault: str, name: str, kind: str, bits: int, operations: tuple[str, ...], tags: Json, attributes: Json
    ) -> Key:
        """Add a version of `bits` (2048, 3072, 4096), which becomes the current one."""
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        pem = private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        kept = new_attributes(attributes)
        key = Key(vault.lower(), name, uuid.uuid4().hex, kind, pem, operations, tags, kept, None)
        self.insert(
            {
                "vault": key.vault, "name": name, "version": key.version, "kind": kind, "pem": pem,
                "operations": json.dumps(operations), "tags": json.dumps(tags), "attributes": json.dumps(kept),
            }
        )  # fmt: skip
        return key

    def update(self, key: Key, operations: tuple[str, ...] | None, tags: Json | None, attributes: Json) -> Key:
        """Change a key's attributes."""
        return self.change(
            key,
            {
                "operations": json.dumps(operations if operations is not None else key.operations),
                "tags": json.dumps(tags if tags is not None else key.tags),
                "attributes": json.dumps(changed_attributes(key.attributes, attributes)),
            },
        )


def _key(row: Any) -> Key:
    return Key(
        row["vault"], row["name"], row["version"], row["kind"], row["pem"], tuple(json.loads(row["operations"])),
        json.loads(row["tags"]), json.loads(row["attributes"]), row["deleted"],
    )  # fmt: skip
