"""Backups of secrets: the versions, sealed with a key that never leaves localcloud.

On Azure a backup opens in vaults of the same subscription and geography; localcloud is one of each.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.keyvault.secret_store import Secret

_SCHEMA = "CREATE TABLE IF NOT EXISTS keyvault_backup_key (one INTEGER PRIMARY KEY CHECK (one = 1), key TEXT NOT NULL);"


class Backups:
    """Sealer and opener of the backups of secrets."""

    def __init__(self, database: Database) -> None:
        database.script(_SCHEMA)
        database.execute(
            "INSERT OR IGNORE INTO keyvault_backup_key (one, key) VALUES (1, ?)", (Fernet.generate_key().decode(),)
        )
        (row,) = database.query("SELECT key FROM keyvault_backup_key")
        self._fernet = Fernet(row["key"].encode())

    def seal(self, versions: Sequence[Secret]) -> str:
        """Base64 with the URL alphabet, without padding, as the REST API writes bytes."""
        content = json.dumps([dataclasses.asdict(version) for version in versions])
        return self._fernet.encrypt(content.encode()).decode().rstrip("=")

    def open(self, value: Any) -> list[Secret]:
        """Return the versions of a backup. Raises ServiceError 400 BadParameter."""
        text = value if isinstance(value, str) else ""
        try:
            content = self._fernet.decrypt((text + "=" * (-len(text) % 4)).encode())
        except (InvalidToken, ValueError) as error:
            raise ServiceError(400, "BadParameter", "Backup blob contains invalid or corrupt data.") from error
        return [Secret(**version) for version in json.loads(content)]
