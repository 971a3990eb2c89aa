"""Versions of secrets and keys of all vaults, the newest one current, deleted softly by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from localcloud.core.database import Database
from localcloud.core.json import Json


class Version(Protocol):
    """`attributes` has enabled, created, updated, and nbf and exp when set (seconds since 1970)."""

    @property
    def vault(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def attributes(self) -> Json: ...


V = TypeVar("V", bound=Version)


class Versions(Generic[V]):
    """The table of one kind, whose common columns are vault, name, version, serial and deleted.

    Vault and object names compare case-insensitively.
    """

    def __init__(self, database: Database, kind: str, schema: str, parse: Callable[[Any], V]) -> None:
        """`kind` such as secret: its table is keyvault_secrets. `parse` reads one of its rows."""
        self._database, self._kind, self._table, self._parse = database, kind, f"keyvault_{kind}s", parse
        database.script(schema)

    def insert(self, columns: Json) -> None:
        """Add a version, which becomes the current one."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self._database.execute(
            f"INSERT INTO {self._table} ({names}, serial)"  # noqa: S608 - columns of ours
            f" VALUES ({marks}, (SELECT COALESCE(MAX(serial), 0) + 1 FROM {self._table}))",
            tuple(columns.values()),
        )

    def change(self, current: V, columns: Json) -> V:
        """Set columns of a version; return the changed version."""
        setting = ", ".join(f"{name} = ?" for name in columns)
        self._database.execute(
            f"UPDATE {self._table} SET {setting} WHERE vault = ? AND name = ? AND version = ?",  # noqa: S608
            (*columns.values(), current.vault, current.name, current.version),
        )
        changed = self.get(current.vault, current.name, current.version)
        if changed is None:
            raise RuntimeError(f"{self._kind} {current.name} vanished while it was updated")
        return changed

    def get(self, vault: str, name: str, version: str = "", *, deleted: bool = False) -> V | None:
        """Return a version, the newest when empty."""
        matching = [
            candidate for candidate in self.versions(vault, name, deleted=deleted) if version in ("", candidate.version)
        ]
        return matching[0] if matching else None

    def versions(self, vault: str, name: str, *, deleted: bool = False) -> list[V]:
        """Newest first."""
        rows = self._database.query(
            f"SELECT * FROM {self._table} WHERE vault = ? AND name = ? AND (deleted IS NOT NULL) = ?"  # noqa: S608
            " ORDER BY serial DESC",
            (vault.lower(), name, deleted),
        )
        return [self._parse(row) for row in rows]

    def current(self, vault: str, *, deleted: bool = False) -> list[V]:
        """Return the newest version of every object, by name."""
        rows = self._database.query(
            f"SELECT * FROM {self._table} WHERE vault = ? AND (deleted IS NOT NULL) = ?"  # noqa: S608
            " ORDER BY name, serial DESC",
            (vault.lower(), deleted),
        )
        newest: dict[str, V] = {}
        for row in rows:
            newest.setdefault(row["name"].lower(), self._parse(row))
        return list(newest.values())

    def mark(self, vault: str, name: str, deleted: int | None) -> None:
        """Delete (the time) or recover (None) all versions of an object."""
        self._database.execute(
            f"UPDATE {self._table} SET deleted = ? WHERE vault = ? AND name = ?",  # noqa: S608
            (deleted, vault.lower(), name),
        )

    def purge(self, vault: str, name: str | None = None) -> None:
        """Forget a deleted object for good, or all of a vault."""
        forget = f"DELETE FROM {self._table} WHERE vault = ?"  # noqa: S608
        if name is None:
            self._database.execute(forget, (vault.lower(),))
        else:
            self._database.execute(f"{forget} AND name = ? AND deleted IS NOT NULL", (vault.lower(), name))


def new_attributes(requested: Json) -> Json:
    """Return the attributes of a new version: enabled unless `requested` disables it."""
    now = int(time.time())
    return {"enabled": True, **_set(requested), "created": now, "updated": now}


def changed_attributes(before: Json, requested: Json) -> Json:
    return before | _set(requested) | {"updated": int(time.time())}


def _set(requested: Json) -> Json:
    return {name: value for name, value in requested.items() if value is not None}
